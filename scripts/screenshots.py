#!/usr/bin/env python3
"""Take the pictures of the page that the README shows, with Debian's chromium and playwright.

python scripts/screenshots.py --model vlm/models/reader
"""

from __future__ import annotations

import argparse
import io
import subprocess
import sys
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
SIZE = {"width": 1280, "height": 860}
WAIT_MS = 600_000


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--model", default="score-reader", metavar="DIR", help="the reader; default: score-reader")
    options.add_argument("--chromium", default="/usr/bin/chromium")
    asked = options.parse_args()
    command = [sys.executable, "-m", "vlm.app", "--port", "0", "--model", asked.model, "--timeout", "600"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        url = server.stdout.readline().strip() if server.stdout else ""
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=asked.chromium, args=["--no-sandbox"])
            page = browser.new_page(viewport=SIZE)
            page.set_default_timeout(WAIT_MS)
            page.goto(url)
            reading(page)
            save(page, "app-read.png")
            writing(page)
            save(page, "app-write.png")
            browser.close()
    finally:
        server.terminate()
        server.wait()


def reading(page: Any) -> None:
    page.set_input_files("#picture input[type=file]", ROOT / "vlm" / "app" / "example.png")
    page.wait_for_selector("#shown img")
    page.click("#read")
    page.wait_for_selector("#read-pdf:not([disabled])")


def writing(page: Any) -> None:
    page.get_by_role("tab", name="Write music").click()
    page.get_by_placeholder("Soprano,Alto,Tenor,Bass").fill("Soprano,Alto,Tenor,Bass")
    page.get_by_label("Strict").check()
    page.get_by_label("Seed").fill("1")
    page.click("#write")
    page.wait_for_selector("#written-pdf:not([disabled])")


def save(page: Any, name: str) -> None:
    """In 64 colours, which keeps a file small."""
    page.mouse.move(0, 0)
    page.evaluate("window.scrollTo(0, 0)")
    image = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    image.quantize(64, dither=Image.Dither.NONE).save(IMAGES / name, optimize=True)
    print(IMAGES / name, (IMAGES / name).stat().st_size, "bytes")


if __name__ == "__main__":
    main()

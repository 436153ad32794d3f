"""The page in a real browser: what a visitor does, and that nothing leaves this machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

pytest.importorskip("gradio", reason="the page needs gradio")

from scorelm import encode, save
from scorelm.errors import ConfigError, FormatError, ScorelmError, SourceError
from scorelm.musicxml.writer import write_musicxml
from scorelm.notation.reader import parse
from scorelm.render import engrave_tall_svg
from vlm.app import __main__ as app
from vlm.app.answers import computed
from vlm.app.limits import Limits
from vlm.app.studio import CONTINUE, HARMONISE, NEW, Seen, Studio, edited
from vlm.app.workshop import Workshop
from vlm.student.whole import Look, Reading, spoken

CHROMIUM = Path("/usr/bin/chromium")
ROOT = Path(__file__).resolve().parents[1]
WAIT_MS = 300_000  # on a machine that is busy with other work; a few seconds are the rule
SONG = '|\nK1T4:4P"Voice"!clef-G2!GABc|\ndcBA|\nwG|\n'

# Whoever is asked for by this Python, if not this machine, is written down
WATCH = """
import sys
def watch(event, given):
    if event in ("socket.connect", "socket.getaddrinfo"):
        place = given[1] if event == "socket.connect" else given
        host = place[0] if isinstance(place, tuple) else "127.0.0.1"
        if host not in ("127.0.0.1", "::1", "localhost", None, ""):
            open({out!r}, "a").write(f"{{event}} {{place}}\\n")
sys.addaudithook(watch)
"""


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """The folder of a reader that has learnt nothing: what it reads is nonsense, and it knows."""
    pytest.importorskip("resvg_py", reason="the reader's modules need the extra vlm")
    from vlm.student.model import Shape, new_reader, save_reader

    folder = tmp_path_factory.mktemp("app") / "reader"
    save_reader(new_reader(str(tiny_model), Shape(channels=4, vision_layers=1)), folder, {}, "a test's")
    return folder


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(SONG, tmp_path_factory.mktemp("picture") / "song.png")


@dataclass
class Site:
    """A server under way."""

    url: str
    folder: Path  # of its temporary files
    asked: Path  # whom it asked outside, if anyone


@pytest.fixture(scope="module")
def site(reader: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    yield from serve(tmp_path_factory.mktemp("site"), "--model", str(reader), "--max-upload-mb", "1")


def serve(folder: Path, *options: str) -> Iterator[Site]:
    temporary, asked = folder / "tmp", folder / "asked.txt"
    temporary.mkdir()
    (folder / "sitecustomize.py").write_text(WATCH.format(out=str(asked)), encoding="utf-8")
    environment = os.environ | {"TMPDIR": str(temporary), "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"}
    command = [sys.executable, "-m", "vlm.app", "--port", "0", *options]
    server = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:"), f"the server said {url!r}"
        yield Site(url, temporary, asked)
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(120)
    assert not asked.exists(), asked.read_text(encoding="utf-8")
    assert list(temporary.glob("scorelm-app-*")) == []


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if not CHROMIUM.is_file():
        pytest.skip("no chromium here (Debian: apt-get install chromium)")
    api = pytest.importorskip("playwright.sync_api", reason="chromium is driven by playwright")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visitor(browser: Any) -> Iterator[Any]:
    """A page of the browser, whose requests and errors are looked at in the end."""
    page = browser.new_page()
    page.set_default_timeout(WAIT_MS)
    requests: list[str] = []
    errors: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    page.close()
    asked = {urlsplit(url).hostname for url in requests if urlsplit(url).scheme not in ("data", "blob")}
    assert asked == {"127.0.0.1"}
    assert errors == []


def value(page: Any, where: str) -> str:
    return str(page.input_value(f"{where} textarea"))


def wait_for(page: Any, where: str, words: str) -> None:
    page.wait_for_function(
        "([where, words]) => document.querySelector(where + ' textarea').value.includes(words)", arg=[where, words]
    )


def test_a_picture_is_read_changed_saved_and_asked_about(site: Site, visitor: Any, picture: Path) -> None:
    page = visitor
    page.goto(site.url)
    page.set_input_files("#picture input[type=file]", str(picture))
    page.wait_for_selector("#shown img")
    page.click("#read")
    wait_for(page, "#read-notes", "1 of 1 systems")
    text = value(page, "#read-text")
    assert parse(text).measures
    page.wait_for_selector("#read-score svg g.measure")
    assert page.locator("#read-score rect.doubtful").count() >= 1
    assert "a sign in it is uncertain" in value(page, "#read-notes")

    broken = SONG.replace("dcBA", "dcBH4")
    page.fill("#read-text textarea", broken)
    page.click("#read-engrave")
    wait_for(page, "#read-notes", "Not engraved")
    assert "measure 2, line 3" in value(page, "#read-notes")

    page.fill("#read-text textarea", SONG)
    page.click("#read-engrave")
    wait_for(page, "#read-notes", "Your text.")
    assert page.locator("#read-score g.measure").count() == 3
    assert page.locator("#read-score rect.doubtful").count() == 0
    for ending, start in ((".musicxml", b"<?xml"), (".mid", b"MThd"), (".abc", b"X:"), (".pdf", b"%PDF")):
        page.wait_for_selector(f"#read-{ending[1:]}:not([disabled])")
        with page.expect_download() as download:
            page.click(f"#read-{ending[1:]}")
        assert download.value.suggested_filename == "score" + ending
        assert Path(download.value.path()).read_bytes().lstrip().startswith(start)

    page.get_by_text("Describe the rhythm.").click()
    wait_for(page, "#question", "Describe the rhythm.")
    page.click("#ask")
    wait_for(page, "#facts", "Quarter notes are the most frequent")
    assert "staves: 1; measures: 3" in value(page, "#facts")


def test_music_is_written_measure_by_measure(site: Site, visitor: Any) -> None:
    page = visitor
    page.goto(site.url)
    page.get_by_role("tab", name="Write music").click()
    page.fill("#measures input[type=number]", "2")
    page.click("#write")
    wait_for(page, "#written-notes", "2 measures")
    page.wait_for_selector("#written-score svg g.measure")
    assert len(parse(value(page, "#written-text")).measures) == 2
    page.wait_for_selector("#written-mid:not([disabled])")


def test_what_is_too_large_is_refused(site: Site, visitor: Any, tmp_path: Path) -> None:
    large = tmp_path / "large.png"
    large.write_bytes(bytes(1_500_000))
    visitor.goto(site.url)
    visitor.set_input_files("#picture input[type=file]", str(large))
    visitor.locator("#picture").get_by_text("Error").wait_for()
    assert "1 MB at most" in visitor.locator("#picture").inner_text()
    assert visitor.locator("#shown img").count() == 0
    for size in (1_500_000, 3_000_000):  # by the page's own upload, and before it is read at all
        body = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n' + bytes(size)
        request = urllib.request.Request(
            site.url + "gradio_api/upload", body + b"\r\n--x--\r\n", {"Content-Type": "multipart/form-data; boundary=x"}
        )
        try:
            urllib.request.urlopen(request, timeout=120)
        except urllib.error.HTTPError as refused:
            assert refused.code == 413
        except urllib.error.URLError as refused:  # the door was shut before all of it was sent
            assert isinstance(refused.reason, ConnectionError)
        else:
            pytest.fail(f"{size} bytes were taken")
    assert list(site.folder.rglob("a.png")) == []


def test_words_of_a_score_are_no_code(site: Site, visitor: Any) -> None:
    visitor.goto(site.url)
    name = "<img src=x onerror=document.title='run'> ${document.title='run'} {{title}} `"
    visitor.fill("#read-text textarea", SONG.replace("Voice", name))
    visitor.click("#read-engrave")
    wait_for(visitor, "#read-notes", "Your text.")
    visitor.wait_for_selector("#read-score svg g.measure")
    assert "document.title='run'" in visitor.locator("#read-score").text_content()
    assert visitor.title() == "scorelm"


def test_without_a_reader_the_page_says_what_to_run(visitor: Any, tmp_path: Path) -> None:
    for site in serve(tmp_path):
        visitor.goto(site.url)
        assert "python -m vlm.distill" in visitor.locator("#no-reader").text_content()
        assert visitor.locator("#read").is_disabled()
        visitor.get_by_role("tab", name="Write music").click()
        assert visitor.locator("#write").is_enabled()


def test_what_cannot_be_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.main(["--max-upload-mb", "0"]) == 2
    assert capsys.readouterr().err == "vlm.app: upload_mb must be above 0, not 0.0\n"


def test_what_was_not_changed_stays_doubtful() -> None:
    lines = ["|", "qGABc|", "qdcBA|", "wG|"]
    looks = tuple(Look(measure, 1, 1, "why") for measure in (1, 2, 3))
    seen = Seen(Reading("\n".join(lines) + "\n", looks))
    found = edited(seen, "\n".join([lines[0], "wd|", *lines[1:2], "qdcBB|", lines[3]]) + "\n").reading.looks
    assert [look.measure for look in found] == [2, 4]
    assert spoken(found) == ["look at measure 2, 4 (system 1, staff 1): why"]


def test_music_goes_on_and_melodies_get_parts(tiny_model: Path, tmp_path: Path, chorales: list[str]) -> None:
    studio = Studio(tmp_path, tiny_model, Limits(given_measures=30))
    score = tmp_path / "song.musicxml"
    save(SONG, score)
    *_, (text, said) = studio.write(CONTINUE, score, 2, key="D", temperature=0.95, adapt=True, seed=1)
    assert len(parse(text).measures) == 5 and said.startswith("5 measures")
    *_, (text, _) = studio.write(HARMONISE, score, 2, parts="Voice,Bass", temperature=0.95, strict=True, seed=1)
    assert [part.name for part in parse(text).parts] == ["Voice", "Bass"]
    *_, (text, _) = studio.write(NEW, None, 1, key="D", metre="3/4", parts="Flute", temperature=0.95, seed=1)
    assert "K2" in text and "T3:4" in text and 'P"Flute"' in text
    with pytest.raises(ConfigError, match="drop the score"):
        next(studio.write(CONTINUE, None, 2))
    (tmp_path / "code.p").write_bytes(b"no pickle is opened")
    with pytest.raises(SourceError, match=r"ends in \.musicxml"):
        next(studio.write(CONTINUE, tmp_path / "code.p", 2))
    short = Studio(tmp_path, tiny_model, Limits(given_measures=2, characters=20, timeout_s=1e-6))
    with pytest.raises(SourceError, match="3 measures; 2 are the most"):
        next(short.write(CONTINUE, score, 2))
    *_, (text, said) = short.write(NEW, None, 32, temperature=0.95, seed=1)
    assert "Stopped" in said and len(parse(text).measures) < 32
    with pytest.raises(SourceError, match="at most 20 characters"):
        short.engrave(SONG)


def test_what_is_broken_or_too_large_is_refused(tmp_path: Path, picture: Path, tiny_model: Path) -> None:
    studio = Studio(tmp_path, tiny_model, Limits(megapixels=0.01, minutes=0.05))
    with pytest.raises(SourceError, match="are more than 10000"):
        studio.pictures(picture)
    with pytest.raises(SourceError, match=r"ends in \.png"):
        studio.pictures(tmp_path / "score.svg")
    with pytest.raises(SourceError, match="lasts longer"):
        studio.sound(SONG, tmp_path)
    with pytest.raises(FormatError, match="measure 1, line 2"):
        studio.engrave("|\nqGABH4|")


def test_a_library_that_crashes_costs_an_answer() -> None:
    workshop = Workshop(60)
    with pytest.raises(ScorelmError, match="killed by SIGABRT"):
        workshop.do(os.abort)
    with pytest.raises(ScorelmError, match=r"song\.tar: "):
        workshop.do(save, SONG, "song.tar")
    assert "<svg" in workshop.do(engrave_tall_svg, write_musicxml(parse(SONG)))


def test_the_facts_are_those_that_the_question_is_about() -> None:
    text = encode("bach/bwv290")
    assert "clefs: treble, treble, bass, bass" in computed(text, "Which key?")
    assert computed(text, "Which key?").endswith("The piece is in F major; the key signature has 1 flat.")
    assert "fermata" in computed(text, "Which cadences?") and "texture" not in computed(text, "Which cadences?")
    assert "texture" in computed(text, "Tell me all.")
    assert computed("|", "Which key?") == ""

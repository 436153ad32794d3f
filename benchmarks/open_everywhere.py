#!/usr/bin/env python3
"""MusicXML that scorelm writes, opened by the programs that people open it with.

    python benchmarks/open_everywhere.py my_scores/ --sample 1
    python benchmarks/open_everywhere.py --corpus 40 --schema FOLDER

Each score goes to text (profile full) and back, and what comes is validated against the MusicXML 4.0 schema and
opened by Verovio, MuseScore 3 (mscore3) and LilyPond (musicxml2ly). A program that is not installed is left out.
--schema names a folder with musicxml_4_0.xsd, xlink.xsd and xml.xsd (PyPI's musicxml and xmlschema hold them; by
default both are downloaded, not installed). Prints what each program complained of, and about which score.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from lxml import etree
from roundtrip import files_of

TIMEOUT_S = 120
COMPLAINTS = ("is not a valid MusicXML file", "calculated duration", "error", "Error")
KNOWN = "Unsupported mode"  # of MuseScore 3, which knows major and minor and shows the same key for all the others
Check = Callable[[Path], str]  # a file -> what is wrong with it, "" where nothing is


def fetch_schema(folder: Path) -> Path:
    """Download the two packages that hold the schema and take it out of them."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder)]
    subprocess.run([*command, "musicxml==1.6.3", "xmlschema==4.3.2"], check=True)
    for package, wanted in (("musicxml-", ("musicxml_4_0.xsd",)), ("xmlschema-", ("xlink.xsd", "xml.xsd"))):
        (wheel,) = folder.glob(f"{package}*.whl")  # the first holds an xml.xsd too, which is another
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                if Path(name).name in wanted:
                    (folder / Path(name).name).write_bytes(archive.read(name))
    return folder


def schema_check(folder: Path) -> Check:
    class Local(etree.Resolver):
        def resolve(self, url: str, _: str, context: object) -> object:
            name = url.rsplit("/", 1)[-1]
            return self.resolve_filename(str(folder / name), context) if (folder / name).is_file() else None

    parser = etree.XMLParser()
    parser.resolvers.add(Local())
    schema = etree.XMLSchema(etree.parse(folder / "musicxml_4_0.xsd", parser))

    def check(path: Path) -> str:
        return "" if schema.validate(etree.parse(path)) else str(schema.error_log[0].message)

    return check


def verovio_check() -> Check:
    import verovio

    verovio.enableLog(verovio.LOG_OFF)

    def check(path: Path) -> str:
        toolkit = verovio.toolkit()
        if not toolkit.loadData(path.read_text(encoding="utf-8")):
            return "cannot be loaded"
        return "" if "<svg" in toolkit.renderToSVG(1) else "cannot be drawn"

    return check


def program_check(command: list[str]) -> Check:
    """``IN`` and ``OUT`` in the command become the score and a file beside it."""

    def check(path: Path) -> str:
        out = path.with_name("opened" + command[-1])
        out.unlink(missing_ok=True)
        words = [{"IN": str(path), "OUT": str(out)}.get(word, word) for word in command[:-1]]
        try:
            ended = subprocess.run(
                words, capture_output=True, text=True, errors="replace", timeout=TIMEOUT_S,
                env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return f"took more than {TIMEOUT_S} s"
        said = [
            line for line in ended.stderr.splitlines() if any(word in line for word in COMPLAINTS) and KNOWN not in line
        ]
        if ended.returncode or not out.is_file():
            return (said or ended.stderr.splitlines() or ["wrote nothing"])[-1]
        return said[0] if said else ""

    return check


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scores", nargs="*", help="files, folders, globs")
    parser.add_argument("--split", action="store_true", help="the chorales of the published split")
    parser.add_argument("--corpus", type=int, default=0, metavar="N", help="N other scores of music21's corpus")
    parser.add_argument("--sample", type=int, default=1, metavar="N", help="every Nth score alone")
    parser.add_argument("--profile", default="full")
    parser.add_argument("--schema", type=Path, metavar="FOLDER")
    options = parser.parse_args()
    files = files_of(options)[:: options.sample]

    import scorelm
    from scorelm.musicxml.source import open_xml, read_bytes

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        checks: dict[str, Check] = {"schema": schema_check(options.schema or fetch_schema(folder))}
        checks["Verovio"] = verovio_check()
        for name, program, command in (
            ("MuseScore", "mscore3", ["mscore3", "-o", "OUT", "IN", ".mscx"]),
            ("LilyPond", "musicxml2ly", ["musicxml2ly", "-o", "OUT", "IN", ".ly"]),
        ):
            if shutil.which(program):
                checks[name] = program_check(command)
            else:
                print(f"{name}: left out, there is no {program}", file=sys.stderr)
        opened = dict.fromkeys(checks, 0)
        inherited = dict.fromkeys(checks, 0)
        out, source = folder / "score.musicxml", folder / "source.musicxml"
        for number, path in enumerate(files, 1):
            scorelm.save(scorelm.encode(path, options.profile), out)
            for name, check in checks.items():
                wrong = check(out)
                opened[name] += not wrong
                if wrong:
                    source.write_bytes(etree.tostring(open_xml(read_bytes(path), path.name)))
                    too = bool(check(source))
                    inherited[name] += too
                    said = " ".join(wrong.split())[:200]
                    print(f"{name}: {path.name}: {said}{' (of the source too)' if too else ''}", flush=True)
            print(f"\r{number}/{len(files)}", end="", file=sys.stderr, flush=True)
        print(file=sys.stderr)
    for name, count in opened.items():
        print(
            f"{name:10} takes {count} of {len(files)} without complaint; of {len(files) - count - inherited[name]} it "
            f"complains, but not of their source"
        )
    return 0 if all(opened[name] + inherited[name] == len(files) for name in checks) else 1


if __name__ == "__main__":
    sys.exit(main())

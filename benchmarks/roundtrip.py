#!/usr/bin/env python3
"""MusicXML -> text -> MusicXML, by scorelm and by its peers, on the same files in one run.

    python benchmarks/roundtrip.py --corpus 25 my_scores/
    python benchmarks/roundtrip.py --split --sample 7 --formats "scorelm full,music21,ABC"

For each way: scores whose notes, rests and ties all come back exactly, items of notation kept (the mean over
scores; a failure keeps nothing), failures, characters and Pythia tokens a note, CPU seconds per 1000 notes
to text and back. Judged by fidelity.py. Peers that are not installed are named and left out:

    pip install converter21 linearized-musicxml mxltok lytk
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from fidelity import xml_compare
from format_size import neox_tokenizer

Way = tuple[Callable[[Path], str], Callable[[str, Path], None]]  # path -> text; text, path of the result -> None
TIMEOUT_S = 120


@dataclass
class Row:
    """What one way did."""

    scores: int = 0
    exact: int = 0
    failures: int = 0
    kept: float = 0.0
    notes: int = 0
    characters: int = 0
    tokens: int = 0
    to_text_s: float = 0.0
    back_s: float = 0.0
    lost: list[str] = field(default_factory=list)


def scorelm_way(profile: str) -> Way:
    import scorelm

    return lambda path: scorelm.encode(path, profile), lambda text, out: scorelm.save(text, out) and None


def music21_way() -> Way:
    """No text at all: music21's own reader and writer, which every way through music21 inherits."""
    from music21 import converter

    held: dict[str, object] = {}

    def encode(path: Path) -> str:
        held["score"] = converter.parse(path, forceSource=True, storePickle=False)
        return ""

    return encode, lambda _, out: held["score"].write("musicxml", fp=out)  # type: ignore[attr-defined]


def abc_way() -> Way:
    """xml2abc and abc2xml, as converter21 brings them."""
    from converter21.abc.abc2xml import fixDoctype, getXmlDocs
    from converter21.abc.xml2abc import vertaal
    from lxml import etree

    from scorelm.musicxml.source import open_xml, read_bytes

    def encode(path: Path) -> str:
        text, _ = vertaal(etree.tostring(open_xml(read_bytes(path), str(path)), encoding="unicode"))
        return str(text)

    def decode(text: str, out: Path) -> None:
        out.write_text(fixDoctype(getXmlDocs(text)[0]), encoding="utf-8")

    return encode, decode


def converter21_way(kind: str) -> Way:
    import converter21
    from music21 import converter, metadata

    converter21.register()
    if not hasattr(metadata.Metadata, "_convertValue"):  # music21 10.5 has given it another name
        metadata.Metadata._convertValue = staticmethod(metadata.Metadata.convertValue)
    ending = {"humdrum": ".krn", "mei": ".mei"}[kind]

    def encode(path: Path) -> str:
        score = converter.parse(path, forceSource=True, storePickle=False)
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / f"score{ending}"
            score.write(kind, fp=out, makeNotation=False)
            return out.read_text(encoding="utf-8")

    def decode(text: str, out: Path) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"score{ending}"
            path.write_text(text, encoding="utf-8")
            converter.parse(path, forceSource=True, storePickle=False).write("musicxml", fp=out)

    return encode, decode


def lmx_way() -> Way:
    """Linearized MusicXML knows one part: each is taken by itself, a line a part."""
    import xml.etree.ElementTree as ET

    from lmx.linearization.Delinearizer import Delinearizer
    from lmx.linearization.Linearizer import Linearizer

    from scorelm.musicxml.source import open_xml, read_bytes

    def encode(path: Path) -> str:
        from lxml import etree

        root = ET.fromstring(etree.tostring(open_xml(read_bytes(path), str(path))))
        lines = []
        for part in root.findall("part"):
            linearizer = Linearizer(errout=io.StringIO())
            linearizer.process_part(part)
            lines.append(" ".join(linearizer.output_tokens))
        return "\n".join(lines)

    def decode(text: str, out: Path) -> None:
        root = ET.Element("score-partwise", version="4.0")
        names = ET.SubElement(root, "part-list")
        for number, line in enumerate(text.split("\n"), 1):
            delinearizer = Delinearizer(errout=io.StringIO())
            delinearizer.process_text(line)
            part = delinearizer.part_element
            part.set("id", f"P{number}")
            ET.SubElement(ET.SubElement(names, "score-part", id=f"P{number}"), "part-name")
            root.append(part)
        out.write_bytes(ET.tostring(root, encoding="utf-8"))

    return encode, decode


def mxltok_way() -> Way:
    """LMX grown to whole scores, in tokens of its own; here measure by measure, as its option has it."""
    from mxltok import MXLTokenizer, TokenizerConfig, write_musicxml

    tokenizer = MXLTokenizer(TokenizerConfig(arrangement="measure_first"))

    def encode(path: Path) -> str:
        return " ".join(tokenizer.encode(path).tokens)

    return encode, lambda text, out: write_musicxml(tokenizer.decode(text.split(" ")), out)


def lytk_way() -> Way:
    """lytk reads and writes several formats; LilyPond's is the first among them."""
    import lytk

    def encode(path: Path) -> str:
        return str(lytk.to_lilypond(lytk.from_musicxml(str(path))))

    def decode(text: str, out: Path) -> None:
        lytk.to_musicxml(lytk.from_lilypond_string(text), str(out))

    return encode, decode


WAYS: dict[str, Callable[[], Way]] = {
    "scorelm full": lambda: scorelm_way("full"),
    "scorelm core": lambda: scorelm_way("core"),
    "music21": music21_way,
    "ABC": abc_way,
    "kern": lambda: converter21_way("humdrum"),
    "MEI": lambda: converter21_way("mei"),
    "LMX": lmx_way,
    "mxltok": mxltok_way,
    "lytk": lytk_way,
}


@contextlib.contextmanager
def quiet_for(seconds: int) -> Iterator[None]:
    """Peers print what they like; one that does not end is stopped."""

    def stop(*_: object) -> None:
        raise TimeoutError(f"took more than {seconds} s")

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        with (
            open(os.devnull, "w") as nowhere,
            contextlib.redirect_stdout(nowhere),
            contextlib.redirect_stderr(nowhere),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        signal.alarm(0)


def judge(row: Row, way: Way, path: Path, tokenize: Callable[[str], int], out: Path) -> None:
    row.scores += 1
    out.unlink(missing_ok=True)
    try:
        with quiet_for(TIMEOUT_S):
            started = time.process_time()
            text = way[0](path)
            between = time.process_time()
            way[1](text, out)
            ended = time.process_time()
        compared = xml_compare(str(path), str(out))
    except (Exception, SystemExit) as error:  # noqa: BLE001  # a peer may raise anything: it failed
        row.failures += 1
        row.lost.append(f"{path.name}: {type(error).__name__}: {' '.join(str(error).split())[:120]}")
        return
    row.exact += compared["notes_rests_ties_equal"]
    row.kept += compared["semantic_recall"] or 0.0
    row.notes += compared["orig"]["notes"]
    row.characters += len(text)
    row.tokens += tokenize(text)
    row.to_text_s += between - started
    row.back_s += ended - between
    if not compared["notes_rests_ties_equal"]:
        row.lost.append(f"{path.name}: notes, rests or ties differ")


def files_of(options: argparse.Namespace) -> list[Path]:
    """The files asked for, without those that are no MusicXML."""
    from scorelm.dataset import chorales, gather
    from scorelm.music21_bridge import corpus_root

    found = [work.path for work in gather(options.scores)] if options.scores else []
    if options.split:
        found += [work.path for work in chorales(extra=True)]
    if options.corpus:
        others = [p for p in sorted(corpus_root().rglob("*")) if p.parent.name != "bach"]
        others = [p for p in others if p.suffix in (".mxl", ".xml", ".musicxml")]
        found += others[:: max(1, len(others) // options.corpus)][: options.corpus]
    return [p for p in found if p.suffix.lower() in (".mxl", ".xml", ".musicxml")]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scores", nargs="*", help="files, folders, globs")
    parser.add_argument("--split", action="store_true", help="the chorales of the published split")
    parser.add_argument(
        "--corpus", type=int, default=0, metavar="N", help="N other scores, spread over music21's corpus"
    )
    parser.add_argument("--sample", type=int, default=1, metavar="N", help="every Nth score alone")
    parser.add_argument("--formats", default=",".join(WAYS), help="names, with commas between; default: all")
    parser.add_argument("--tokenizer", metavar="FILE", help="a copy of Pythia's 20B_tokenizer.json")
    parser.add_argument("--json", metavar="FILE", help="write the figures there too")
    parser.add_argument("--lost", action="store_true", help="name each score that failed or changed")
    options = parser.parse_args()
    files = files_of(options)[:: options.sample]
    if not files:
        parser.error("name scores, --split or --corpus")
    pythia = neox_tokenizer(options.tokenizer)
    rows: dict[str, Row] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in options.formats.split(","):
            try:
                way = WAYS[name]()
            except ImportError as error:
                print(f"{name}: left out, {error}", file=sys.stderr)
                continue
            row = rows[name] = Row()
            for number, path in enumerate(files, 1):
                judge(row, way, path, lambda text: len(pythia.encode(text).ids), Path(folder) / "again.musicxml")
                print(f"\r{name}: {number}/{len(files)}", end="", file=sys.stderr, flush=True)
            print(file=sys.stderr)
    print(f"{len(files)} scores")
    print(f"{'':14}{'exact %':>9}{'kept':>8}{'failed %':>10}{'chars':>8}{'tokens':>8}{'to text s':>11}{'back s':>9}")
    for name, row in rows.items():
        notes = max(1, row.notes)
        print(
            f"{name:14}{100 * row.exact / row.scores:9.1f}{row.kept / row.scores:8.4f}"
            f"{100 * row.failures / row.scores:10.1f}{row.characters / notes:8.2f}{row.tokens / notes:8.2f}"
            f"{1000 * row.to_text_s / notes:11.3f}{1000 * row.back_s / notes:9.3f}"
        )
        for line in row.lost if options.lost else ():
            print("   ", line)
    if options.json:
        Path(options.json).write_text(json.dumps({n: vars(r) for n, r in rows.items()}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

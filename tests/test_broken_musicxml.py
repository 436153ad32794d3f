"""Whatever is done to a MusicXML document, it is read as it stands or refused by name; nothing else comes out."""

from __future__ import annotations

import random
import re
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from scorelm.errors import ScorelmError
from scorelm.musicxml.notices import notices
from scorelm.musicxml.reader import score_from_xml
from scorelm.musicxml.source import open_xml
from scorelm.musicxml.writer import write_musicxml
from scorelm.notation.normal import normalise
from scorelm.notation.reader import parse
from scorelm.notation.transform import strip
from scorelm.notation.writer import write

DOCUMENT = (Path(__file__).parent.parent / "FORMAT.md").read_text(encoding="utf-8")
SOURCES = [
    write_musicxml(parse(text)) for text in re.findall(r"^```score\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)
]
TEXTS = ["", "0", "-1", "1", "2", "7", "12", "0.33", "999999999999", "x", "1/3", "start", "stop", "begin", "end", "none",
         "quarter", "left", "middle", "backward", "²", "C", "B", "é\n|\"\\", "yes", "no", "crescendo", "single", "64", "sharp"]  # fmt: skip


def damaged(source: bytes, choose: random.Random, times: int) -> bytes:
    """Elements lost, doubled, moved, retyped; texts and attributes changed."""
    root = etree.fromstring(source)
    for _ in range(times):
        elements = [e for e in root.iter() if e is not root and e.tag not in ("part", "part-list")]
        if not elements:
            break
        element, other = choose.choice(elements), choose.choice(elements)
        parent = element.getparent()
        kind = choose.randrange(7)
        if kind == 0:
            parent.remove(element)
        elif kind == 1:
            parent.insert(choose.randrange(len(parent) + 1), etree.fromstring(etree.tostring(element)))
        elif kind == 2:
            parent.insert(choose.randrange(len(parent) + 1), etree.fromstring(etree.tostring(other)))
        elif kind == 3 and element.attrib:
            element.set(choose.choice(sorted(element.attrib)), choose.choice(TEXTS))
        elif kind == 4:
            element.tag = other.tag
        elif kind == 5 and element.attrib:
            del element.attrib[choose.choice(sorted(element.attrib))]
        else:
            element.text = choose.choice(TEXTS)
    return etree.tostring(root)


@settings(max_examples=max(300, settings.default.max_examples))
@given(st.sampled_from(SOURCES), st.integers(0, 2**32), st.integers(1, 12))
def test_a_damaged_document_is_read_whole_or_refused_by_name(source: bytes, seed: int, times: int) -> None:
    data = damaged(source, random.Random(seed), times)
    try:
        root = open_xml(data, "damaged")
        score = score_from_xml(root, "damaged")
    except ScorelmError as error:
        assert "damaged" in str(error)
        return
    list(notices(root, score))
    assert normalise(score) == score
    for profile in ("full", "core"):
        kept = strip(score, profile)
        try:
            text = write(kept)
        except ScorelmError:
            continue
        assert parse(text) == kept
        try:
            again = write_musicxml(kept)
        except ScorelmError:
            continue
        score_from_xml(open_xml(again, "again"))


@given(st.sampled_from(SOURCES), st.data())
def test_a_document_cut_or_changed_in_its_bytes_raises_nothing_else(source: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(source)))
    junk = data.draw(st.binary(max_size=8))
    try:
        score_from_xml(open_xml(source[:at] + junk + source[at + data.draw(st.integers(0, 40)) :], "cut"), "cut")
    except ScorelmError as error:
        assert "cut" in str(error)

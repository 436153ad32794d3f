"""Staves and systems are found on pictures that were drawn and worn, and single staves and systems are two ways of one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("resvg_py", reason="pictures need resvg")

from PIL import Image

from scorelm.errors import SourceError
from scorelm.notation.reader import parse
from scorelm.notation.sound import sound_problems
from scorelm.notation.writer import write
from vlm.data.config import DataConfig
from vlm.data.pieces import Piece
from vlm.data.record import ALIGNMENT, Record
from vlm.data.rendered import engraving
from vlm.reading.picture import ink_of, level, open_pictures, slope_of
from vlm.reading.staff_texts import apart, behind, together
from vlm.reading.staves import HEIGHT, SPACE, find_staves, strips
from vlm.student.samples import samples_of

CONFIG = DataConfig(engravers={"verovio": 1.0}, staff_px=20.0, transpose=False, worn=0.0, pages=0)


@pytest.fixture(scope="module")
def records(chorales: list[str]) -> list[Record]:
    """Clean systems and staves of some chorales."""
    found = [r for i, text in enumerate(chorales[:4]) for r in engraving(Piece(text, f"piece{i}", "train"), CONFIG)]
    return [record for record in found if record.phase == ALIGNMENT]


def test_nearly_all_systems_are_found_with_all_their_staves(records: list[Record]) -> None:
    right = 0
    for record in records:
        wanted = sum(part.staves for part in parse(record.answer).parts)
        right += [len(system) for system in strips(record.picture().convert("L"))] == [wanted]
    assert len(records) > 12
    assert right >= 0.9 * len(records)


@pytest.mark.parametrize(("scale", "angle"), [(2.0, 0.0), (3.0, 1.2), (1.5, -0.8)])
def test_larger_and_turned_pictures_have_the_same_staves(records: list[Record], scale: float, angle: float) -> None:
    record = next(r for r in records if r.task == "system")
    clean = record.picture().convert("L")
    large = clean.resize((round(clean.width * scale), round(clean.height * scale)), Image.Resampling.BICUBIC)
    turned = large.rotate(angle, Image.Resampling.BICUBIC, expand=True, fillcolor=255)
    first, second = strips(clean), strips(turned)
    assert [len(system) for system in first] == [len(system) for system in second]
    for a, b in zip(first[0], second[0]):
        assert a.shape[0] == b.shape[0] == HEIGHT
        assert abs(a.shape[1] - b.shape[1]) < 0.06 * a.shape[1]


def test_the_lines_of_a_strip_stand_where_they_always_do(records: list[Record]) -> None:
    record = next(r for r in records if r.task == "staff")
    strip = strips(record.picture().convert("L"))[0][0]
    profile = strip.sum(1)
    middle = HEIGHT // 2
    for line in range(-2, 3):
        around = profile[middle + line * SPACE - 1 : middle + line * SPACE + 2].max()
        assert around > profile[round(middle + (line + 0.5) * SPACE)] or around > 0.5 * profile.max()


def test_uneven_light_is_taken_away(records: list[Record]) -> None:
    grey = np.asarray(records[0].picture().convert("L"), np.float32)
    light = np.linspace(0.5, 0.95, grey.shape[1])[None]
    clean, dim = (
        ink_of(Image.fromarray(grey.astype(np.uint8))),
        ink_of(Image.fromarray((grey * light).astype(np.uint8))),
    )
    assert float(np.abs(clean - dim).mean()) < 0.02


def test_a_slope_is_measured_and_put_right(records: list[Record]) -> None:
    image = next(r for r in records if r.task == "system").picture().convert("L")
    turned = image.rotate(-1.5, Image.Resampling.BICUBIC, expand=True, fillcolor=255)
    assert slope_of(ink_of(turned)) == pytest.approx(np.tan(np.radians(1.5)), abs=0.004)
    assert abs(slope_of(ink_of(level(turned)))) < 0.004


def test_paper_has_no_staves(tmp_path: Path) -> None:
    assert strips(Image.new("L", (300, 200), 240)) == []
    noise = np.random.default_rng(0).integers(0, 255, (120, 160), dtype=np.uint8)
    assert all(staff.space > 0 for staff in find_staves(ink_of(Image.fromarray(noise))))
    (tmp_path / "no.png").write_bytes(b"no picture")
    with pytest.raises(SourceError, match="no picture"):
        open_pictures(tmp_path / "no.png")
    (tmp_path / "no.pdf").write_bytes(b"%PDF-1.4 broken")
    with pytest.raises(SourceError, match="no PDF"):
        open_pictures(tmp_path / "no.pdf")


def test_pages_of_a_pdf_are_read_in_order(records: list[Record], tmp_path: Path) -> None:
    pages = [record.picture().convert("L") for record in records[:2]]
    pages[0].save(tmp_path / "two.pdf", save_all=True, append_images=pages[1:], resolution=150)
    found = open_pictures(tmp_path / "two.pdf")
    assert [len(strips(page)[0]) for page in found] == [len(strips(page)[0]) for page in pages]


def test_staves_apart_and_together_are_the_same_score(records: list[Record]) -> None:
    for record in records:
        score = parse(record.answer)
        joined, doubts = together(apart(score))
        assert write(joined) == record.answer
        assert doubts == []


def test_staves_that_do_not_agree_are_doubted_and_made_to_fit() -> None:
    staves = [parse('|\n@4K0P""!clef-G2!CDEF|\n@2GA|\n'), parse('|\n@3K0P""!clef-F4!C,D,E,|\n@3F,G,A,|\n')]
    staves.append(parse('|\n@4K0P""!clef-F4!C,D,E,F,|\n@2GA|\n'))
    staves.append(parse('|\n@4K0P""!clef-F4!C,D,E,F,|\n'))
    score, doubts = together(staves)
    assert [(d.measure, d.staff) for d in doubts] == [(1, 2), (2, 2), (2, 4)]
    text = '|\n@4K0P""!clef-G2!CDEF;P""!clef-F4!C,D,E,z;P""!clef-F4!C,D,E,F,;P""!clef-F4!C,D,E,F,|\n@2GA;F,G,;GA;Z|\n'
    assert write(score) == text
    assert sound_problems(text) == []


def test_systems_one_behind_the_other_are_a_score() -> None:
    first, second = parse('|\nK1T3:4P"Soprano"!clef-G2!GAB|\n'), parse('|\n@3K1P""!clef-G2!ABc|\n@3h.d!end!|\n')
    assert write(behind([first, second])) == '|\nK1T3:4P"Soprano"!clef-G2!GAB|\nABc|\nh.d!end!|\n'


def test_a_system_gives_a_sample_of_each_staff_and_a_question_has_all(records: list[Record]) -> None:
    record = next(r for r in records if r.task == "system")
    samples = samples_of(record)
    assert len(samples) == len(parse(record.answer).parts)
    assert all(len(sample.strips) == 1 and sample.prompt == "" for sample in samples)
    asked = samples_of(replace(record, phase="extraction", prompt="Which clefs?", answer=json.dumps({"clefs": []})))
    assert [len(sample.strips) for sample in asked] == [len(samples)]


def test_staves_of_lines_thinner_than_a_pixel_are_found() -> None:
    picture = np.full((200, 500), 255, np.uint8)
    for top in (30, 120):
        picture[top : top + 21 : 5, 20:480] = 222
        for left in range(60, 440, 40):  # heads
            picture[top + 6 : top + 10, left : left + 6] = 0
    picture[30:141, 20] = 60
    systems = strips(Image.fromarray(picture))
    assert [len(system) for system in systems] == [2]


def drawn(tops: tuple[int, ...], ink: list[int], torn: int = 0) -> Image.Image:
    """Staves with lines of some ink each, the last one without its first columns, joined on the left."""
    picture = np.full((max(tops) + 80, 600), 255, np.uint8)
    for top, own in zip(tops, ink):
        left = 20 + (torn if top == tops[-1] else 0)
        for line in range(top, top + 41, 10):
            picture[line : line + 2, left:580] = 255 - own
        for x in range(80, 560, 60):  # heads
            picture[top + 12 : top + 20, x : x + 10] = 0
    picture[tops[0] : tops[-1] + 42, 19:22] = 0
    return Image.fromarray(picture)


@pytest.mark.parametrize(("ink", "torn"), [([255, 255, 255], 0), ([255, 60, 255], 0), ([255, 255, 255], 24)])
def test_a_faint_or_torn_staff_is_found_beside_clear_ones(ink: list[int], torn: int) -> None:
    assert [len(system) for system in strips(drawn((40, 140, 240), ink, torn))] == [3]


def test_grey_paper_is_no_line_that_joins_staves() -> None:
    picture = np.asarray(drawn((40, 140, 260), [255, 255, 255])).copy()
    picture[183:259, :] = np.where(picture[183:259, :] < 128, 200, 200)  # a shadow, and no line, between the last two
    assert [len(system) for system in strips(Image.fromarray(picture))] == [2, 1]

"""Scores are drawn: every page, every text, in one file of the kind that its name asks for."""

import io
import re
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from lxml import etree
from PIL import Image, ImageChops
from pypdf import PdfReader

from scorelm import render
from scorelm.errors import ScorelmError, SourceError

SVG = "{http://www.w3.org/2000/svg}"


def song(title: str = "Song", lyric: str = "la", tempo: str = "quarter", measures: int = 2, parts: int = 1) -> str:
    """A small song in MusicXML: a title, a metronome mark and a syllable under each note."""
    note = (
        "<note><pitch><step>C</step><octave>5</octave></pitch><duration>1</duration>"
        f"<type>quarter</type><lyric><text>{lyric}</text></lyric></note>"
    )
    first = (
        "<attributes><divisions>1</divisions><time><beats>4</beats><beat-type>4</beat-type></time>"
        "<clef><sign>G</sign><line>2</line></clef></attributes>"
        '<direction placement="above"><direction-type><words>Andante </words></direction-type>'
        f"<direction-type><metronome><beat-unit>{tempo}</beat-unit><per-minute>72</per-minute>"
        "</metronome></direction-type></direction>"
    )
    body = "".join(
        f'<measure number="{n}">{first if n == 1 else ""}{note * 4}</measure>' for n in range(1, measures + 1)
    )
    numbers = range(1, parts + 1)
    return (
        '<?xml version="1.0" encoding="UTF-8"?><score-partwise version="4.0">'
        f"<work><work-title>{title}</work-title></work><part-list>"
        + "".join(f'<score-part id="P{n}"><part-name>Voice {n}</part-name></score-part>' for n in numbers)
        + "</part-list>"
        + "".join(f'<part id="P{n}">{body}</part>' for n in numbers)
        + "</score-partwise>"
    )


def picture(musicxml: str) -> Image.Image:
    return Image.open(io.BytesIO(render.engrave_png(musicxml))).convert("L")


def texts(svg: str) -> str:
    found = etree.fromstring(svg.encode()).iter(f"{SVG}text")
    return " ".join("".join(text.itertext()) for text in found)


def ids(svg: str) -> Counter[str]:
    return Counter(etree.fromstring(svg.encode()).xpath("//@id"))


@pytest.mark.parametrize("words", ["Song", "Ténor & Bass", "夜曲"])
def test_title_lyrics_and_tempo_stand_in_the_svg(words: str) -> None:
    drawn = texts(render.engrave_tall_svg(song(title=words.replace("&", "&amp;"), lyric="zwölf")))
    for expected in (words, "zwölf", "Andante", "72", "Voice 1"):
        assert expected in drawn


@pytest.mark.parametrize(
    "changed",
    [{"title": "Sons"}, {"lyric": "lo"}, {"tempo": "half"}],
    ids=["title", "lyric", "metronome"],
)
def test_each_text_is_drawn_in_the_png(changed: dict[str, str]) -> None:
    # Were a text dropped, or a music sign an empty box, the two pictures would be the same.
    one, other = picture(song()), picture(song(**changed))
    assert one.size == other.size
    assert ImageChops.difference(one, other).getbbox() is not None


def test_a_dotted_metronome_mark_is_drawn_in_the_png() -> None:
    dotted = [picture(song(tempo=f"{unit}</beat-unit><beat-unit-dot/><beat-unit>").replace("<beat-unit></beat-unit>", ""))
              for unit in ("quarter", "half")]  # fmt: skip
    assert ImageChops.difference(*dotted).getbbox() is not None


def test_a_png_is_dark_on_white_and_wide_enough_to_read() -> None:
    drawn = picture(song())
    assert drawn.width == 1680
    assert drawn.getpixel((0, 0)) == 255
    assert 0.005 < drawn.histogram()[0] / (drawn.width * drawn.height) < 0.2


def test_a_page_is_as_high_as_its_music() -> None:
    assert picture(song()).height < 600
    assert picture(song(measures=30)).height > 1.5 * picture(song()).height


def test_a_long_score_has_pages_in_pdf_and_is_one_tall_picture_elsewhere() -> None:
    long = song(measures=100)
    pages = render.engrave_svg(long)
    assert len(pages) > 1
    pdf = PdfReader(io.BytesIO(render.engrave_pdf(long)))
    sizes = {(round(page.mediabox.width), round(page.mediabox.height)) for page in pdf.pages}
    assert sizes == {(595, 842)}
    assert len(pdf.pages) == len(pages)
    tall = render.engrave_tall_svg(long)
    assert texts(tall).count("la") == 400
    assert sum(texts(page).count("la") for page in pages) == 400


def test_a_system_higher_than_a_page_is_not_cut() -> None:
    pdf = PdfReader(io.BytesIO(render.engrave_pdf(song(measures=1, parts=40))))
    assert len(pdf.pages) == 1
    assert pdf.pages[0].mediabox.height > 842


def test_stacked_pages_are_one_svg_whose_ids_are_unique() -> None:
    pages = render.engrave_svg(song(measures=100))
    stacked = render._stack(pages)
    once = sum((ids(page) for page in pages), Counter())
    assert ids(stacked).keys() != once.keys()
    assert max(ids(stacked).values()) == 1
    assert render._size(stacked)[1] == sum(render._size(page)[1] for page in pages)
    tops = [
        int(str(page.get("y")).removesuffix("px"))
        for page in etree.fromstring(stacked.encode()).iterchildren(f"{SVG}svg")
    ]
    assert tops == sorted(tops) and len(tops) == len(pages)
    for reference in re.findall(r'href="#([^"]+)"', stacked):
        assert reference in ids(stacked)


def test_a_score_too_tall_for_one_image_is_drawn_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    full = picture(song(measures=30))
    monkeypatch.setattr(render, "_PNG_TALLEST", 500)
    small = picture(song(measures=30))
    assert full.height > small.height
    assert abs(small.height - 500) <= 1
    assert small.width / small.height == pytest.approx(full.width / full.height, rel=0.01)


def test_a_score_too_tall_for_one_page_of_verovio_is_stacked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(render, "_TALLEST", 1000)
    tall = render.engrave_tall_svg(song(measures=50))
    assert texts(tall).count("la") == 200
    assert len(etree.fromstring(tall.encode()).findall(f"{SVG}svg")) > 1


def test_the_same_score_gives_the_same_picture() -> None:
    assert render.engrave_tall_svg(song()) == render.engrave_tall_svg(song())
    assert render.engrave_png(song()) == render.engrave_png(song())


def test_other_encodings_are_read() -> None:
    utf16 = song(title="Ténor").replace("UTF-8", "UTF-16").encode("utf-16")
    assert "Ténor" in texts(render.engrave_tall_svg(utf16))
    assert "Ténor" in texts(render.engrave_tall_svg(song(title="Ténor").encode()))


@pytest.mark.parametrize(("name", "start"), [("a.svg", b"<svg"), ("a.png", b"\x89PNG"), ("a.PDF", b"%PDF")])
def test_the_name_says_what_is_drawn(tmp_path: Path, name: str, start: bytes) -> None:
    path = render.engrave(song(), tmp_path / name)
    assert path == tmp_path / name
    assert path.read_bytes().startswith(start)


def test_a_name_with_another_ending_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ScorelmError, match=r"^a\.jpg: a picture's name ends in \.svg, \.png, \.pdf$"):
        render.engrave(song(), tmp_path / "a.jpg")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("musicxml", "words"),
    [
        ("", "no MusicXML: "),
        ("<score-partwise", "no MusicXML: "),
        (b"\xff\xfe", "no MusicXML: "),
        ("<html/>", "no MusicXML: expected <score-partwise>, found <html>"),
    ],
)
def test_what_is_no_musicxml_is_refused(musicxml: str | bytes, words: str) -> None:
    with pytest.raises(SourceError, match=f"^{re.escape(words)}"):
        render.engrave_svg(musicxml)


def test_a_score_without_music_is_an_empty_page() -> None:
    empty = '<score-partwise version="4.0"><part-list/></score-partwise>'
    assert picture(empty).getextrema() == (255, 255)


def test_what_ends_and_never_began_does_not_kill_verovio() -> None:
    line = '<direction><direction-type><principal-voice type="{}" symbol="none"/></direction-type></direction>'
    start = "<attributes><divisions>1</divisions><time><beats>4</beats><beat-type>4</beat-type></time></attributes>"
    note = "<note><rest/><duration>1</duration><type>quarter</type></note>"
    music = {
        "P1": [line.format(turn) for turn in ("stop", "start", "stop", "stop", "start")],
        "P2": [line.format("stop")],
    }
    names = "".join(f'<score-part id="{name}"><part-name/></score-part>' for name in music)
    parts = "".join(
        f'<part id="{name}"><measure number="1">{start}{note.join([*lines, ""])}</measure></part>'
        for name, lines in music.items()
    )
    drawn = render.engrave_tall_svg(
        f'<score-partwise version="4.0"><part-list>{names}</part-list>{parts}</score-partwise>'
    )
    assert drawn.count('class="rest') == 6


def test_verovio_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    render.engrave_svg('<score-partwise version="4.0"><part-list/></score-partwise>')
    assert capfd.readouterr() == ("", "")


def test_a_machine_without_cairo_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    class NoCairo:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "cairosvg":
                raise OSError('no library called "cairo-2" was found')

    render._surface.cache_clear()
    for name in [name for name in sys.modules if name.split(".")[0] == "cairosvg"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [NoCairo(), *sys.meta_path])
    assert render.engrave_tall_svg(song()).startswith("<svg")
    with pytest.raises(ScorelmError, match=r"^PNG needs the Cairo library"):
        render.engrave_png(song())


def test_a_score_is_drawn_in_any_thread() -> None:
    first = render.engrave_tall_svg(song())
    with ThreadPoolExecutor(1) as other:
        assert other.submit(render.engrave_tall_svg, song()).result() == first

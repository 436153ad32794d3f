"""What holds for every score and every string."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st
from strategies import ANY_TEXT, scores, sound_texts

from scorelm.errors import FormatError, ScoreError
from scorelm.notation.lexemes import cut
from scorelm.notation.model import Score
from scorelm.notation.normal import normalise
from scorelm.notation.reader import parse
from scorelm.notation.repair import repair
from scorelm.notation.sound import sound_problems
from scorelm.notation.transform import extract, strip, transpose
from scorelm.notation.writer import write

MANY = settings(max_examples=max(400, settings.default.max_examples))


@MANY
@given(scores())
def test_a_score_survives_being_written_and_read(score: Score) -> None:
    assert parse(write(score)) == score


@given(scores())
def test_what_is_written_is_canonical(score: Score) -> None:
    text = write(score)
    assert write(parse(text)) == text
    assert normalise(score) == score


@given(scores())
def test_a_text_cut_behind_any_delimiter_is_a_score(score: Score) -> None:
    text = write(score)
    measures = text.split("|")[1:-1]
    for count in range(1, len(measures) + 1):
        begun = parse("|" + "|".join(measures[:count]) + "|")
        assert begun.measures == score.measures[:count]


@MANY
@given(ANY_TEXT)
@example("")
@example("|")
@example('"')
@example('|\nT4:4P"A"CDE')
@example("|" * 5)
def test_any_string_can_be_repaired(text: str) -> None:
    mended, problems = repair(text)
    assert write(parse(mended)) == mended
    assert repair(mended) == (mended, ())
    if not problems:
        parse(text)


@given(ANY_TEXT)
def test_the_reader_raises_nothing_but_its_own_error(text: str) -> None:
    try:
        score = parse(text)
    except FormatError as error:
        assert error.line >= 1 and error.column >= 1 and error.measure >= 0
    else:
        assert parse(write(score)) == score


@given(scores(), st.integers(0, 10**6))
def test_a_cut_text_keeps_the_whole_measures_before_the_cut(score: Score, at: int) -> None:
    text = write(score)
    piece = text[: at % (len(text) + 1)]
    whole = piece.split("|")[:-1]
    assert repair(piece)[0].split("|")[: len(whole)] == whole


@given(sound_texts())
def test_a_text_that_followed_the_sound_level_is_readable_and_sound(text: str) -> None:
    score = parse(text)
    assert sound_problems(text) == []
    assert parse(write(score)) == score


@given(scores())
def test_an_excerpt_of_everything_is_everything(score: Score) -> None:
    assert extract(score) == score


@given(scores())
def test_an_excerpt_from_the_middle_has_the_same_music(score: Score) -> None:
    last = len(score.measures)
    try:
        excerpt = extract(score, (last, last))
    except ScoreError:
        return
    assert parse(write(excerpt)) == excerpt
    assert [p and [s.voices for s in p.staves] for p in excerpt.measures[0].parts] == [
        p and [s.voices for s in p.staves] for p in score.measures[-1].parts
    ]


@given(scores())
def test_a_profile_can_be_taken_twice(score: Score) -> None:
    assert strip(strip(score)) == strip(score)
    assert strip(score, "full") == score


@given(scores(), st.sampled_from(["m2", "-M3", "P5", "A4", "-P8"]))
@example(parse('|\nT4:4P""wC+nC|\n'), "m2")
def test_a_transposition_can_be_taken_back(score: Score, interval: str) -> None:
    back = interval[1:] if interval.startswith("-") else "-" + interval
    try:
        moved = transpose(score, interval)
        write(moved)
    except ScoreError:  # beyond the range of pitches or keys
        return
    assert transpose(moved, back) == score


@given(scores())
def test_a_text_is_cut_into_lexemes_without_loss(score: Score) -> None:
    text = write(score)
    pieces = b"".join(bytes([int(x[3:5], 16)]) if x.startswith("<0x") else x.encode() for x in cut(text))
    outside = "".join(text.split("\n"))
    assert pieces.decode() == outside

"""MIDI that was written from a score gives the notes back, spelled as before; every guess is said."""

from __future__ import annotations

import random
from collections import Counter
from fractions import Fraction
from typing import Any

import pytest
from music21 import midi as midis

import scorelm
from scorelm import music21_bridge
from scorelm.errors import SourceError
from scorelm.sources import midi
from scorelm.sources.grid import GRIDS, exact_grid, nearest
from scorelm.sources.hands import split_hands
from scorelm.sources.metre import best_metre, best_pickup
from scorelm.sources.sounds import Sound, close_gaps, voices
from scorelm.sources.spelling import spell

Event = tuple[int, bytes]


def file(*tracks: list[Event], kind: int = 1, ticks: int = 480) -> bytes:
    """A MIDI file of (tick, message) events."""
    out = b"MThd" + (6).to_bytes(4, "big") + b"".join(n.to_bytes(2, "big") for n in (kind, len(tracks), ticks))
    for events in tracks:
        body, before = b"", 0
        for tick, message in [*events, (max((t for t, _ in events), default=0), b"\xff\x2f\x00")]:
            body += midis.putVariableLengthNumber(tick - before) + message
            before = tick
        out += b"MTrk" + len(body).to_bytes(4, "big") + body
    return out


def notes(*sounds: tuple[int, int, int], channel: int = 0) -> list[Event]:
    """(start, end, pitch) in ticks as messages."""
    out = [(s, bytes((0x90 | channel, p, 64)), 1) for s, _, p in sounds]
    out += [(e, bytes((0x80 | channel, p, 0)), 0) for _, e, p in sounds]
    return [(t, m) for t, m, _ in sorted(out, key=lambda x: (x[0], x[2]))]


def heard(score: Any) -> Counter[tuple[Fraction, Fraction, str]]:
    """Every note: onset, length and name."""
    score = score.stripTies(matchByPitch=True)
    out: Counter[tuple[Fraction, Fraction, str]] = Counter()
    for element in score.recurse().notes:
        for pitch in () if element.duration.isGrace else element.pitches:
            at = Fraction(element.getOffsetInHierarchy(score)).limit_denominator(960)
            out[at, Fraction(element.quarterLength).limit_denominator(960), pitch.nameWithOctave] += 1
    return out


@pytest.mark.parametrize("name", ["bach/bwv66.6", "bach/bwv253", "bach/bwv40.8", "mozart/k80/movement3"])
def test_a_score_written_as_midi_comes_back_note_for_note_and_spelled(name: str) -> None:
    (score,) = music21_bridge.read_streams(name)
    for measure in score.recurse().getElementsByClass("Measure"):
        measure.leftBarline = measure.rightBarline = None  # no repeats
    data = midis.translate.streamToMidiFile(score).writestr()
    back, said = midi.read(data, name)
    assert heard(back) == heard(score)
    assert any("no onsets moved" in notice for notice in said)


def test_a_chorale_without_key_signature_is_spelled_by_analysis() -> None:
    (score,) = music21_bridge.read_streams("bach/bwv66.6")
    for key in list(score.recurse().getElementsByClass("KeySignature")):
        key.activeSite.remove(key)
    back, said = midi.read(midis.translate.streamToMidiFile(score).writestr(), "x")
    assert heard(back) == heard(score)
    assert "no key signature at the start: F# minor by analysis, pitches spelled by it" in said


def test_played_notes_move_to_the_grid_and_it_is_said() -> None:
    chance = random.Random(1)
    played = [(480 * i + chance.randint(0, 30), 480 * i + 440 + chance.randint(-20, 20), 60 + i % 5) for i in range(16)]
    back, said = midi.read(file(notes(*played)), "x")
    assert {(at % 1, length) for at, length, _ in heard(back)} == {(0, 1)}
    assert any("13 of 16 onsets moved, by 0.058 quarters at most" in n for n in said)


def test_a_file_of_type_0_is_split_by_channel_and_drums_are_unpitched() -> None:
    data = file([*notes((0, 480, 60), (480, 960, 62)), *notes((960, 1440, 36), (960, 1440, 42), channel=9)], kind=0)
    back, said = midi.read(data, "x")
    assert [p.partName for p in back.parts] == ["", "Drums"]
    assert len(back.parts[1].recurse().getElementsByClass("PercussionChord")) == 1
    assert any("split by channel into 2 parts" in n for n in said)
    assert any("drums" in n for n in said)
    assert "!clef-percussion!" in scorelm.encode(back)


def test_a_piano_on_one_track_is_split_into_two_hands() -> None:
    hands = [(i * 480, i * 480 + 480, p) for i in range(8) for p in (40 + i % 3, 47, 72 + i % 4, 76)]
    back, said = midi.read(file(notes(*hands)), "x")
    assert [len(p.recurse().notes) for p in back.parts] == [8, 8]
    assert any("two hands on two staves guessed (16 and 16 notes)" in n for n in said)


def test_marks_of_the_file_are_kept_or_named(tmp_path: Any) -> None:
    track = [
        (0, b"\xff\x03\x05Viola"), (0, b"\xff\x51\x03\x09\x27\xc0"), (0, b"\xff\x58\x04\x03\x02\x18\x08"),
        (0, b"\xff\x59\x02\xfd\x00"), (0, b"\xe0\x00\x50"), *notes((0, 480, 63), (480, 960, 65), (960, 1440, 67)),
    ]  # fmt: skip
    (tmp_path / "a.mid").write_bytes(file(track))
    said: list[str] = []
    text = scorelm.encode(tmp_path / "a.mid", "full", said.append)
    assert '!metronome!"q"100' in text
    assert text.splitlines()[1].startswith('K-3!major!T3:4P"Viola"')
    assert text.splitlines()[1].endswith("100_EFG!end!|")
    assert "left out: bends of pitch (1)" in said


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"hello", "does not begin with a header"),
        (file(), "holds no notes"),
        (file([]), "holds no notes"),
        (file([], ticks=0xE728), "in frames"),
        (file([], ticks=0), "no ticks"),
        (file([], kind=2), "type 2"),
    ],
)
def test_a_file_that_is_no_score_is_refused_by_name(data: bytes, words: str) -> None:
    with pytest.raises(SourceError, match=r"^x: ") as raised:
        midi.read(data, "x")
    assert words in str(raised.value)


def test_a_file_that_breaks_off_is_read_as_far_as_it_goes() -> None:
    back, said = midi.read(file(notes((0, 480, 60), (480, 960, 62)))[:-8], "x")
    assert [name for _, _, name in heard(back)] == ["C4", "D4"]
    assert "track 1: the file breaks off 8 bytes before its end" in said


def test_notes_that_overlap_are_voices_and_short_gaps_close() -> None:
    long, short, after = (
        Sound(Fraction(0), Fraction(2), 48),
        Sound(Fraction(0), Fraction(1), 60),
        Sound(Fraction(1), Fraction(2), 62),
    )
    assert [[e.pitches for e in v] for v in voices([long, short, after])] == [[(60,), (62,)], [(48,)]]
    early = Sound(Fraction(0), Fraction(7, 8), 60)
    assert close_gaps([early, after], Fraction(1, 4)) == ([Sound(Fraction(0), Fraction(1), 60), after], 1)


def test_the_grid_is_the_coarsest_that_fits() -> None:
    thirds = [Fraction(n, 3) for n in range(6)]
    assert exact_grid(thirds, thirds) == (3,)
    assert exact_grid([*thirds, Fraction(1, 4)], thirds) == (4, 3)
    assert exact_grid([Fraction(2, 19)], [Fraction(1)]) is None
    assert nearest(Fraction(5, 12), GRIDS[(4, 3)]) == Fraction(1, 3)


def test_chromatic_notes_are_spelled_by_key_and_neighbours() -> None:
    tune = [Sound(Fraction(i), Fraction(i + 1), p) for i, p in enumerate([57, 59, 60, 62, 64, 65, 68, 69])]
    names = spell(tune, {Fraction(0): (0, "minor")})
    assert names[Fraction(6), 68] == "G#4"
    flat = [Sound(Fraction(i), Fraction(i + 1), p) for i, p in enumerate([63, 65, 67, 68, 70, 72, 61, 63])]
    assert spell(flat, {Fraction(0): (-3, "major")})[Fraction(6), 61] == "D-4"


def test_metre_pickup_and_hands_are_guessed_from_where_notes_begin() -> None:
    waltz = [
        Sound(Fraction(3 * i + j), Fraction(3 * i + j + (2 if j == 0 else 1)), 60) for i in range(8) for j in (0, 2)
    ]
    assert best_metre(waltz) == (3, 4)
    upbeat = [
        Sound(Fraction(0), Fraction(1), 60),
        *(Sound(Fraction(1 + 4 * i), Fraction(5 + 4 * i), 60) for i in range(6)),
    ]
    assert best_pickup(upbeat, Fraction(4)) == 1
    right, left = split_hands([Sound(Fraction(0), Fraction(1), p) for p in (48, 52, 72, 76)])
    assert [s.pitch for s in right] == [72, 76]
    assert [s.pitch for s in left] == [48, 52]


@pytest.mark.parametrize(
    "text", ['|\nT4:4P"A"wC;P"B"!absent!|\n', '|\nK!_B^F:T4:4P"A"wC|\n', '|\nT4:4P"A"h%1:3C%33:100C|\n']
)
def test_what_midi_does_not_know_is_left_out_of_it(text: str) -> None:
    score = midi.read(music21_bridge.midi(scorelm.notation.reader.parse(text)), "written")[0]
    assert sum((n.quarterLength for n in score.recurse().notes), Fraction(0)) == 4


def test_notes_lower_than_a_text_goes_stay_what_they_are_in_their_octave() -> None:
    score, said = midi.read(file(notes((0, 480, 0), (480, 960, 11), (960, 1440, 60))), "low")
    assert [p.midi for p in score.pitches] == [12, 23, 60]
    assert any("2 notes below C0" in line for line in said)

"""What is counted in music, on scores small enough to count by hand."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest

from scorelm.analysis import distributions, tonality
from scorelm.analysis.copies import Index
from scorelm.analysis.lines import lines, moments
from scorelm.analysis.summary import count, figures
from scorelm.analysis.voice_leading import voice_leading
from scorelm.notation.model import Score
from scorelm.notation.reader import parse
from scorelm.notation.transform import transpose
from scorelm.notation.writer import write


def duet(upper: str, lower: str, names: tuple[str, str] = ("Soprano", "Bass")) -> Score:
    """Measures of both voices, parted by `|`, in 4/4."""
    pairs = list(zip(upper.split("|"), lower.split("|"), strict=True))
    head = f'K0!major!T4:4P"{names[0]}"!clef-G2!{pairs[0][0]};P"{names[1]}"!clef-F4!{pairs[0][1]}|'
    return parse("|" + head + "".join(f"{one};{other}|" for one, other in pairs[1:]))


@pytest.mark.parametrize(
    "upper, lower, pairs, fifths, octaves",
    [
        ("GAhG", "CDhC", 2, 2, 0),
        ("gahg", "CDhC", 2, 2, 0),  # twelfths
        ("GdhG", "CG,hC", 2, 2, 0),  # a fifth and a twelfth, by contrary motion
        ("cdhe", "CDhE", 2, 0, 2),
        ("CDhE", "CDhE", 2, 0, 2),  # unisons
        ("CDhE", "GAhB", 2, 2, 0),  # crossed voices are fifths apart too
        ("GGhA", "CChD", 1, 1, 0),  # repeated notes do not move
        ("hGhA", "CDhE", 1, 0, 0),  # the held note does not; two fourths are none
        ("GAhB", "CEhG", 2, 0, 0),
        ("^GAhB", "CDhE", 2, 1, 0),  # an augmented fifth is none
        ("__AAhB", "CDhE", 2, 1, 0),  # nor is a diminished sixth
        ("_GAhB", "CDhE", 2, 1, 0),  # nor a diminished fifth
        ("GzhA", "CDhE", 0, 0, 0),  # a rest parts what stands around it
        ("G-GhA", "C-ChD", 1, 1, 0),  # tied heads are one note
    ],
)
def test_parallels_are_counted_as_defined(upper: str, lower: str, pairs: int, fifths: int, octaves: int) -> None:
    found = voice_leading(lines(duet(upper, lower)))
    assert (found["moving_pairs"], found["fifths"], found["octaves"]) == (pairs, fifths, octaves)


def test_contrary_motion_is_told_apart() -> None:
    assert voice_leading(lines(duet("GdhG", "CG,hC")))["fifths_contrary"] == 2
    assert voice_leading(lines(duet("GAhG", "CDhC")))["fifths_contrary"] == 0


def test_parallels_go_over_the_barline() -> None:
    found = voice_leading(lines(duet("wG|wA", "wC|wD")))
    assert (found["moving_pairs"], found["fifths"]) == (1, 1)


def test_every_pair_of_voices_counts() -> None:
    score = parse('|T2:4P"A"GA;P"B"CD;P"C"C,D,|')
    found = voice_leading(lines(score))
    assert (found["moving_pairs"], found["fifths"], found["octaves"]) == (3, 2, 1)


def test_instruments_beside_a_choir_are_left_out() -> None:
    score = parse('|T2:4P"Violin"cd;P"Soprano"CD;P"Bass"E,F,|')
    assert voice_leading(lines(score))["moving_pairs"] == 1


def test_crossings_and_ranges() -> None:
    found = voice_leading(lines(duet("CDhE", "B,EhE")))
    assert (found["simultaneities"], found["crossings"]) == (3, 1)  # a unison is no crossing
    found = voice_leading(lines(duet("a^ahB,", "E,,_E,,h^D")))
    assert (found["ranged"], found["out_of_range"]) == (6, 4)


def test_a_transposing_part_sounds_where_it_says() -> None:
    score = parse('|T1:4P"Clarinet"!instrument!72!transpose!-2,-1d;P"Flute"c|')
    assert [line.notes[0].midi for line in lines(score)] == [72, 72]


@pytest.mark.parametrize(
    "head, step, pitch_class, major",
    [("K0!major!", 0, 0, True), ("K1!minor!", 2, 4, False), ("K-3!major!", 2, 3, True), ("K-1!dorian!", 4, 7, False)],
)
def test_the_tonic_is_what_key_and_mode_say(head: str, step: int, pitch_class: int, major: bool) -> None:
    tonic = tonality.declared(parse(f'|{head}T1:4P"A"c|'))
    assert tonic == tonality.Tonic(step, pitch_class, major)
    assert tonality.declared(parse('|K1T1:4P"A"c|')) is None


@pytest.mark.parametrize(
    "music, key",
    [("CDEFGABchcwcwGwC", (0, True)), ("A,B,CDEF^GAhAwAwEwA,", (9, False)), ("GABcde^fghgwgwdwG", (7, True))],
)
def test_the_key_of_a_scale_that_ends_at_home_is_found(music: str, key: tuple[int, bool]) -> None:
    assert tonality.estimated(lines(parse(f'|@22TxP"A"q{music}|'))) == key


@pytest.mark.parametrize(
    "last, triad, tonic", [("C;G;e;C,", 1, 1), ("C;G;e;E,", 0, 0), ("B;G;d;G,", 1, 0), ("C;G;G;C,", 0, 0)]
)
def test_the_last_chord(last: str, triad: bool, tonic: bool) -> None:
    parts = zip(("A", "B", "C", "D"), last.split(";"))
    score = parse("|K0!major!T1:4" + ";".join(f'P"{name}"{note}' for name, note in parts) + "|")
    chain = moments(lines(score))
    home = tonality.declared(score)
    assert home is not None
    assert (tonality.root_position_triad(chain[-1]), tonality.ends_on_tonic(chain, home)) == (triad, tonic)


def test_fermatas_that_overlap_are_one_chord_and_its_bass_has_a_degree() -> None:
    score = duet("cHhcHqd", "CHCHEHG,")
    chain = moments(lines(score))
    held = tonality.fermata_moments(lines(score), chain)
    assert [moment.onset for moment in held] == [2, 3]
    home = tonality.declared(score)
    assert home is not None
    assert tonality.bass_degrees(held, home) == {3: 1, 5: 1}


def test_histograms() -> None:
    score = duet("cdcd-|dczc", "wC|wD")
    found = lines(score)[:1]
    assert distributions.durations(found) == {Fraction(1): 5, Fraction(2): 1}
    assert distributions.melodic_intervals(found) == {2: 2, -2: 2}
    assert distributions.pitch_classes(found, tonality.declared(score)) == {0: 4, 2: 2}


def test_the_distance_of_jensen_and_shannon() -> None:
    assert distributions.jensen_shannon({1: 2, 2: 2}, {1: 5, 2: 5}) == 0
    assert distributions.jensen_shannon({1: 2}, {2: 7}) == 1
    assert distributions.jensen_shannon({}, {2: 7}) is None
    # against its half: KL of each to the middle (.75, .25)
    middle = (math.log2(1 / 0.75) + 0.5 * math.log2(0.5 / 0.75) + 0.5 * math.log2(0.5 / 0.25)) / 2
    assert distributions.jensen_shannon({1: 1}, {1: 1, 2: 1}) == pytest.approx(math.sqrt(middle))


def test_a_copied_run_is_found_after_transposition(chorales: list[str]) -> None:
    bach, other = parse(chorales[0]), parse(chorales[2])
    index = Index([("one", bach), ("two", other)])
    run = index.longest(transpose(bach, "m3"))
    assert (run.measures, run.at, run.source, run.source_at) == (len(bach.measures), 1, "one", 1)
    assert run.semitones == 3
    assert not run.cadence
    assert index.longest(bach, but="one").measures < 3


def test_a_run_ends_where_its_interval_changes_and_where_anything_differs() -> None:
    index = Index([("x", duet("CDEF|EFGA|wG|wC", "wC,|wD,|wG,|wC,"))])

    def longest(upper: str, lower: str) -> tuple[int, int, int]:
        run = index.longest(duet(upper, lower))
        return run.measures, run.at, run.source_at

    assert longest("wA|CDEF|EFGA|wA", "wE|wC,|wD,|wE,") == (2, 2, 1)
    assert longest("CDEF|^FGAB", "wC,|wE,") == (1, 1, 1)  # the second is a tone higher and has another third
    assert longest("CDEF|DEFG", "wC,|wC,") == (1, 1, 1)
    assert longest("CDEF|^F^GAB", "wC,|wE,")[0] == 1
    assert longest("CDEG", "wC,") == (0, 0, 0)
    assert longest("hCqDE", "wC,") == (0, 0, 0)


def test_a_short_run_that_leads_to_a_fermata_is_a_cadence() -> None:
    index = Index([("x", duet("CDEF|wC|wD", "wC,|wC,|wD,"))])
    assert index.longest(duet("wB|CDEF|HwC", "wB,|wC,|wC,")).cadence
    assert not index.longest(duet("wB|CDEF|wC", "wB,|wC,|wC,")).cadence
    assert not index.longest(duet("CDEF|wC|HwD", "wC,|wC,|wD,")).cadence  # three measures


def test_measures_of_rests_alone_neither_begin_nor_break_a_run() -> None:
    index = Index([("x", duet("CDEF|Z|wG", "wC,|Z|wE,"))])
    run = index.longest(transpose(duet("CDEF|Z|wG", "wC,|Z|wE,"), "M2"))
    assert (run.measures, run.at, run.source_at) == (3, 1, 1)
    assert index.longest(duet("Z|Z", "Z|Z")).measures == 0


def test_the_figures_of_bach_beside_themselves(chorales: list[str]) -> None:
    pieces = [(str(number), text) for number, text in enumerate(chorales[:4])]
    index = Index((name, parse(text)) for name, text in pieces)
    found = figures(count(pieces, index, but_itself=True), count(pieces, sound=False))
    assert found["parse"] == found["sound"] == 1
    assert found["pitch_class_distance"] == found["duration_distance"] == 0
    assert 3 < found["notes_per_quarter"] < 6
    assert found["parallel_octaves_per_1000"] < 5
    assert found["copied"]["max_measures"] < 4
    assert figures(count(pieces, index), count(pieces))["copied"]["pieces_above_4_measures"] == 4


def test_parallels_of_singers_are_given_apart_where_two_or_more_sing() -> None:
    music = '|T4:4P"{}"hcd;P"{}"hCD|'
    pieces = [("sung", music.format("Soprano", "Alto")), ("played", music.format("Soprano", "Flute"))]
    found = count([pieces[0], pieces[1], ("still", '|T4:4P"Soprano"hcc;P"Alto"hCD|')], sound=False)
    shown = figures(found, found)
    assert shown["pairs_moving_together"] == 2 and shown["pieces_for_singers"] == 2
    assert shown["parallel_octaves_of_singers_per_1000"] == 1000 and shown["parallel_fifths_of_singers_per_1000"] == 0
    played = figures(count([pieces[1]], sound=False), found)
    assert played["parallel_octaves_per_1000"] == 1000 and played["parallel_octaves_of_singers_per_1000"] is None


def test_text_that_does_not_parse_is_counted_and_said() -> None:
    said: list[str] = []
    found = count([("broken", '|T4:4P"A"C|'), ("empty", "|")], say=said.append)
    assert (found.pieces, found.parsed) == (2, 1)
    assert said[0].startswith("broken: ")
    assert figures(found, found)["parallel_fifths_per_1000"] is None


def test_a_score_survives_its_transposition_in_what_is_counted(chorales: list[str]) -> None:
    moved = write(transpose(parse(chorales[0]), "-M2"))
    one, other = (
        figures(count([("x", text)], sound=False), count([("x", chorales[0])])) for text in (chorales[0], moved)
    )
    assert one | {"out_of_range_per_1000_notes": 0} == other | {"out_of_range_per_1000_notes": 0}

"""Strict voice leading: what is refused, where, and that nothing else is."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from scorelm import extract
from scorelm.analysis.lines import lines
from scorelm.analysis.voice_leading import voice_leading
from scorelm.bound.strict import AWAY, PITCHES, Voices, strict
from scorelm.bound.walk import Ids
from scorelm.compose import Wish, generate
from scorelm.errors import ConfigError
from scorelm.generation import SHIPPED, Student
from scorelm.notation.lexemes import FINAL, cut
from scorelm.notation.reader import parse
from scorelm.notation.sound import Sound, sound_problems
from scorelm.sampling import Sampling
from scorelm.underway import AGAINST, Text

CHOIR = "Soprano,Alto,Tenor,Bass"


@pytest.fixture(scope="module")
def shipped() -> Student:
    return Student(SHIPPED)


def counted(text: str) -> Counter[str]:
    return voice_leading(lines(parse(text)))


def broken(found: Counter[str]) -> int:
    return found["fifths"] + found["octaves"] + found["crossings"]


def let_go(text: str, given: str) -> int:
    """How many notes of a text the rule was let go for."""
    node, found = strict(Sound("|"), given=tuple(lines(parse(given)))).node, 0
    for lexeme in cut(text)[1:]:
        before, node = node, node.push(lexeme)
        found += lexeme in PITCHES and node.against > before.against
    return found


def pitches(text: str, begun: str, **given: object) -> frozenset[str]:
    """The pitches that may stand behind a beginning, all of which is written by the rule."""
    walk = strict(Sound(text, measures=9), text, **given)  # type: ignore[arg-type]
    for lexeme in cut(begun):
        walk.push(lexeme)
    return walk.allowed & PITCHES


def two(upper: str, lower: str, first: str = "Soprano", second: str = "Tenor") -> str:
    return f'T4:4P"{first}"{upper};P"{second}"{lower}'


# -- what is refused --------------------------------------------------------------------------------


def test_a_fermata_stands_on_a_triad() -> None:
    under = pitches("|", two("Hwc", "Hw"))
    assert {"C", "E", "F", "_E", "A,", "G"} <= under and not {"D", "B,", "^F"} & under
    assert {"D", "B,"} <= pitches("|", two("Hwc", "w")), "it is over the upper one alone"
    in_bass = pitches("|", two("Hwc", "Hw", "Soprano", "Bass"))
    assert {"C", "A,", "F,"} <= in_bass and not {"G,", "D,"} & in_bass, "a triad is not over its fifth"


def test_parallel_fifths_and_octaves_are_refused() -> None:
    fifths = pitches("|", two("hGA", "hC"))
    assert not {"D", "D,", "D,,"} & fifths
    assert {"C", "E", "F", "^D", "_D", "A,"} <= fifths
    octaves = pitches("|", two("hcB", "hC"))
    assert not {"B", "B,", "B,,"} & octaves
    assert {"C", "E,", "_B,"} <= octaves


def test_a_voice_that_stays_or_comes_later_makes_no_parallel() -> None:
    assert "C" in pitches("|", two("hGG", "hC"))
    assert "D" in pitches("|", two("hGqAA", "Cz"))  # the lower voice rests where the upper one moves
    assert "D" in pitches("|", two("h.GqA", "hC"))  # it moves before


def test_barlines_and_ties_are_passed() -> None:
    lead = "|" + two("hGG", "hCC") + "|"
    assert "D" not in pitches(lead, "hAA;h")
    tied = "|" + two("hGG-", "hCC-") + "|"
    assert "D" not in pitches(tied, "hGA;hC")


def test_voices_do_not_cross_while_a_note_lasts() -> None:
    found = pitches("|", two("cBAG", "h", second="Alto"))
    assert {"B", "A", "C"} <= found and not {"c", "^B", "c'"} & found  # ^B sounds as c does, above B
    assert "A" not in pitches("|", two("hcG", "w", second="Alto"))


def test_a_note_that_is_tied_into_a_measure_is_not_crossed_before_its_voice_stands_there() -> None:
    lead = "|" + two("wc", "wE-", second="Alto") + "|"
    assert {"E", "F"} <= pitches(lead, "w") and "D" not in pitches(lead, "w")
    assert "D" in pitches(lead.replace("E-", "E"), "w")


def test_singers_and_instruments_do_not_hinder_each_other_where_several_sing() -> None:
    choir = 'T4:4P"Soprano"hGA;P"Alto"hEF;'
    assert "A," in pitches("|", choir + 'P"Oboe"hG,')
    assert "A," not in pitches("|", choir.replace("Alto", "Flute") + 'P"Oboe"hG,'), (
        "with a voice alone they are counted"
    )
    assert "A" not in pitches("|", two("hGA", "hG", second="Oboe"))
    assert "A" not in pitches("|", two("hGA", "hG", first="Flute", second="Oboe"))
    assert "A" not in pitches("|", two("hGA", "hG", first="Soprano solo", second="Tenor"))


def at_home(text: str) -> bool:
    voices = Voices()
    for lexeme in cut(text):
        voices = voices.push(lexeme)
    return voices.at_home()


def test_a_text_ends_on_the_triad_of_its_tonic() -> None:
    triad = 'T4:4P"Soprano"hGc;P"Alto"hDE;P"Tenor"hB,G,;P"Bass"hG,C,!end!'
    assert at_home("|K0!major!" + triad) and at_home("|K0" + triad) and at_home("|" + triad)
    assert not at_home("|K0!minor!" + triad) and not at_home("|K1!major!" + triad)
    assert at_home("|K-3!minor!" + triad) and at_home("|K2!dorian!" + triad.replace("T4:4", "T2:4")) is False
    relative = triad.replace("c", "A").replace("B,G,", "B,C").replace("G,C,", "G,A,,")
    assert at_home("|K0" + relative), "or the relative minor"
    assert not at_home("|K0!major!" + triad.replace("C,", "E,,")), "no sixth chord"
    assert not at_home("|K0!major!" + triad.replace("DE", "DF")), "no fourth"
    assert not at_home("|K0!major!" + triad.replace("B,G,", "B,C")), "four lines make a whole triad"
    assert at_home("|K0!major!" + triad.replace("hDE", "hD_E")), "major and minor are alike"
    assert at_home('|K0!major!T4:4P"Flute"hGc!end!') and not at_home('|K0!major!T4:4P"Flute"hcG!end!')
    assert at_home('|K0!major!T4:4P"Piano"hcD+G!end!'), "notes of a chord are not known one by one"


def test_home_is_where_the_first_part_says() -> None:
    rest = 'P"Alto"K0hDE;P"Tenor"K0hB,C;P"Bass"K0hG,{}!end!'
    assert at_home('|T4:4P"Soprano"K0!minor!hGA;' + rest.format("A,,"))
    assert not at_home('|T4:4P"Soprano"K0!minor!hGG;' + rest.format("C,")), "the others say no mode"
    assert not at_home('|T4:4P"Soprano"K0!minor!hGG;' + rest.replace("K0", "K0!major!", 1).format("C,"))
    assert at_home('|T4:4P"Soprano"K0!minor!hGA|K-3!minor!hGc!end!'), "a later signature counts anew"


def test_an_end_away_from_home_counts_against_its_measure() -> None:
    for last, broken in (("C,", 0), ("E,,", AWAY)):
        node = strict(Sound("|", measures=1)).node
        for lexeme in cut(f'K0!major!T4:4P"Soprano"wc;P"Alto"wE;P"Tenor"wG,;P"Bass"w{last}!end!'):
            node = node.push(lexeme)
        assert node.against == broken


def test_of_a_text_whose_voices_go_as_they_like_the_end_counts_alone() -> None:
    begun = 'K0!major!T4:4P"Soprano"hcd;P"Alto"hCD;P"Bass"hF,G,'
    walk = strict(Sound("|", at_most=9), leads=False)
    for lexeme in cut(begun):
        walk.push(lexeme)  # octaves, and fifths to the bass
    assert FINAL in walk.allowed and walk.node.against == 0
    walk.push(FINAL)
    assert walk.node.against == AWAY


@pytest.mark.parametrize(
    "begun",
    [
        two("hGA", "hC"),  # fifths
        two("hcB", "hC"),  # octaves
        two("cBAG", "h", second="Alto"),  # crossings
        two("Hwc", "Hw"),  # a fermata
    ],
)
def test_of_a_text_whose_voices_go_as_they_like_it_is_told_what_the_rule_would_refuse(begun: str) -> None:
    walk = strict(Sound("|", measures=9), leads=False)
    for lexeme in cut(begun):
        walk.push(lexeme)
    kept = pitches("|", begun)
    assert kept and walk.node.forbidden == (walk.allowed & PITCHES) - kept


@pytest.mark.parametrize("lower", ["Flute", "Piano"])
def test_to_those_who_play_and_to_one_who_sings_alone_nothing_is_forbidden(lower: str) -> None:
    for begun in (two("hcB", "hC", second=lower), 'T4:4P"Soprano"hcB;P"Alto"wE;P"Flute"hGA;' + f'P"{lower}"hG,'):
        walk = strict(Sound("|", measures=9), leads=False)
        for lexeme in cut(begun):
            walk.push(lexeme)
        assert not walk.node.forbidden


def test_a_text_that_may_go_on_does_not_end_away_from_home() -> None:
    for last, may_end in (("C,", True), ("E,,", False)):
        walk = strict(Sound("|", measures=None, at_least=1, at_most=9))
        for lexeme in cut(f'K0!major!T4:4P"Soprano"wc;P"Alto"wE;P"Tenor"wG,;P"Bass"w{last}'):
            walk.push(lexeme)
        assert "|" in walk.allowed and ("!end!" in walk.allowed) == may_end


def test_given_notes_that_stand_later_in_the_text_are_known() -> None:
    given = tuple(lines(parse('|T4:4P"Soprano"wz;P"Bass"hCD|')))
    found = pitches("|", 'T4:4P"Soprano"hG', given=given)
    assert not {"A", "a", "C,"} & found and {"F", "B"} <= found
    assert "B," not in pitches("|", 'T4:4P"Soprano"h', given=given)


def test_a_singer_sings_one_note_at_a_time() -> None:
    for name, several in (("Soprano", False), ("Oboe", True)):
        walk = strict(Sound("|", measures=9))
        for lexeme in cut(f'T4:4P"{name}"hGG'):
            walk.push(lexeme)
        assert ({"+", "&"} <= walk.allowed) == several and ";" in walk.allowed
    divided = '|T4:4P"Soprano"wG-+c-|'
    walk = strict(Sound(divided, measures=9), divided)
    for lexeme in cut("wG"):
        walk.push(lexeme)
    assert walk.allowed == {"-", "+"}  # what is tied goes on


def test_a_singer_keeps_to_his_range_where_he_can() -> None:
    soprano = pitches("|", 'T4:4P"Soprano"h')
    assert {"C", "a"} <= soprano and not {"B,", "b"} & soprano
    assert {"B,", "c'"} <= pitches("|", 'T4:4P"Oboe"h')
    low = tuple(lines(parse('|T4:4P"Soprano"wz;P"Bass"wg|')))  # a given bass above all sopranos but "g" to "a"
    assert {"g", "a"} <= pitches("|", 'T4:4P"Soprano"h', given=low) and "f" not in pitches(
        "|", 'T4:4P"Soprano"h', given=low
    )
    high = tuple(lines(parse('|T4:4P"Soprano"wz;P"Bass"wc\'|')))
    assert "c'" in pitches("|", 'T4:4P"Soprano"h', given=high)  # there is no other


def test_double_accidentals_are_judged_as_they_sound() -> None:
    assert "C" not in pitches("|", two("h^F^^G", "hB,") + "^^")
    assert "C" in pitches("|", two("h^FG", "hB,") + "^^")


# -- where it holds ---------------------------------------------------------------------------------


def test_a_rule_that_leaves_no_pitch_is_let_go() -> None:
    assert pitches("|", two("hGA", "hC-")) == {"C"}
    assert pitches("|", two("w_C,,,,", "w", "Flute", "Oboe")) == {"_C,,,,"}


def test_a_note_where_the_rule_was_let_go_counts_until_the_barline() -> None:
    given = tuple(lines(parse('|T4:4P"Soprano"wc;P"Alto"wz;P"Bass"wd|')))  # no place is left between them
    node, found = strict(Sound("|", measures=9), given=given).node, []
    for lexeme in cut('T4:4P"Soprano"wc;P"Alto"wc;P"Bass"wd|'):
        node = node.push(lexeme)
        found.append(node.against)
    assert found[-1] == 0 and found[:-1] == sorted(found[:-1]) and found[-2] == 1


class Broken:
    """A walk that had to break the rule, twice."""

    fits = ended = False
    against = 2

    def choices(self) -> Ids:
        return np.array([1, 2])

    def line_end(self) -> None:
        return None

    def copy(self) -> Broken:
        return self

    def push(self, token: int) -> tuple[str, ...]:
        return ("z",)


def test_a_measure_in_which_the_rule_was_let_go_is_begun_anew_and_counts_less(shipped: Student) -> None:
    for again, goes_on in ((5, False), (0, True)):
        text = Text(shipped, "|", 8, 1, Sampling(), strict=True, again=again)
        text.walk = Broken()
        assert text.take(np.zeros(8, np.float32)) == goes_on
        assert text.nats >= 2 * AGAINST and text.weight <= -2 * AGAINST


def test_a_measure_that_was_begun_is_gone_on_with_as_it_is() -> None:
    walk = strict(Sound("|", measures=9), begun=True)
    for lexeme in cut(two("hGA", "hC")):
        walk.push(lexeme)
    assert "D" in walk.allowed
    for lexeme in cut("D|hcd;hC"):
        walk.push(lexeme)
    assert "D" not in walk.allowed


# -- what is written --------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [1, 2])
def test_a_choir_is_well_led_where_it_is_asked_for(shipped: Student, seed: int) -> None:
    wish = {"parts": CHOIR, "measures": 8, "seed": seed, "model": shipped, "temperature": 1.2}
    free, (text,) = [counted(text) for text in generate("|", n=4, **wish)], generate("|", strict=True, **wish)
    assert sum(map(broken, free)) > 0
    found = counted(text)
    assert found["fifths"] == found["octaves"] == found["crossings"] == 0 < found["moving_pairs"]
    assert sound_problems(text) == []


@pytest.mark.parametrize("part", ["Soprano", "Bass"])
def test_given_parts_stay_and_the_others_are_led_by_them(shipped: Student, chorales: list[str], part: str) -> None:
    wish = {"given": extract(chorales[0], parts=[part]), "model": shipped}
    wrong, gone = {}, 0
    for bound in (True, False):
        texts = [text for seed in (1, 2) for text in generate(strict=bound, seed=seed, guidance=0.0, **wish)]
        assert all(extract(text, parts=[part]) == wish["given"] for text in texts)
        wrong[bound] = sum((counted(text) for text in texts), Counter())
        gone += sum(let_go(text, wish["given"]) for text in texts) if bound else 0
    assert wrong[True]["fifths"] == wrong[True]["octaves"] == 0 < wrong[True]["moving_pairs"]
    assert broken(wrong[False]) > broken(wrong[True])
    assert wrong[True]["crossings"] <= gone, "nothing crosses but where the notes around left no other"


def test_free_texts_are_not_led() -> None:
    with pytest.raises(ConfigError, match="--free goes without --strict"):
        Wish(free=True, strict=True)

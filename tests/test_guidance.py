"""Music is held to the key that it says, and ends there; nothing else changes."""

from __future__ import annotations

import numpy as np
import pytest

import scorelm
from scorelm.analysis.lines import lines, moments
from scorelm.analysis.tonality import declared, ends_on_tonic, estimated
from scorelm.bound.home import Home
from scorelm.errors import ConfigError
from scorelm.generation import SHIPPED, Student
from scorelm.guidance import Guidance, are_parallel
from scorelm.notation.lexemes import cut
from scorelm.notation.reader import parse
from scorelm.notation.sound import sound_problems
from scorelm.sampling import Sampling
from scorelm.underway import Text

TOKENS = [("C",), ("G",), ("^G",), ("^F",), ("A",), ("z",), ("|",), ("q", "A")]
NAMES = {"".join(lexemes): number for number, lexemes in enumerate(TOKENS)}
A_MINOR, C_MAJOR = '|\n#0?K0!minor!T4:4P"A"', '|\n#0?K0!major!T4:4P"A"'
IN_A_MINOR, IN_C = "ACE^G|\nAEAC|\n^GBDA|\nEADE|\n", "GCEG|\nCEGF|\nEDCG|\nCEGC|\n"
CHOIR = "Soprano,Alto,Tenor,Bass"


@pytest.fixture(scope="module")
def shipped() -> Student:
    return Student(SHIPPED)


def behind(text: str, strength: float = 2.0) -> Guidance:
    out = Guidance(TOKENS, strength)
    for lexeme in cut(text):
        out.push(lexeme)
    return out


def chances(guide: Guidance) -> dict[str, float]:
    """How likely each token is, where the model means all of them alike."""
    found = np.exp(guide.guided(np.zeros(len(TOKENS)), np.arange(len(TOKENS))))
    return dict(zip(NAMES, (found / found.sum()).tolist()))


def test_where_home_is() -> None:
    def home(text: str) -> Home:
        out = Home()
        for lexeme in cut(text):
            out = out.push(lexeme)
        return out

    assert home("|\nT4:4").key is None and home("|\nT4:4").tonics() == ()
    assert home("|\nK2!minor!").tonics() == (5,)  # B
    assert home("|\nK2").tonics() == (2, 5)
    assert home('|\nT4:4P"A"K-1!minor!C;P"B"K-1!major!C|\n').tonics() == (2,)  # the first part's mode
    assert home("|\nK2!minor!T4:4C|\nK3D|").tonics() == (3, 6)


def test_led_back_from_the_relative_key_and_let_alone_at_home() -> None:
    away, home = chances(behind(A_MINOR + IN_C)), chances(behind(A_MINOR + 4 * IN_A_MINOR))
    assert away["^G"] > 2 / len(TOKENS) > away["G"] and away["A"] > away["C"]
    assert max(abs(home[name] * len(TOKENS) - 1) for name in ("A", "C", "G")) < 0.2
    there = chances(behind(C_MAJOR + IN_A_MINOR))
    assert there["^G"] < there["A"] < there["G"]
    assert chances(behind(A_MINOR + IN_C, 4.0))["^G"] > away["^G"]


def test_pitches_together_and_all_else_stay_as_likely() -> None:
    found = chances(behind(A_MINOR + IN_C))
    assert found["z"] == pytest.approx(1 / len(TOKENS))
    assert found["|"] == pytest.approx(1 / len(TOKENS))
    assert found["qA"] == pytest.approx(found["A"])  # a joined token by the pitch that it ends with


@pytest.mark.parametrize(
    "text",
    [
        '|\nT4:4P"A"GCEG|\n',  # no key
        '|\nK0T4:4P"A"GCEG|\n',  # no mode
        '|\nK0!dorian!T4:4P"A"GCEG|\n',
        A_MINOR + "GCEG__",  # behind a sign of its own
        '|\nT4:4P"A"K0!minor!GCEG;P"Clarinet"K2!minor!',  # where another signature holds
    ],
)
def test_what_is_let_alone(text: str) -> None:
    logits = np.arange(len(TOKENS), dtype=np.float32)
    assert behind(text).guided(logits, np.arange(len(TOKENS))) is logits


def test_strings_are_no_music() -> None:
    text = A_MINOR[:-1]
    assert not behind(text + 'CCGGK3!major!"').sung.any() and behind(text + 'CCGGK3!major!"').home.tonics() == (3,)


def test_of_some_music_the_key_that_it_says_is_asked() -> None:
    assert behind(A_MINOR + IN_A_MINOR).keeps_home()
    assert not behind(C_MAJOR + IN_A_MINOR).keeps_home()  # as many files say major of all
    unsaid = behind('|\nK0T4:4P"A"' + IN_A_MINOR)
    assert unsaid.keeps_home() and unsaid.likeliest() == (0, "minor")
    assert not behind('|\nK3T4:4P"A"CEGC|\n').keeps_home()


def test_where_no_mode_is_said_the_notes_that_are_given_tell_it() -> None:
    logits, ids = np.zeros(len(TOKENS)), np.arange(len(TOKENS))
    guide = behind('|\nK0T4:4P"A"' + IN_C)
    assert guide.guided(logits, ids) is logits
    guide.assumed = (0, "minor")
    assert np.array_equal(guide.guided(logits, ids), behind(A_MINOR + IN_C).guided(logits, ids))


def test_who_is_guided(shipped: Student) -> None:
    def guide(prompt: str, guidance: float = 2.0) -> Guidance | None:
        return Text(shipped, prompt, None, 8, Sampling(), False, guidance=guidance).guide

    assert guide("|") and not guide("|", 0)
    assert guide(A_MINOR + IN_A_MINOR) and not guide(C_MAJOR + IN_A_MINOR)
    assert guide('|\nK0T4:4P"A"' + IN_A_MINOR).assumed == (0, "minor")


def test_what_strict_voice_leading_refuses_is_less_likely() -> None:
    logits, ids = np.arange(len(TOKENS), dtype=np.float32), np.arange(len(TOKENS))
    unsaid = behind('|\nK0T4:4P"A"GCEG|\n')
    found = unsaid.guided(logits, ids, [NAMES["G"], NAMES["A"]])
    pitches = unsaid.places >= 0
    assert np.exp(found[pitches]).sum() == pytest.approx(np.exp(logits[pitches]).sum())
    assert (found[~pitches] == logits[~pitches]).all()
    fallen = found - logits
    assert fallen[NAMES["C"]] - fallen[NAMES["G"]] == pytest.approx(unsaid.strength)
    assert fallen[NAMES["G"]] == pytest.approx(fallen[NAMES["A"]])
    unsaid.broken = 1.0  # such a note was sung just now
    again = unsaid.guided(logits, ids, [NAMES["G"]]) - logits
    assert again[NAMES["C"]] - again[NAMES["G"]] == pytest.approx(2 * unsaid.strength)
    assert 0.5 < unsaid.behind("GCEG|\n" * 4).broken < 1
    both = behind(A_MINOR + IN_C)
    away = both.guided(logits, ids, [NAMES["G"]]) - both.guided(logits, ids)
    assert away[NAMES["C"]] - away[NAMES["G"]] == pytest.approx(both.strength)


def test_singers_who_go_together_in_what_is_given_may_go_on_so(shipped: Student, chorales: list[str]) -> None:
    doubled = '|\nK0!major!T4:4P"Soprano"cdef;P"Alto"CDEF|\n' + "gfed;GFED|\n" * 3
    assert are_parallel(lines(parse(doubled)))
    assert not any(are_parallel(lines(parse(text))) for text in chorales)

    def apart(prompt: str) -> bool:
        return Text(shipped, prompt, None, 8, Sampling(), False, guidance=2.0).apart

    assert apart("|") and apart(doubled.split("gfed")[0].replace("F|", "E|")) and not apart(doubled)


@pytest.mark.parametrize("wrong", [-1.0, 11.0, float("nan")])
def test_strength_is_checked(wrong: float) -> None:
    with pytest.raises(ConfigError, match="--guidance is 0 to 10"):
        scorelm.generate(guidance=wrong)


def test_pieces_in_a_minor_key(shipped: Student) -> None:
    """The model alone keeps one of twelve such pieces in its key (see docs/LOG.md)."""
    texts = scorelm.generate("|", shipped, key="c minor", parts=CHOIR, measures=8, n=6, seed=3)
    kept = ended = 0
    for text in texts:
        assert sound_problems(text) == []
        score = parse(text)
        tonic = declared(score)
        assert tonic and len(score.measures) == 8
        found = lines(score)
        kept += estimated(found) == (tonic.pitch_class, tonic.major)
        ended += ends_on_tonic(moments(found), tonic)
    assert kept >= 4 and ended >= 2

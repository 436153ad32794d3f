"""Damage is local: what each kind costs, and what is said about it."""

from __future__ import annotations

import difflib
import random

import pytest

from scorelm.notation.reader import parse
from scorelm.notation.repair import Problem, repair
from scorelm.notation.writer import write

PIECE = (
    '|\nK1!major!T3:4P"Soprano"!clef-G2!GAB;P"Bass"!clef-F4!G,hD|\n[3iABc]qBHA;hD,qC,|\nh.G;G,B,D|\nGBd;h.G,!end!|\n'
)
MEASURES = PIECE.split("|")


def mended(text: str) -> tuple[list[str], str]:
    out, problems = repair(text)
    assert write(parse(out)) == out
    return out.split("|"), "; ".join(problem.message for problem in problems)


@pytest.mark.parametrize(
    ("old", "new", "measure", "becomes", "said"),
    [
        ("h.G;", "hG;", 3, "\nhGqz;G,B,D", "lasts 2 of 3 quarters: it was filled"),
        ("h.G;", "GABc;", 3, "\nGAB;G,B,D", "lasts 4 of 3 quarters: it was trimmed"),
        ("h.G;", "h.€G;", 3, "\nh.G;G,B,D", "left out '€'"),
        ("h.G;G,B,D", "h.GG,B,D", 3, "\nh.G;G,B,D", "a ';' is missing"),
        ("h.G;G,B,D", "h.G;G,;B,D", 3, "\nh.G;G,B,D", "a ';' inside the part"),
        ("[3iABc]qB", "[3iABcqB", 2, "\n[3iABc]qBHA;hD,qC,", "the tuplet's end, is missing"),
        ("[3iABc]qB", "[3iAB]qB", 2, "\n[3iABz]qBHA;hD,qC,", "filled"),
        ("!end!|", "|", 4, "\nGBd;h.G,", ""),
        ("T3:4", "T4:4", 1, '\nK1!major!T3:4P"Soprano"!clef-G2!GAB;P"Bass"!clef-F4!G,hD', "time signature is T3:4"),
        ("T3:4", "3:4", 1, '\nK1!major!T3:4P"Soprano"!clef-G2!GAB;P"Bass"!clef-F4!G,hD', "left out '3:4'"),
        (';P"Bass"', 'P"Bass"', 1, MEASURES[1], "a ';' is missing before this part"),
        ('P"Soprano"', 'P"Soprano', 1, MEASURES[1], "a name's closing quote is missing"),
    ],
)
def test_one_damage_costs_one_measure(old: str, new: str, measure: int, becomes: str, said: str) -> None:
    out, problems = mended(PIECE.replace(old, new))
    assert out[measure] == becomes
    assert said in problems
    assert [m for i, m in enumerate(out) if i != measure] == [m for i, m in enumerate(MEASURES) if i != measure]


def test_a_lost_delimiter_is_found_again() -> None:
    out, problems = mended(PIECE.replace("hD,qC,|\n", "hD,qC,"))
    assert out == MEASURES
    assert "a '|' is missing before this" in problems


def test_a_delimiter_inside_a_measure_is_left_out() -> None:
    out, problems = mended(PIECE.replace("G,B,D", "G,|B,D"))
    assert out == MEASURES
    assert "a '|' inside the measure was left out" in problems


def test_a_text_that_was_cut_keeps_what_was_begun() -> None:
    out, problems = mended(PIECE[: PIECE.index("B,D")])
    assert out == [*MEASURES[:3], "\nh.G;G,hz", "\n"]
    assert "'|' is missing at the end" in problems


def test_a_measure_that_was_hardly_begun_is_left_out() -> None:
    out, problems = mended(PIECE[: PIECE.index("h.G")] + "h.")
    assert out == [*MEASURES[:3], "\n"]
    assert "without a note" in problems


def test_each_problem_has_its_place() -> None:
    _, problems = repair(PIECE.replace("h.G;", "hG;"))
    assert problems == (Problem(3, 4, 1, "a voice lasts 2 of 3 quarters: it was filled"),)
    assert str(problems[0]) == "a voice lasts 2 of 3 quarters: it was filled (measure 3, line 4, column 1)"


def test_text_that_can_be_read_has_no_problems() -> None:
    assert repair(PIECE) == (PIECE, ())
    assert repair(PIECE.replace("\n", "  ")) == (PIECE, ())


@pytest.mark.parametrize("text", ["", "  \n", "Dear all", "|Dear all|", "{}", "\ud800|\x00"])
def test_what_is_no_score_text_at_all_still_gives_a_score(text: str) -> None:
    out, problems = repair(text)
    assert write(parse(out)) == out
    assert problems


def test_a_melody_without_any_head_becomes_a_part() -> None:
    out, _ = repair("|CDEF|GABc|")
    assert out == '|\nT4:4P""CDEF|\nGABc|\n'


def test_one_random_edit_leaves_nearly_all_other_measures_as_they_were(chorales: list[str]) -> None:
    choose = random.Random(7)
    untouched = identical = local = 0
    edits = 400
    for _ in range(edits):
        text = choose.choice(chorales)
        at = choose.randrange(len(text))
        letter = choose.choice(text) if choose.random() < 0.5 else chr(choose.randrange(32, 127))
        kind = choose.choice(("replace", "insert", "delete"))
        edited = text[:at] + letter * (kind != "delete") + text[at + (kind != "insert") :]
        touched = {text[:at].count("|"), text[:at].count("|") + (text[at] == "|")}
        rest = [m for i, m in enumerate(text.split("|")) if i not in touched]
        found = difflib.SequenceMatcher(None, rest, repair(edited)[0].split("|"), autojunk=False)
        same = sum(block.size for block in found.get_matching_blocks())
        untouched += len(rest)
        identical += same
        local += same >= 0.95 * len(rest)
    assert identical >= 0.99 * untouched
    assert local >= 0.97 * edits

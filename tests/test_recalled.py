"""What came next where a text went so before."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from scorelm.compose import generate
from scorelm.generation import Student
from scorelm.likelihood import token_losses
from scorelm.notation.heard import Ear
from scorelm.notation.lexemes import PITCHES, cut
from scorelm.notation.reader import parse
from scorelm.notation.transform import transpose
from scorelm.notation.writer import write
from scorelm.pretrained import load_model
from scorelm.recalled import (
    ANY_PITCH,
    OF_A_PART,
    OF_RHYTHM,
    OF_THE_TEXT,
    READ,
    RECALLED,
    ROWS,
    Recall,
    is_pitch,
    shown_of,
)
from scorelm.sampling import Sampling
from scorelm.training.keys import Keys
from scorelm.vocabulary import Vocabulary

AGAIN = '|\nK0T4:4P"Soprano"cdef;P"Alto"EFGA|\n' + "gfed;GFED|\n" * 3
VOCABULARY = Vocabulary.of_cut("lexemes")
Told = tuple[str, int | None]  # a token and how long the stretch was


def after(texts: list[tuple[str, int]], part: int = 0) -> list[Told]:
    """By the text, by a part and by its rhythm; texts: and the part of each"""
    recall = Recall(VOCABULARY)
    for text, its in texts:
        for lexeme in cut(text):
            recall.push(VOCABULARY.ids[lexeme], its)
    return named(recall.recalled(part))


def named(told: list[tuple[int, int]]) -> list[Told]:
    lengths = (None, *OF_THE_TEXT, *OF_A_PART, *OF_RHYTHM)
    return [("".join(VOCABULARY.tokens[token]), lengths[number]) for token, number in told]


PITCH = "".join(VOCABULARY.tokens[ANY_PITCH])
NO: Told = PITCH, None


def test_it_is_what_came_last_behind_the_longest_stretch() -> None:
    assert after([("CDE", 0)]) == [NO, NO, (PITCH, 2)], "but for a pitch, there is nothing that it knows"
    assert after([("CDEFCDE", 0)])[0] == ("F", 3)
    assert after([("CDEFCDEGCDE", 0)])[0] == ("G", 3), "the last time"
    assert after([("ACDEFBCDEGACDE", 0)])[0] == ("F", 4), "the longest"
    assert after([("".join(PITCHES[:100] + PITCHES[:80]), 0)])[0] == (PITCHES[80], 64), "no longer than the longest"


def test_a_part_recalls_its_own_at_any_height() -> None:
    apart = [("GCD", 0), ("AA", 1), ("EFG", 0), ("B", 1), ("CDE", 0)]
    assert after(apart)[:2] == [NO, ("F", 3)]
    assert after([("CDEFG^FG^FEDEF", 0)])[1] == NO, "half a step is none"
    assert after([("GCDEFAdef", 0)])[1] == NO
    assert after([("GCDEF_ADEF", 0)])[1] == NO
    assert after([("GCDEFcFGA", 0)])[1] == ("_B", 3), "a fourth higher"
    assert after([("GCGGA" + "".join(letter + "'" * 4 for letter in "bebb"), 0)])[1] == NO, "it has no lexeme"


def test_a_rhythm_is_recalled_in_any_part() -> None:
    turns = [("qCiDEqF", 0), ("HC|", 0), ("qFiG", 1), ("G", 1)]
    assert after(turns, 1)[2] == ("q", 5)
    assert after(turns[:-1], 1)[2] == (PITCH, 4), "whichever"


def test_letters_are_no_pitches() -> None:
    assert after([('#"ABCABC', 0)])[1:] == [("A", 3), ("A", 3)]
    assert after([('#"ABC"CDEF', 0)])[2][0] == PITCH
    assert after([('"CDE"FCDE"CDE', 0)])[0] == ('"', 4)


@given(st.lists(st.tuples(st.sampled_from(["C", "D", "^F", "q", ";", '"']), st.integers(0, 1)), max_size=80))
def test_all_that_is_recalled_came_behind_that_stretch(pushed: list[tuple[str, int]]) -> None:
    recall = Recall(VOCABULARY)
    text: list[str] = []
    for lexeme, part in pushed:
        found = NO
        for length in OF_THE_TEXT:
            behind = [text[i] for i in range(length, len(text)) if text[i - length : i] == text[-length:]]
            if behind:
                found = behind[-1], length
                break
        assert named(recall.recalled(part))[0] == found
        recall.push(VOCABULARY.ids[lexeme], part)
        text.append(lexeme)


def test_a_model_is_told_it_in_every_key(tiny_model: Path) -> None:
    _, tokens = load_model(str(tiny_model))
    first = tokens.recalled_from
    assert first is not None
    shown, _ = tokens.shown(tokens.encode(AGAIN))
    assert shown.shape[1] == READ + 6
    lexemes = cut(AGAIN)
    right = [tokens.vocabulary.tokens[row[READ]] == (lexeme,) for row, lexeme in zip(shown, lexemes[1:])]
    assert all(right[-10:]), "the fourth measure is the third once more"
    assert first - 1 <= shown[:, READ + 1].min() and shown[:, READ + 5].max() < first + ROWS
    for text in (AGAIN, AGAIN.replace("Soprano", "Abba cab Abba")):  # letters of a name stay in all keys
        shown, _ = tokens.shown(tokens.encode(text))
        moved = Keys(tokens.vocabulary, True, first).moved(shown, "M2")
        expected, _ = tokens.shown(tokens.encode(write(transpose(parse(text), "M2"))))
        assert moved is not None
        np.testing.assert_array_equal(moved, expected)


def test_what_is_recalled_is_likelier_by_its_row_alone(tiny_model: Path) -> None:
    model, tokens = load_model(str(tiny_model))
    shown, where = (torch.tensor(x)[None] for x in tokens.shown(tokens.encode(AGAIN)))
    given = {"position_ids": where, "attention_mask": torch.ones_like(where, dtype=torch.long)}
    with torch.no_grad():
        told = model.eval()(input_ids=shown, **given).logits[0]
        shown[..., READ + 1 :: 2] = tokens.recalled_from - 1  # numbers of no row
        untold = model(input_ids=shown, **given).logits[0]
    pitches = {number for number, token in enumerate(tokens.vocabulary.tokens) if is_pitch(token)}
    for moment, row in enumerate(tokens.shown(tokens.encode(AGAIN))[0].tolist()):
        wanted = {row[at] for at in RECALLED if row[at + 1] >= tokens.recalled_from}
        if ANY_PITCH in wanted:
            wanted = wanted - {ANY_PITCH} | pitches
        assert set(np.flatnonzero((told != untold)[moment].numpy()).tolist()) == wanted


@pytest.mark.parametrize("engine", ["numpy", "transformers"])
def test_who_writes_is_told_of_what_was_given_alone(tiny_model: Path, engine: str) -> None:
    model, tokens = load_model(str(tiny_model))
    text = AGAIN + "gfed;GABc|\ngfed;GABc|\n"
    ids = [*tokens.encode(text), tokens.end]
    told, where = tokens.shown(ids)
    student = Student(tiny_model, engine=engine)

    def expected(shown: Any) -> list[float]:
        return token_losses(model, shown, 1024, where).tolist()

    np.testing.assert_allclose(student.losses(text), expected(told[:, :READ]), rtol=1e-3)
    np.testing.assert_allclose(student.losses(text, given=text)[:-1], expected(told)[:-1], rtol=1e-3)
    known = len(tokens.encode(AGAIN))
    frozen = told.copy()
    recall, ear = Recall(tokens.vocabulary), Ear()
    for at, token in enumerate(ids):
        part = ear.here
        ear.push(tokens.vocabulary.tokens[token][0])
        recall.push(token, part, at < known)
        frozen[at, READ:] = shown_of(recall.recalled(ear.here), tokens.recalled_from)
    found = student.losses(text, given=AGAIN)
    np.testing.assert_allclose(found, expected(frozen), rtol=1e-3)
    assert not np.allclose(found[known:], expected(told)[known:], rtol=1e-3), "of what it has written it is not told"


def test_one_that_learns_no_more_goes_on_by_itself() -> None:
    recall = Recall(VOCABULARY)
    for lexeme in "FCDEFCDE":
        recall.push(VOCABULARY.ids[lexeme], 0)
    other = recall.copy()
    for lexeme in "GABFCDE":
        other.push(VOCABULARY.ids[lexeme], 0, learns=False)
        other.push(VOCABULARY.ids["c"], 1, learns=False)
    assert named(recall.recalled(0))[:2] == [("F", 4), ("F", 3)], "that place is where it was"
    assert named(other.recalled(0))[:2] == [NO, ("F", 3)], "what was learnt before is told on"
    assert named(other.recalled(1))[:2] == [NO, NO], "what comes now is not learnt"


def believer(tiny_model: Path, folder: Path) -> Path:
    """A model that believes nothing but what it is told."""
    model, tokens = load_model(str(tiny_model))
    with torch.no_grad():
        model.get_output_embeddings().weight.zero_()
        model.gpt_neox.final_layer_norm.bias.fill_(1)
        model.get_output_embeddings().weight[tokens.recalled_from :] = 2
    shutil.copytree(tiny_model, folder)
    model.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("engine", ["numpy", "transformers"])
def test_a_text_goes_on_as_the_given_one_did(tiny_model: Path, tmp_path: Path, engine: str) -> None:
    student = Student(believer(tiny_model, tmp_path / "believes"), engine)
    prompt = '|\nT4:4P"A"' + "CDEF|\nGABc|\ncBAG|\nFEDC|\n" * 2
    likeliest = Sampling(temperature=0)
    text = "".join(student.measures(prompt, seed=0, measures=13, sampling=likeliest))
    assert text.split("|\n")[9:13] == text.split("|\n")[5:9]
    untold = "".join(student.measures('|\nT4:4P"A"CDEF', seed=0, measures=3, sampling=likeliest))
    assert untold.split("|\n")[2] not in text


def test_what_is_written_anew_goes_as_it_does_later(tiny_model: Path, tmp_path: Path) -> None:
    student = Student(believer(tiny_model, tmp_path / "believes"))
    text = '|\nT4:4P"A"CDEF|\ncccc|\ncBAG|\nCDEF|\nGABe|\ncBAG|\n'
    (found,) = generate(text, student, rewrite="2-2", tries=1, temperature=0, seed=0)
    assert found == text.replace("cccc", "GABe")
    known, later = '|\nT4:4P"A"CDEF|\n', '|\nT4:4P"A"CDEF|\nGABe|\n'
    untold, told = (sum(student.losses(known + "GABe|\n", given=known, later=x)) for x in ("", later))
    assert told < untold - 1

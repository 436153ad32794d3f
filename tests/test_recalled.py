"""What came next where a text went so before."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from scorelm.errors import ConfigError
from scorelm.generation import Student
from scorelm.likelihood import token_losses
from scorelm.notation.lexemes import cut
from scorelm.notation.reader import parse
from scorelm.notation.transform import transpose
from scorelm.notation.writer import write
from scorelm.pretrained import load_model
from scorelm.recalled import NOTHING, OF_A_PART, OF_THE_TEXT, READ, ROWS, Recall
from scorelm.training.keys import Keys

AGAIN = '|\nK0T4:4P"Soprano"cdef;P"Alto"EFGA|\n' + "gfed;GFED|\n" * 3


def after(tokens: list[int], part: int = 0) -> tuple[int, int, int, int]:
    recall = Recall()
    for token in tokens:
        recall.push(token, part)
    return recall.recalled(part)


def test_it_is_what_came_last_behind_the_longest_stretch() -> None:
    assert after([1, 2, 3]) == (0, NOTHING, 0, NOTHING)
    token, number, other, its = after([1, 2, 3, 4, 1, 2, 3])
    assert (token, OF_A_PART[number - 1]) == (4, 3) == (other, OF_THE_TEXT[its - 1 - len(OF_A_PART)])
    assert after([1, 2, 3, 4, 1, 2, 3, 5, 1, 2, 3])[0] == 5, "the last time"
    token, number, *_ = after([9, 1, 2, 3, 4, 7, 1, 2, 3, 5, 9, 1, 2, 3])
    assert (token, OF_A_PART[number - 1]) == (4, 4), "the longest"
    long = list(range(60))
    assert after(long + long[:50])[:2] == (50, 1), "no longer than the longest length"


def test_a_part_recalls_its_own() -> None:
    recall = Recall()
    for token, part in ((1, 0), (2, 0), (3, 0), (4, 0), (7, 1), (1, 0), (2, 0), (8, 1), (3, 0)):
        recall.push(token, part)
    assert recall.recalled(0)[0] == 4 and recall.recalled(0)[3] == NOTHING, "in the text they were apart"
    assert recall.recalled(1)[1] == NOTHING == recall.recalled(5)[1]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 1)), max_size=80))
def test_all_that_is_recalled_came_behind_that_stretch(pushed: list[tuple[int, int]]) -> None:
    recall = Recall()
    for at, (token, part) in enumerate(pushed):
        token_of_part, number, *_ = recall.recalled(part)
        own = [t for t, p in pushed[:at] if p == part]
        found = (NOTHING, 0)
        for length in OF_A_PART:
            behind = [
                own[i] for i in range(length, len(own)) if length <= len(own) and own[i - length : i] == own[-length:]
            ]
            if behind:
                found = (OF_A_PART.index(length) + 1, behind[-1])
                break
        assert (number, token_of_part) == found
        recall.push(token, part)


def test_a_model_is_told_it_in_every_key(tiny_model: Path) -> None:
    _, tokens = load_model(str(tiny_model))
    first = tokens.recalled_from
    assert first is not None
    shown, _ = tokens.shown(tokens.encode(AGAIN))
    assert shown.shape[1] == READ + 4
    lexemes = cut(AGAIN)
    right = [tokens.vocabulary.tokens[row[READ]] == (lexeme,) for row, lexeme in zip(shown, lexemes[1:])]
    assert all(right[-10:]), "the fourth measure is the third once more"
    assert first - 1 <= shown[:, READ + 1].min() and shown[:, READ + 3].max() < first + ROWS
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
    recalled = np.array(tokens.shown(tokens.encode(AGAIN))[0])[:, READ:]
    for moment, (token, number, other, its) in enumerate(recalled):
        differ = set(np.flatnonzero((told != untold)[moment].numpy()).tolist())
        wanted = {t for t, n in ((token, number), (other, its)) if n >= tokens.recalled_from}
        assert differ == {int(t) for t in wanted}


def test_who_writes_recalls_nothing(tiny_model: Path) -> None:
    model, tokens = load_model(str(tiny_model))
    shown, where = tokens.shown([*tokens.encode(AGAIN), tokens.end])
    untold = token_losses(model, shown[:, :READ], 1024, where).tolist()
    for engine in ("numpy", "transformers"):
        np.testing.assert_allclose(Student(tiny_model, engine=engine).losses(AGAIN), untold, rtol=1e-3)
    assert not np.allclose(token_losses(model, shown, 1024, where).tolist(), untold, rtol=1e-3)


def test_another_way_to_recall_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_model, tmp_path / "model")
    path = tmp_path / "model" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"scorelm_recalled": "other"}))
    for load in (load_model, Student):
        with pytest.raises(ConfigError, match="was taught to recall otherwise"):
            load(str(tmp_path / "model"))

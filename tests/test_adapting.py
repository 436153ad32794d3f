"""A model that learns on while it reads: what it learns from, what it may know, and that it becomes what it was."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from scorelm.evaluate import load
from scorelm.generation import SHIPPED, Student
from scorelm.likelihood import KEY_INTERVALS
from scorelm.pretrained import load_model
from scorelm.training.adapting import Adapting, having_learnt, held_back

STUBBORN = '|\nTxP"Flute"' + "".join(f"{bar}|\n" for bar in ["c^^c'^^cc", "d__d'__dd"] * 12)


@pytest.fixture(scope="module")
def adapting() -> Adapting:
    model, tokens = load_model(str(SHIPPED))
    return Adapting(model, tokens, 1024, segment=32)


def ids_of(adapting: Adapting, text: str) -> list[int]:
    return [*adapting.tokens.encode(text)[:240], adapting.tokens.end]


def test_what_comes_first_is_judged_by_the_model_as_it_is(adapting: Adapting, chorales: list[str]) -> None:
    judge = load(str(SHIPPED))
    found = adapting.read(ids_of(adapting, chorales[0]))[0]
    adapting.forget()
    assert found[:32] == pytest.approx(judge.losses(chorales[0])[:32], abs=1e-3)
    assert len(found) == 240


def test_nothing_is_known_of_what_comes_later(adapting: Adapting, chorales: list[str]) -> None:
    ids = ids_of(adapting, chorales[0])
    other = [*ids[:100], *reversed(ids[100:160])]
    whole = adapting.read(ids, KEY_INTERVALS[:2])
    adapting.forget()
    cut_off = adapting.read(other, KEY_INTERVALS[:2])
    adapting.forget()
    for a, b in zip(whole, cut_off):
        assert a[:99] == pytest.approx(b[:99], abs=1e-3)
    assert whole[0][99:159] != pytest.approx(cut_off[0][99:159], abs=1e-3)


def test_what_a_piece_does_again_and_again_is_learnt(adapting: Adapting) -> None:
    ids = ids_of(adapting, STUBBORN)
    adapting.rate, rate = 0.0, adapting.rate
    still = adapting.read(ids)[0]
    adapting.rate = rate
    learnt = adapting.read(ids)[0]
    adapting.forget()
    assert sum(learnt[-80:]) < 0.9 * sum(still[-80:])


def test_it_becomes_what_it_was(adapting: Adapting, chorales: list[str]) -> None:
    before = [p.clone() for p in adapting.model.parameters()]
    ids = ids_of(adapting, chorales[1])
    first = adapting.read(ids)
    assert any(not torch.equal(a, b) for a, b in zip(before, adapting.model.parameters()))
    adapting.forget()
    assert all(torch.equal(a, b) for a, b in zip(before, adapting.model.parameters()))
    assert adapting.read(ids) == first
    adapting.forget()


def test_in_more_keys_a_piece_costs_less(adapting: Adapting, chorales: list[str]) -> None:
    found = adapting.read(ids_of(adapting, chorales[2]), KEY_INTERVALS[:3])
    adapting.forget()
    assert len(found) == 3 and len({len(row) for row in found}) == 1
    assert found[0] != found[1]


def test_where_a_key_ends_the_others_go_on(adapting: Adapting) -> None:
    text = '|\nK6!major!T4:4P"Soprano"!clef-G2!' + "^f^g^a b|\n" * 12
    found = adapting.read(ids_of(adapting, text), ("P1", "A4", "m2", "M2"))
    adapting.forget()
    assert len(found[0]) == len(ids_of(adapting, text)) - 1
    assert min(map(len, found)) < len(found[0])


def test_the_last_segment_is_learnt_where_it_is_asked_for(adapting: Adapting) -> None:
    ids = adapting.tokens.encode('|\nT4:4P"Soprano"!clef-G2!cdef|\n')
    assert len(ids) < adapting.segment
    before = adapting.learnt[0].clone()
    adapting.read(ids)
    assert torch.equal(before, adapting.learnt[0])
    adapting.read(ids, to_the_end=True)
    assert not torch.equal(before, adapting.learnt[0])
    adapting.forget()


def test_having_learnt_the_beginning_it_expects_the_rest_and_nothing_is_left_behind(tmp_path: Path) -> None:
    bars = STUBBORN.split("|\n")
    with having_learnt(SHIPPED, "|\n".join(bars[:18]) + "|\n") as folder:
        learnt = Student(folder)
        assert (folder / "model.safetensors").is_file()
    assert not folder.exists()
    as_it_is, now = (sum(student.losses(STUBBORN)[-60:]) for student in (Student(SHIPPED), learnt))
    assert now < 0.7 * as_it_is


def test_a_model_that_hears_nothing_and_counts_its_places_learns_too(tiny_model: Path, chorales: list[str]) -> None:
    model, tokens = load_model(str(tiny_model))
    adapting = Adapting(model, tokens, 256)
    ids = [*tokens.encode(chorales[0]), tokens.end]
    assert len(adapting.read(ids)[0]) == len(ids) - 1


def test_rows_and_columns_with_large_gradients_are_held_back() -> None:
    gradient = torch.ones(4, 6)
    gradient[2] *= 100
    found = held_back(gradient)
    assert found[2, 0] / found[0, 0] < 30
    assert torch.equal(held_back(torch.zeros(3, 3)), torch.zeros(3, 3))
    vector = torch.arange(3.0)
    assert held_back(vector) is vector

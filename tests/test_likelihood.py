"""Every token is paid for, once; what is divided by comes from the score."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from scorelm.dataset import counts
from scorelm.evaluate import load, read
from scorelm.likelihood import (
    KINDS,
    Reading,
    breakdown,
    intervals,
    kinds_of,
    over_keys,
    rates,
    token_losses,
)
from scorelm.notation.lexemes import cut
from scorelm.notation.reader import parse


class Neighbour(torch.nn.Module):
    """A model that looks at the last token alone, so that no window changes what it says."""

    def __init__(self, vocabulary: int = 8) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(1)
        self.table = torch.nn.Parameter(torch.randn(vocabulary, vocabulary, generator=generator))

    def forward(self, input_ids: torch.Tensor) -> object:
        return SimpleNamespace(logits=self.table[input_ids])


@pytest.mark.parametrize("length", [1, 2, 9, 10, 11, 15, 16, 25, 64])
def test_windows_judge_every_token_but_the_first_once_and_in_order(length: int) -> None:
    ids = [(3 * i * i + i) % 8 for i in range(length)]
    windowed, whole = (token_losses(Neighbour(), ids, size) for size in (10, 100))
    assert whole.shape == (length - 1,)
    torch.testing.assert_close(windowed, whole)


def test_what_fits_is_read_in_one_window(tiny_model: Path, chorales: list[str]) -> None:
    judge = load(str(tiny_model))
    ids = [*judge.tokens.encode(chorales[0]), judge.tokens.end]
    torch.testing.assert_close(token_losses(judge.model, ids, len(ids)), token_losses(judge.model, ids, 2048))


def test_the_sum_is_the_probability_of_the_whole_text(tiny_model: Path, chorales: list[str]) -> None:
    judge = load(str(tiny_model))
    text = chorales[0]
    ids = [*judge.tokens.encode(text), judge.tokens.end]
    shown, positions = judge.tokens.shown(ids)
    with torch.no_grad():
        where = torch.tensor([positions])
        mask = torch.ones_like(where, dtype=torch.long)
        inputs = {"input_ids": torch.tensor(shown)[None], "position_ids": where, "attention_mask": mask}
        chances = judge.model(**inputs).logits[0].log_softmax(-1)
    expected = -sum(float(chances[at, ids[at + 1]]) for at in range(len(ids) - 1))
    reading = read(judge, text)
    assert reading.nats == pytest.approx(expected, rel=1e-5)
    assert reading.tokens == len(load(str(tiny_model)).tokens.encode(text))
    about = counts(parse(text))
    assert (reading.notes, reading.quarters) == (about["notes"], about["quarters"])
    assert sum(reading.kinds.values()) == pytest.approx(reading.nats)
    music = sum(reading.kinds[kind] for kind in ("pitch", "duration", "note", "tie", "other"))
    assert sum(reading.voices.values()) == pytest.approx(music)


def test_a_tied_note_counts_twice_as_heads_and_once_as_struck(tiny_model: Path) -> None:
    reading = read(load(str(tiny_model)), '|\nT2:4P"Soprano"!clef-G2!CD-|\nDE|\n')
    assert (reading.notes, reading.struck, reading.quarters) == (4, 3, 4.0)


def test_lexemes_have_their_kinds_and_parts() -> None:
    text = '|\n#0?@1K1!major!T4:4P"Soprano"!clef-G2!G-;P"Bass"!clef-F4!iG,A,|\nHGhA;w^G,!end!|\n'
    found = [(lexeme, *kind) for lexeme, kind in zip(cut(text), kinds_of(text), strict=True)]
    assert found == [
        ("|", "barline", 0), ("#", "header", 0), ("0", "header", 0), ("?", "header", 0), ("@", "header", 0),
        ("1", "header", 0), ("K1", "header", 0), ("!major!", "header", 0), ("T", "header", 0), ("4", "header", 0),
        (":", "header", 0), ("4", "header", 0),
        *[(lexeme, "header", 1) for lexeme in cut('P"Soprano"')], ("!clef-G2!", "header", 1), ("G", "pitch", 1),
        ("-", "tie", 1), (";", "separator", 0), *[(lexeme, "header", 2) for lexeme in cut('P"Bass"')],
        ("!clef-F4!", "header", 2), ("i", "duration", 2), ("G,", "pitch", 2), ("A,", "pitch", 2), ("|", "barline", 0),
        ("H", "other", 1), ("G", "pitch", 1), ("h", "duration", 1), ("A", "pitch", 1), (";", "separator", 0),
        ("w", "duration", 2), ("^G,", "pitch", 2), ("!end!", "barline", 0), ("|", "barline", 0),
    ]  # fmt: skip
    assert {kind for _, kind, _ in found} == {*KINDS} - {"note"}


def test_a_joined_token_is_a_note_of_its_part() -> None:
    text = '|\nT2:4P"Soprano"hC;P"Bass"C,D,|\n'
    tokens = [*[(x,) for x in cut('|T2:4P"Soprano"')], ("h", "C"), *[(x,) for x in cut(';P"Bass"C,D,|')]]
    kinds, voices = breakdown(text, tokens, [1.0] * len(tokens))
    assert kinds["note"] == 1.0
    assert kinds["pitch"] == 2.0
    assert voices == {1: 1.0, 2: 2.0}
    assert sum(kinds.values()) == len(tokens)


def test_letters_in_names_are_no_notes() -> None:
    text = '|\nTxP"ChHq"!clef-G2!@1A|\n'
    assert [kind for kind, _ in kinds_of(text)].count("pitch") == 1
    assert "duration" not in [kind for kind, _ in kinds_of(text)]


def test_rates_are_ratios_of_sums() -> None:
    readings = [Reading("a", 40.0, 9, 4.0, 8, 8), Reading("b", 10.0, 9, 6.0, 2, 2)]
    found = rates(readings)
    assert found["nats_per_sixteenth"] == pytest.approx(50 / 40)
    assert found["bits_per_quarter"] == pytest.approx(50 / math.log(2) / 10)
    assert found["bits_per_note"] == pytest.approx(50 / math.log(2) / 10)


def test_the_bootstrap_is_the_same_for_a_seed_and_holds_the_figure() -> None:
    readings = [Reading(str(i), 30.0 + 7 * (i % 5), 9, 4.0 + i % 3, 16 + i, 16) for i in range(20)]
    found = intervals(readings, seed=3)
    assert found == intervals(readings, seed=3)
    assert found != intervals(readings, seed=4)
    for name, value in rates(readings).items():
        low, high = found[name]
        assert low < value < high


def test_the_interval_of_equal_pieces_is_a_point() -> None:
    low, high = intervals([Reading(str(i), 20.0, 9, 4.0, 16, 16) for i in range(5)], seed=0)["nats_per_sixteenth"]
    assert low == pytest.approx(high) == pytest.approx(20 / 16)


def test_the_mean_over_keys_is_taken_token_by_token() -> None:
    assert over_keys([[1.0, 2.0], [3.0, 0.5]]) == pytest.approx(
        [-math.log((math.exp(-1) + math.exp(-3)) / 2), -math.log((math.exp(-2) + math.exp(-0.5)) / 2)]
    )
    assert over_keys([[1.0, 2.0]]) == pytest.approx([1.0, 2.0])


def test_a_key_that_has_no_lexeme_for_a_token_gives_it_nothing_and_is_left_out_behind_it() -> None:
    assert over_keys([[1.0, 2.0, 3.0], [1.0]]) == pytest.approx([1.0, 2.0 + math.log(2), 3.0])

"""What a model is taught of voices that lead well: which pitches are refused where, and that it learns it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from scorelm.bound.strict import Voices
from scorelm.config import TrainConfig
from scorelm.errors import ConfigError
from scorelm.notation.lexemes import cut
from scorelm.pretrained import load_model
from scorelm.tokenizer import Tokens
from scorelm.training import train
from scorelm.training.batches import IGNORED, Batch
from scorelm.training.leading import Leading
from scorelm.vocabulary import Vocabulary

FIFTHS = '|T4:4P"Soprano"cdef;P"Tenor"FGAB,|'  # the last B, leads out of three fifths


def ill_led(text: str) -> frozenset[str]:
    voices = Voices()
    for lexeme in cut(text):
        voices = voices.push(lexeme)
    return voices.ill_led()


def batch_of(tokens: Tokens, *texts: str) -> Batch:
    shown = [tokens.shown([*tokens.encode(text), tokens.end]) for text in texts]
    length = max(len(ids) for ids, _ in shown)
    ids = torch.zeros(len(texts), length, shown[0][0].shape[1], dtype=torch.long)
    labels = torch.full((len(texts), length), IGNORED)
    positions = torch.zeros(len(texts), length)
    for row, (own, places) in enumerate(shown):
        ids[row, : len(own)] = torch.from_numpy(own.astype(np.int64))
        labels[row, : len(own)] = torch.from_numpy(own[:, 0].astype(np.int64))
        positions[row, : len(own)] = torch.tensor(places)
    return Batch(ids, labels, positions)


def test_parallels_and_what_is_out_of_range_lead_ill_and_crossings_do_not() -> None:
    behind_f = ill_led('|T4:4P"Soprano"cd;P"Tenor"F')
    assert {"G", "G,"} <= behind_f and "A" not in behind_f
    assert "c" in behind_f, "no tenor sings it"
    assert "A" not in ill_led('|T4:4P"Soprano"CD;P"Alto"F'), "a crossing"


def test_a_fermata_stands_on_a_triad() -> None:
    behind = ill_led('|T4:4P"Soprano"Hc;P"Alto"HE;P"Tenor"H')
    assert "G" not in behind and "A" not in behind and {"D", "F", "^G", "B,"} <= behind
    assert not {"D", "F", "B,"} & ill_led('|T4:4P"Soprano"Hc;P"Alto"HE;P"Tenor"'), "none here"
    assert not {"D", "F", "B,"} & ill_led('|T4:4P"Soprano"Hc;P"Alto"HE;P"Tenor"HGC'), "the one before had it"
    in_bass = ill_led('|T4:4P"Soprano"Hc;P"Alto"HE;P"Bass"H')
    assert not {"C", "E,", "A,"} & in_bass and {"G,", "F,"} <= in_bass, "a fifth is no bass"
    assert not {"D", "F"} & ill_led('|T4:4P"Soprano"Hc;P"Alto"Hd;P"Tenor"H'), "there is no triad left"


def test_instruments_are_not_judged() -> None:
    assert ill_led('|T4:4P"Violin 1"cd;P"Viola"F') == ill_led('|T4:4P"Soprano"cd;P"Viola"F') == frozenset()


def test_what_leads_ill_is_refused_but_for_what_stands(tiny_model: Path) -> None:
    model, tokens = load_model(str(tiny_model))
    leading = Leading(model, tokens.vocabulary)
    batch = batch_of(tokens, FIFTHS, '|T4:4P"Soprano"c|')
    refused = leading.refused(batch)
    assert refused.shape == (*batch.targets().shape, len(tokens.vocabulary))
    lexemes = list(cut(FIFTHS))
    behind = lexemes.index("F")
    number = tokens.vocabulary.ids
    assert refused[0, behind, number["G,"]], "an octave lower it is a fifth, too"
    assert not refused[0, behind, number["G"]], "it stands there"
    assert not refused[0, : lexemes.index('PS"') if 'PS"' in lexemes else 3].any(), "no singer yet"
    assert not refused[1, len(cut('|T4:4P"Soprano"c|')) :].any(), "padding"
    packed = replace(batch, pieces=torch.cumsum(batch.ids[..., 0] == number[";"], 1))
    assert not leading.refused(packed)[0, behind, number["G,"]], "another piece"


def test_what_is_taught_is_what_was_said_less_what_leads_ill(tiny_model: Path) -> None:
    model, tokens = load_model(str(tiny_model))
    leading = Leading(model, tokens.vocabulary)
    batch = batch_of(tokens, FIFTHS)
    with torch.no_grad():
        said = model.eval()(**batch.inputs()).logits
    free = batch_of(tokens, FIFTHS.replace("Soprano", "Violin").replace("Tenor", "Viola"))
    with torch.no_grad():
        assert float(leading.loss(free, model(**free.inputs()).logits)) == pytest.approx(0, abs=1e-6)
    refused = leading.refused(batch)
    mass = torch.softmax(said, -1).masked_fill(~refused, 0).sum(-1)
    assert float(leading.loss(batch, said)) == pytest.approx(float(-torch.log1p(-mass).mean()), rel=1e-4)
    taught = said.masked_fill(refused, -60)
    assert float(leading.loss(batch, taught)) == pytest.approx(0, abs=1e-5)


def test_it_is_learnt(tiny_training: TrainConfig, tmp_path: Path) -> None:
    first = replace(tiny_training, output_dir=str(tmp_path / "first"))
    train(first)
    led = replace(
        first, start=first.output_dir, output_dir=str(tmp_path / "led"), learn="leading", dropout=0.0,
        max_steps=40, eval_steps=40, lr=0.05, ema_decay=0.0, weight_decay=0.0, warmup_steps=1,
    )  # fmt: skip
    train(led)
    text = '|T4:4P"Soprano"cdef;P"Alto"cdef;P"Tenor"FGAB|'
    shares = []
    for folder in ("first", "led"):
        model, tokens = load_model(str(tmp_path / folder))
        batch = batch_of(tokens, text)
        with torch.no_grad():
            said = torch.softmax(model.eval()(**batch.inputs()).logits, -1)
        shares.append(float(said[Leading(model, tokens.vocabulary).refused(batch)].sum()))
    assert shares[1] < 0.7 * shares[0]


def test_what_cannot_learn_it_is_refused(tiny_training: TrainConfig, tiny_model: Path) -> None:
    with pytest.raises(ConfigError, match="needs a start"):
        replace(tiny_training, learn="leading")
    model, _ = load_model(str(tiny_model))
    with pytest.raises(ConfigError, match="single lexemes"):
        Leading(model, Vocabulary.of_cut("joined"))

"""What a model is taught of voices that lead well: which pitches are refused where, and that it learns it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from scorelm import recalled, related
from scorelm.bound.strict import Voices
from scorelm.config import TrainConfig
from scorelm.errors import ConfigError
from scorelm.notation.lexemes import cut
from scorelm.pretrained import load_model
from scorelm.tokenizer import Tokens
from scorelm.training.batches import IGNORED, Batch
from scorelm.training.leading import LEAST_PITCH, Leading
from scorelm.training.models import new_model
from scorelm.vocabulary import Vocabulary

ROOT = Path(__file__).parents[1]
TABLE = "gpt_neox.embed_in.weight"
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


def test_instruments_are_judged_where_nobody_sings_with_another() -> None:
    for one, other in (("Violin 1", "Viola"), ("Soprano", "Viola")):
        assert ill_led(f'|T4:4P"{one}"cd;P"{other}"F') >= {"G", "G,"}
    assert ill_led('|T4:4P"Soprano"cd;P"Alto"AA;P"Viola"F') == frozenset()


def everywhere(batch: Batch) -> torch.Tensor:
    return batch.targets() != IGNORED


def test_what_leads_ill_is_refused_but_for_what_stands(tiny_model: Path) -> None:
    model, tokens = load_model(str(tiny_model))
    leading = Leading(model, tokens.vocabulary)
    batch = batch_of(tokens, FIFTHS, '|T4:4P"Soprano"c|')
    refused = leading.refused(batch, everywhere(batch))
    assert refused.shape == (*batch.targets().shape, len(tokens.vocabulary))
    behind = list(cut(FIFTHS)).index("F")
    number = tokens.vocabulary.ids
    assert refused[0, behind, number["G,"]], "an octave lower it is a fifth, too"
    assert not refused[0, behind, number["G"]], "it stands there"
    assert not refused[0, :3].any(), "no singer yet"
    assert not refused[1, len(cut('|T4:4P"Soprano"c|')) :].any(), "padding"
    assert leading.refused(batch, everywhere(batch), free=True)[0, behind, number["G"]], "written free, it should not"
    chosen = everywhere(batch)
    chosen[0, behind] = False
    assert not leading.refused(batch, chosen)[0, behind].any()


def test_what_is_taught_is_what_was_said_less_what_leads_ill(tiny_model: Path) -> None:
    model, tokens = load_model(str(tiny_model))
    leading = Leading(model, tokens.vocabulary)
    found = leading.moments([batch_of(tokens, FIFTHS, '|T4:4P"Violin"GABc|')])
    batch = batch_of(tokens, FIFTHS)
    with torch.no_grad():
        said = torch.softmax(model(**batch.inputs()).logits[0], -1)[everywhere(batch)[0]]
    pitched = said[said[:, leading.pitches].sum(-1) > LEAST_PITCH]
    some = found[: len(pitched)]
    assert torch.allclose(torch.softmax(some.said, -1), pitched, atol=1e-5)

    unrelated = some.said - leading.added(some)
    mass = (torch.softmax(some.said, -1) * some.refused).sum(-1)
    assert mass.sum() > 0 and leading.ill_led(some) == pytest.approx(float(mass.mean()))
    assert float(leading.loss(some, unrelated)) == pytest.approx(float(-torch.log1p(-mass).mean()), rel=1e-3)
    assert float(leading.loss(some, unrelated.masked_fill(some.refused, -60))) == pytest.approx(0, abs=1e-5)
    alone = found[len(pitched) :]
    assert float(leading.loss(alone, alone.said - leading.added(alone))) == pytest.approx(0, abs=1e-5)


def test_it_is_learnt_and_nothing_else(tiny_model: Path, chorales: list[str], tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    rows = [{"source": str(number), "text": text, "quarters": 1.0} for number, text in enumerate(chorales)]
    (own / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    options = ["--dataset", str(own), "--own", str(own), "--free", str(own), "--steps", "60"]
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "lead.py", tiny_model, tmp_path / "led", *options],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    shares, weights = [], []
    for folder in (tiny_model, tmp_path / "led"):
        model, tokens = load_model(str(folder))
        leading = Leading(model, tokens.vocabulary)
        shares.append(leading.ill_led(leading.moments([batch_of(tokens, text) for text in chorales[:3]])))
        weights.append(load_file(folder / "model.safetensors"))
    assert shares[1] < 0.7 * shares[0]
    for name, before in weights[0].items():
        same = torch.ones(len(before), dtype=torch.bool)
        if name == TABLE:
            same[-recalled.ROWS - related.ROWS : -recalled.ROWS] = False
        assert torch.equal(before[same], weights[1][name][same]), name


def test_what_cannot_learn_it_is_refused(tiny_model: Path) -> None:
    model, tokens = load_model(str(tiny_model))
    with pytest.raises(ConfigError, match="single lexemes"):
        Leading(model, Vocabulary.of_cut("joined"))
    config = TrainConfig(hidden_size=16, num_layers=1, num_heads=2, intermediate_size=32, related=False)
    with pytest.raises(ConfigError, match="know intervals"):
        Leading(new_model(config)[0], tokens.vocabulary)

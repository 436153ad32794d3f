"""What is heard where a lexeme stands: the values, and the models that are shown them."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import GPTNeoXForCausalLM

from scorelm import recalled, related
from scorelm.config import TrainConfig
from scorelm.errors import ConfigError
from scorelm.generation import Student
from scorelm.notation.heard import FEATURES, NOTHING, OTHER, REST, ROWS, Ear
from scorelm.notation.lexemes import LEXEMES, cut
from scorelm.notation.positions import positions
from scorelm.pretrained import load_model
from scorelm.recalled import READ
from scorelm.training.models import new_model, started
from scorelm.training.output import save
from tests.conftest import UNTRAINED

STARTS = dict(zip(FEATURES, np.cumsum([0, *FEATURES.values()])))


def listen(text: str) -> dict[str, int]:
    """What is heard behind a text."""
    ear = Ear()
    for lexeme in cut(text):
        ear.push(lexeme)
    return {name: row - STARTS[name] for name, row in zip(FEATURES, ear.heard(), strict=True)}


def of_pitch(lexeme: str) -> int:
    """The value that a pitch has as a feature."""
    return listen(f'|K0T4:4P"A"{lexeme}')["pitch"]


def test_what_is_in_force() -> None:
    heard = listen('|K2!minor!T3:4P"Soprano"i')
    assert (heard["key"], heard["metre"], heard["moment"], heard["left"]) == (10, 12, 0, 12)
    assert heard["value"] == listen('|K2T2:2P"Alto"i')["value"] != listen('|K2T2:2P"Alto"h')["value"]
    assert listen('|K2T2:2P"Alto"h')["value"] == listen('|K2T2:2P"Alto"')["value"], "the beat is a half"
    heard = listen('|K2T3:4P"Soprano"dqf;P"Bass"hDqF|ia')
    assert (heard["moment"], heard["left"], heard["part"], heard["parts"]) == (2, 10, 0, 2)
    assert heard["name"] == listen('|P"Soprano"')["name"]
    assert listen('|K2T4:4P"A"c;P"B"K-1')["key"] == 7, "a part's own"
    assert listen('|K2T4:4P"A"c;P"B"K-1wF|wc')["key"] == 10


def test_what_sounds_meanwhile() -> None:
    text = '|K0T4:4P"A"hcqed;P"B"GhF'
    heard = listen(text)  # three quarters into the measure
    assert heard["above-1"] == of_pitch("d")
    assert heard["moment"] == 12 and heard["pitch"] == of_pitch("F") and heard["pitch-before"] == of_pitch("G")
    assert heard["until-1"] == 1 + 4 and heard["before-1"] == of_pitch("e"), "just before"
    held = listen('|K0T4:4P"A"hce;P"B"qGF')  # where the part above begins a note, too
    assert held["above-1"] == of_pitch("e") and held["before-1"] == of_pitch("c")
    assert listen('|K0T4:4P"A"hce;P"B"qG')["before-1"] == of_pitch("c"), "it still sounds"
    below = listen(text + ";")
    assert (below["above-2"], below["above-1"]) == (of_pitch("c"), of_pitch("G"))
    assert listen(text + "qE|")["below-1"] == of_pitch("E")
    across = listen('|T2:4P"A"cd;P"B"EF|ef;')  # the last notes of the measure before
    assert (across["before-1"], across["above-1"]) == (of_pitch("d"), of_pitch("e"))


def test_rests_other_pitches_and_nothing() -> None:
    assert listen('|T2:4P"A"zd;P"B"')["above-1"] == REST
    assert listen('|T2:4P"A"c')["above-1"] == NOTHING
    assert listen('|T2:4P"A"^^c')["pitch"] == OTHER == listen("|T2:4P\"A\"c'''")["pitch"]
    assert listen('|T2:4P"A"c-')["tied"] == 1 and listen('|T2:4P"A"c-c')["tied"] == 0
    assert listen('|T2:4P"A"Hcd;P"B"')["fermata"] == 1 and listen('|T2:4P"A"cHd;P"B"')["fermata"] == 0
    assert listen('|T2:4P"GABc"')["pitch"] == NOTHING, "letters of a name are no notes"


def test_an_instrument_that_plays_with_a_voice_is_known_by_it() -> None:
    text = "|K0T4:4P\"Flute\"c'd'e'f';P\"Soprano\"cde"
    heard = listen(text)
    assert heard["doubled"] == of_pitch("f") and heard["doubled-until"] == 1 + 4
    assert listen(text.replace("cde", "ggg"))["doubled"] == NOTHING


@given(st.lists(st.sampled_from(LEXEMES[2:]), max_size=60))
def test_any_text_is_followed_and_a_copy_goes_its_own_way(lexemes: list[str]) -> None:
    ear = Ear()
    places, heard = [], []
    for lexeme in lexemes:
        ear.copy().push("|")
        places.append(ear.push(lexeme))
        heard.append(ear.heard())
    assert places == positions(lexemes)
    for rows in heard:
        for row, (name, size) in zip(rows, FEATURES.items(), strict=True):
            assert STARTS[name] <= row < STARTS[name] + size
    again = Ear()
    for lexeme, rows in zip(lexemes, heard):
        again.push(lexeme)
        assert again.heard() == rows
    assert sum(FEATURES.values()) == ROWS


def test_a_model_is_a_plain_gpt_neox_whose_rows_are_summed(tiny_model: Path, chorales: list[str]) -> None:
    model, tokens = load_model(str(tiny_model))
    plain = GPTNeoXForCausalLM.from_pretrained(tiny_model, dtype=torch.float32).eval()
    shown, where = (torch.tensor(x)[None] for x in tokens.shown(tokens.encode(chorales[0])[:200]))
    mask = torch.ones_like(where, dtype=torch.long)
    with torch.no_grad():
        ours = model.eval()(input_ids=shown, position_ids=where, attention_mask=mask).logits
        summed = plain.get_input_embeddings()(shown[..., :READ].int()).sum(-2)
        theirs = plain(inputs_embeds=summed, position_ids=where, attention_mask=mask).logits
    count = len(tokens.vocabulary)
    assert ours.shape[-1] == count
    all_said = theirs[0, :, count + ROWS :].numpy()
    said = np.pad(all_said[:, : related.ROWS], [(0, 0), (0, 1)])
    added = related.Related(tokens.vocabulary.tokens).added(said, shown[0, :, 1:READ].numpy() - count)
    pitches = [recalled.is_pitch(token) for token in tokens.vocabulary.tokens]
    for token, number in recalled.columns(shown[0].numpy(), count + ROWS + related.ROWS):
        counts = np.flatnonzero(number)
        assert len(counts)
        for moment in counts:
            any_pitch = token[moment] == recalled.ANY_PITCH
            added[moment, pitches if any_pitch else token[moment]] += all_said[
                moment, related.ROWS + number[moment] - 1
            ]
    np.testing.assert_allclose(ours[0].numpy(), theirs[0, :, :count].numpy() + added, rtol=1e-4, atol=1e-4)


def test_a_model_that_learns_to_hear_says_at_first_what_it_said(tmp_path: Path, chorales: list[str]) -> None:
    config = TrainConfig(
        output_dir=str(tmp_path / "deaf"), hidden_size=16, num_layers=1, num_heads=2, intermediate_size=32, heard=False
    )
    save(*new_model(config), config, UNTRAINED)
    deaf = Student(config.output_dir)
    model, tokens = started(replace(config, start=config.output_dir, add_layers=1, heard=True))
    save(model, tokens.tokenizer, replace(config, output_dir=str(tmp_path / "hears"), heard=True), UNTRAINED)
    hears = Student(tmp_path / "hears")
    assert hears.hears and not deaf.hears
    np.testing.assert_allclose(deaf.losses(chorales[0]), hears.losses(chorales[0]), rtol=1e-2)


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("scorelm_heard", "to hear other things"),
        ("scorelm_related", "other intervals"),
        ("scorelm_recalled", "to recall otherwise"),
    ],
)
def test_other_things_than_a_model_was_taught_are_refused(
    key: str, said: str, tiny_model: Path, tmp_path: Path
) -> None:
    shutil.copytree(tiny_model, tmp_path / "model")
    path = tmp_path / "model" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: "other"}))
    for load in (load_model, Student):
        with pytest.raises(ConfigError, match=f"was taught {said}"):
            load(str(tmp_path / "model"))

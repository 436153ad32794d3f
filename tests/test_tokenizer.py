"""The Hugging Face tokenizer cuts as the format does."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest
from hypothesis import given
from strategies import scores

from scorelm.notation.lexemes import LEXEMES, cut
from scorelm.notation.model import Score
from scorelm.notation.writer import write
from scorelm.pretrained import load_model
from scorelm.tokenizer import build_tokenizer
from scorelm.vocabulary import Vocabulary

TOKENIZER = build_tokenizer()
JOINED_TOKENIZER = build_tokenizer("joined")


@given(scores())
def test_it_cuts_a_text_into_its_lexemes_and_back(score: Score) -> None:
    text = write(score)
    ids = TOKENIZER(text)["input_ids"]
    assert [LEXEMES[i] for i in ids] == cut(text)
    assert TOKENIZER.decode(ids) == text


@given(scores())
def test_the_joined_cut_has_a_duration_and_its_pitch_as_one_token_and_loses_nothing(score: Score) -> None:
    text = write(score)
    vocabulary = Vocabulary.of_cut("joined")
    ids = JOINED_TOKENIZER(text)["input_ids"]
    tokens = [vocabulary.tokens[i] for i in ids]
    assert [lexeme for token in tokens for lexeme in token] == cut(text)
    assert JOINED_TOKENIZER.decode(ids) == text
    outside = JOINED_TOKENIZER(re.sub('"[^"]*"', '""', text))["input_ids"]
    apart = {a + b for a, b in itertools.pairwise(JOINED_TOKENIZER.convert_ids_to_tokens(outside))}
    assert not apart & set(vocabulary.joined)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("|qc''''|", ["|", "q", "c''''", "|"]),  # beyond the joined octaves
        ("|q.^c'd|", ["|", "q.^c'", "d", "|"]),
        ("|q__Bhz|", ["|", "q", "__", "B", "h", "z", "|"]),
        ('|P"qC"qC|', ["|", *cut('P"qC"'), "qC", "|"]),  # letters of a name are none
    ],
)
def test_what_is_joined_and_what_is_not(text: str, expected: list[str]) -> None:
    assert JOINED_TOKENIZER.convert_ids_to_tokens(JOINED_TOKENIZER(text)["input_ids"]) == expected


@pytest.mark.parametrize("text", ['|\nP"Flöte 長|', '|\nT4:4 P"a  b" C D', '"', 'P2"Piano"', '|P"Violin I"'])
def test_strings_and_white_space_are_cut_alike(text: str) -> None:
    assert [LEXEMES[i] for i in TOKENIZER(text)["input_ids"]] == cut(text)


def test_a_lexeme_s_id_is_its_place_in_the_list() -> None:
    assert len(TOKENIZER) == len(LEXEMES)
    assert TOKENIZER.convert_ids_to_tokens(list(range(len(LEXEMES)))) == list(LEXEMES)
    assert (TOKENIZER.eos_token_id, TOKENIZER.pad_token_id) == (0, 1)


def test_what_is_saved_is_loaded_as_any_tokenizer(tiny_model: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from scorelm.hearing import deafen

    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    model, _ = load_model(str(tiny_model))
    deafen(model)
    model.save_pretrained(tmp_path)
    model = AutoModelForCausalLM.from_pretrained(tmp_path)
    text = '|\nK1T4:4P"Flöte"C^DEF|\n'
    ids = tokenizer(text, return_tensors="pt")
    vocabulary = Vocabulary.read(tiny_model)
    assert [lexeme for i in ids["input_ids"][0] for lexeme in vocabulary.tokens[i]] == cut(text)
    assert model(**ids).logits.shape[-1] == len(vocabulary)
    assert model.generate(**ids, max_new_tokens=3, do_sample=False).shape[1] == ids["input_ids"].shape[1] + 3

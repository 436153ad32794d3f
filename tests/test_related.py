"""How pitches that may come stand to what is heard, and the models that say what they think of it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from scorelm.analysis.lines import midi
from scorelm.bound.strict import Voices
from scorelm.notation.heard import FIFTHS, NEIGHBOURS, ROWS, STEPS, Ear
from scorelm.notation.lexemes import cut
from scorelm.notation.model import Pitch
from scorelm.notation.pitches import PITCH_OF
from scorelm.pretrained import load_model
from scorelm.related import _BY_PARALLEL, _MOST_FIFTHS, FIFTH_OF, NOTHING, PITCHES, STEP_OF, TO, Related
from scorelm.related import ROWS as RELATED
from scorelm.tokenizer import Tokens, build_tokenizer
from scorelm.training.keys import Keys

TOKENS = Tokens(build_tokenizer(), timed=True, heard=True)
TABLES = Related(TOKENS.vocabulary.tokens)
FIRST = len(TOKENS.vocabulary)


def rows_of(text: str) -> list[dict[str, int]]:
    """For each kind of interval the row of each pitch, by its lexeme, behind a text."""
    ear = Ear()
    for lexeme in cut(text):
        ear.push(lexeme)
    steps, fifths, parallels, degrees = TABLES.rows(np.array([ear.heard()]))
    by_step = {name: dict(zip(PITCHES, steps[0, i, STEP_OF])) for i, name in enumerate(TO)}
    by_fifth = {name: dict(zip(PITCHES, fifths[0, i, FIFTH_OF])) for i, name in enumerate(TO)}
    again = {k: dict(zip(PITCHES, parallels[0, i, FIFTH_OF])) for i, k in enumerate(NEIGHBOURS)}
    return [by_step, by_fifth, again, dict(zip(PITCHES, degrees[0, 0, FIFTH_OF]))]


def test_an_interval_has_the_same_row_wherever_it_is() -> None:
    by_step, by_fifth, _, _ = rows_of('|K0T4:4P"A"ceg;P"B"CE')  # with g, behind E
    above_step, above_fifth = by_step["above-1"], by_fifth["above-1"]
    own_step, own_fifth = by_step["pitch"], by_fifth["pitch"]
    assert above_step["G"] - above_step["F"] == own_step["G"] - own_step["F"] == 1, "rows are ordered"
    assert own_step["^F"] == own_step["F"] != own_step["G"]
    assert own_fifth["G"] == own_fifth["g"] == own_fifth["G,"] != own_fifth["^G"], "an octave is no interval there"
    moved_step, moved_fifth, _, _ = rows_of('|K0T4:4P"A"dfa;P"B"D^F')
    assert above_step["E"] == moved_step["above-1"]["F"] and above_fifth["E"] == moved_fifth["above-1"]["^F"]
    assert own_fifth["G"] == moved_fifth["pitch"]["A"] and own_step["G"] == moved_step["pitch"]["A"]
    assert set(by_step["above-2"].values()) == set(by_fifth["below-1"].values()) == {NOTHING}


def test_what_would_be_parallel() -> None:
    _, _, again, _ = rows_of('|K0T4:4P"A"cd;P"B"F')  # a fifth from F up to c
    hits = {pitch for pitch, row in again[1].items() if row != NOTHING}
    assert hits == {pitch for pitch in PITCHES if FIFTHS[pitch] == FIFTHS["G"]}
    assert len({again[1][pitch] for pitch in hits}) == 1
    _, _, octaves, _ = rows_of('|K0T4:4P"A"cd;P"B"C')
    assert octaves[1]["D"] not in (NOTHING, again[1]["G"]), "another interval has another row"
    _, _, still, _ = rows_of('|K0T4:4P"A"cc;P"B"F')
    assert set(still[1].values()) == {NOTHING}, "what does not move makes nothing parallel"


@settings(max_examples=100)
@given(
    st.lists(st.sampled_from(["c", "d", "e", "G", "A", "i", "q", "z"]), min_size=2, max_size=8),
    st.lists(st.sampled_from(["F", "G", "C", "D", "E", "i", "q"]), min_size=1, max_size=8),
)
def test_parallel_fifths_and_octaves_are_those_of_strict_voice_leading(upper: list[str], lower: list[str]) -> None:
    text = f'|K0T8:4P"Soprano"{"".join(upper)};P"Tenor"{"".join(lower)}'
    voices = Voices()
    for lexeme in cut(text):
        voices = voices.push(lexeme)
    refused = voices.ill_led()
    _, _, again, _ = rows_of(text)
    octave, fifth = _BY_PARALLEL + _MOST_FIFTHS + np.array([0, 1])
    own = [lexeme for lexeme in lower if lexeme in PITCHES]
    if not own or lower[-1] == "z":
        return
    found = {pitch for pitch, row in again[1].items() if row in (octave, fifth)}
    inside = {pitch for pitch in PITCHES if 48 <= midi(Pitch(*PITCH_OF[pitch])) <= 69}
    assert (found - {own[-1]}) & inside == refused & inside


def test_places_in_the_key() -> None:
    *_, in_c = rows_of('|K0T4:4P"A"')
    *_, in_d = rows_of('|K2T4:4P"A"')
    assert in_c["C"] == in_c["c"] == in_d["d"] != in_c["G"] == in_d["A"]
    *_, nowhere = rows_of("|")
    assert set(nowhere.values()) == {NOTHING}


@pytest.mark.parametrize("interval", ["M2", "-m3", "P4", "-M2"])
def test_intervals_are_the_same_in_all_keys(interval: str) -> None:
    text = '|K1!major!T4:4P"A"GABc;P"B"hDE;P"C"hB,C;P"D"iG,A,B,G,C,D,E,C,|dcBA;GFED;DCB,A,;hB,^C;'
    here, _ = TOKENS.shown(TOKENS.encode(text))
    there = Keys(TOKENS.vocabulary, True).moved(here, interval)
    assert there is not None
    steps = [TABLES.rows(ids[:, 1:] - FIRST)[0] for ids in (here, there)]
    fifths = [np.concatenate(TABLES.rows(ids[:, 1:] - FIRST)[1:], axis=1) for ids in (here, there)]
    high = _moved("C", interval)
    for (one, other), by in ((steps, STEPS[high] - STEPS["C"]), (fifths, FIFTHS[high])):
        count = one.shape[2]
        kept = slice(max(0, -by), count - max(0, by))
        moved = slice(max(0, by), count - max(0, -by))
        assert (one[:, :, kept] == other[:, :, moved]).all()


def _moved(pitch: str, interval: str) -> str:
    moved = Keys(TOKENS.vocabulary).moved(np.array([TOKENS.vocabulary.ids[pitch]]), interval)
    assert moved is not None
    return TOKENS.vocabulary.tokens[int(moved[0])][0]


@settings(max_examples=30)
@given(st.lists(st.sampled_from(["c", "G", "_B", "^F,", "z", ";", "|", "i", "h", "-"]), max_size=30))
def test_torch_says_what_numpy_says_and_every_row_exists(lexemes: list[str]) -> None:
    ear = Ear()
    heard = []
    for lexeme in ["|", "K-1", "T", "4", ":", "4", 'P"', *lexemes]:
        ear.push(lexeme)
        heard.append(ear.heard())
    shown = np.array(heard)
    for rows in TABLES.rows(shown):
        assert rows.min() >= 0 and rows.max() <= NOTHING
    said = np.random.default_rng(0).normal(size=(len(shown), RELATED + 1)).astype(np.float32)
    said[:, -1] = 0
    in_torch = Related(TOKENS.vocabulary.tokens, torch.as_tensor, lambda x, at, axis: x.gather(axis, at))
    expected = in_torch.added(torch.tensor(said), torch.tensor(shown)).numpy()
    np.testing.assert_allclose(TABLES.added(said, shown), expected, rtol=1e-4, atol=1e-5)


def test_a_token_is_judged_by_the_pitch_that_it_ends_with() -> None:
    tokens = [("c",), ("h", "c"), ("h",), ("|",), ("G",)]
    ear = Ear()
    for lexeme in cut('|K0T4:4P"A"c'):
        ear.push(lexeme)
    said = np.random.default_rng(0).normal(size=(1, RELATED + 1)).astype(np.float32)
    added = Related(tokens).added(said, np.array([ear.heard()]))[0]
    assert added[0] == added[1] != added[4] and not added[2:4].any()


def test_padding_hears_nothing() -> None:
    for rows in TABLES.rows(np.zeros((1, len(Ear().heard())), int) - ROWS):
        assert set(rows.ravel()) == {NOTHING}


def test_a_model_of_half_precision_relates_too(tiny_model: Path) -> None:
    whole, tokens = load_model(str(tiny_model))
    half, _ = load_model(str(tiny_model), dtype="bfloat16")
    shown, where = tokens.shown(tokens.encode('|K1T4:4P"A"GABc;P"B"DDDE;'))
    given = {"input_ids": torch.tensor(shown)[None], "position_ids": torch.tensor(where)[None]}
    mask = torch.ones(1, len(shown), dtype=torch.long)
    with torch.no_grad():
        logits = [model.eval()(**given, attention_mask=mask).logits.float() for model in (whole, half)]
    torch.testing.assert_close(*logits, rtol=0.1, atol=0.1)

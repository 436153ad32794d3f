"""A student writes: every text parses, is sound, and the same seed writes the same."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import scorelm.underway as underway
from scorelm.asked import key_of, time_of
from scorelm.bound.lexemes import LexemeTokens
from scorelm.errors import ConfigError, FormatError
from scorelm.generation import SHIPPED, Sampling, Student, continuable, find_model
from scorelm.notation.lexemes import IDS, LEXEMES, cut
from scorelm.notation.model import chords
from scorelm.notation.plan import Plan
from scorelm.notation.positions import positions
from scorelm.notation.reader import parse
from scorelm.notation.sound import sound_problems
from scorelm.notation.writer import write
from scorelm.readers import open_reader, token_of
from scorelm.underway import Context


@pytest.fixture(scope="module")
def shipped() -> Student:
    return Student(SHIPPED)


@pytest.fixture(scope="module")
def untrained(tiny_model: Path) -> Student:
    return Student(tiny_model)


def written(student: Student, prompt: str = "|", seed: int = 0, **options) -> str:  # type: ignore[no-untyped-def]
    return "".join(student.measures(prompt, seed=seed, **options))


@pytest.mark.parametrize("seed", range(4))
def test_a_new_chorale_is_sound_canonical_and_long_enough(shipped: Student, seed: int) -> None:
    text = written(shipped, seed=seed)
    assert sound_problems(text) == []
    assert write(parse(text)) == text
    assert len(parse(text).measures) >= 8


def test_the_shipped_student_writes_chorales(shipped: Student) -> None:
    texts = ["", "", "", ""]
    for row, piece in shipped.write("|", seeds=range(4)):
        texts[row] += piece
    scores = [parse(text) for text in texts]
    notes = sum(len(chord.notes) for score in scores for chord in chords(score))
    assert sum(len(score.parts) == 4 for score in scores) >= 2
    assert 0.7 < notes / sum(float(score.quarters) * len(score.parts) for score in scores) < 1.7


@pytest.mark.parametrize("seed", range(12))
def test_even_a_student_that_learnt_nothing_writes_sound_text(untrained: Student, seed: int) -> None:
    text = written(untrained, seed=seed, measures=3)
    assert sound_problems(text) == []
    assert write(parse(text)) == text
    assert len(parse(text).measures) == 3


def test_a_seed_writes_the_same_text_again_and_another_one_another(untrained: Student) -> None:
    assert written(untrained, seed=3, measures=2) == written(untrained, seed=3, measures=2)
    assert written(untrained, seed=3, measures=2) != written(untrained, seed=4, measures=2)


def test_the_prompt_stays_and_is_continued(shipped: Student) -> None:
    prompt = '|\n#0?@1K1!major!T4:4P"Soprano"!clef-G2!G;P"Bass"!clef-F4!G,|\nhB'
    text = written(shipped, prompt, measures=4)
    assert text.startswith(prompt)
    assert len(parse(text).measures) == 4


def test_where_the_grammar_turns_the_model_far_a_measure_is_begun_anew(shipped: Student) -> None:
    """9/4 is in no chorale, and a temperature of 2 is high: what may not come is much of what is meant."""
    plan = Plan(key=key_of("f#"), time=time_of("9/4"))

    def nats_a_quarter(again: int) -> float:
        texts = [""] * 24
        wild = Sampling(temperature=2.0)
        for row, piece in shipped.write(plan, seeds=range(24), measures=3, again=again, sampling=wild):
            texts[row] += piece
        assert all(sound_problems(text) == [] and len(parse(text).measures) >= 3 for text in texts)
        return sum(sum(shipped.losses(text)) for text in texts) / sum(float(parse(text).quarters) for text in texts)

    assert nats_a_quarter(again=underway.MOST_AGAIN) < 0.6 * nats_a_quarter(again=0)


@pytest.mark.parametrize("engine", ["numpy", "transformers"])
def test_of_a_measure_that_is_begun_anew_nothing_is_left(tiny_model: Path, engine: str) -> None:
    reader = open_reader(tiny_model, engine)
    ids, where = [5, 9, 17, 4, 30], [float(i) for i in range(5)]
    reader.begin(2, 16)
    reader.restart(1, ids[:2], where[:2])
    for wrong in (40, 41, 42):
        reader.step([1], [wrong], [2.0])
    reader.cut(1, 2)
    for token, position in zip(ids[2:], where[2:]):
        (found,) = reader.step([1], [token], [position])
    assert np.allclose(found, reader.read(ids, where)[-1], atol=1e-4)
    reader.cut(1, 0)
    (found,) = reader.step([1], ids[:1], where[:1])
    assert np.allclose(found, reader.read(ids[:1], where[:1])[-1], atol=1e-4)


def test_a_prompt_may_hold_lexemes_that_are_newer_than_the_model(
    untrained: Student, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompt = '|\nT4:4P"Soprano"!clef-G2!{!untyped!d}wC|\n'
    older = LexemeTokens([(lexeme,) for lexeme in LEXEMES[: IDS["!untyped!"]]])  # the list as it was before
    monkeypatch.setattr(untrained, "tokens", older)
    assert written(untrained, prompt, measures=2).startswith(prompt)


def test_measures_come_one_by_one(shipped: Student) -> None:
    pieces = list(shipped.measures("|", seed=1, measures=9))
    assert len(pieces) == 10
    assert all(piece.endswith("|\n") and piece.count("|") == 1 for piece in pieces)


def test_a_score_is_continued_behind_its_final_barline() -> None:
    assert continuable(parse('|\nT4:4P"A"CDEF!end!|')) == '|\nT4:4P"A"CDEF|\n'
    assert continuable(parse("|")) == "|\n"


def test_a_long_text_goes_on_from_its_last_measures(
    untrained: Student, chorales: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(underway, "CONTEXT", 60)
    seen: list[str] = []
    read = underway.Context.read
    monkeypatch.setattr(underway.Context, "read", lambda self, text: (seen.append(text), read(self, text)))
    text = written(untrained, '|\nT2:4P"A"CD|\n', measures=40)
    assert len(parse(text).measures) == 40
    assert len(seen) > 1
    assert all(parse(context) and len(context) < len(text) for context in seen[1:])


@pytest.mark.parametrize("strict", [False, True])
def test_a_text_that_does_not_come_to_an_end_is_led_to_one(
    untrained: Student, monkeypatch: pytest.MonkeyPatch, strict: bool
) -> None:
    monkeypatch.setattr(underway, "MOST_TOKENS", 300)
    texts = ["" for _ in range(6)]
    for number, piece in untrained.write("|", seeds=range(6), at_least=100, strict=strict):
        texts[number] += piece
    for text in texts:
        assert sound_problems(text) == []
        *before, last_but_one, _ = (measure + "|" for measure in text.split("|")[1:-1])
        assert len(cut("".join(before))) - len(before) < 300 + len(cut(last_but_one))
        assert "!end!" in text.split("|")[-2]
    asked = written(untrained, seed=1, measures=12, strict=strict)  # what is asked for comes, however long it is
    assert len(parse(asked).measures) == 12


@pytest.mark.parametrize("prompt", ["CDEF", "", "|CDEF|", '|T4:4P"A"CDE|'])
def test_a_broken_prompt_is_refused(untrained: Student, prompt: str) -> None:
    with pytest.raises(FormatError):
        written(untrained, prompt)


def test_fewer_measures_than_the_prompt_has_are_refused(untrained: Student) -> None:
    with pytest.raises(ConfigError, match="has 1 measures already"):
        written(untrained, '|T4:4P"A"CDEF|', measures=1)


@pytest.mark.parametrize(
    "wrong",
    [{"temperature": -1}, {"temperature": float("nan")}, {"top_k": -1}, {"top_p": 0}, {"top_p": 1.5}, {"min_p": 2}],
)
def test_a_sampling_out_of_range_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        Sampling(**wrong)  # type: ignore[arg-type]


def test_sampling_keeps_to_what_it_is_told() -> None:
    logits = np.array([0.0, 3.0, 1.0, 2.9], np.float32)
    chance = np.random.default_rng(0)

    def chosen(sampling: Sampling) -> set[int]:
        return {sampling.choose(logits, chance) for _ in range(300)}

    assert chosen(Sampling(0)) == {1}
    assert chosen(Sampling(1, top_k=2)) == {1, 3}
    assert chosen(Sampling(1, top_p=0.5)) == {1, 3}
    assert chosen(Sampling(1, top_p=0.1)) == {1}
    assert chosen(Sampling(1, min_p=0.5)) == {1, 3}
    assert chosen(Sampling(5)) == {0, 1, 2, 3}


def test_a_model_with_other_lexemes_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(tiny_model, other)
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**config, "scorelm_vocabulary": "0"}))
    with pytest.raises(ConfigError, match="not those that it was trained with"):
        Student(other)


def test_a_model_whose_weights_are_missing_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(tiny_model, other)
    (other / "model.safetensors").unlink()
    with pytest.raises(ConfigError, match="cannot be read"):
        Student(other)


def test_the_model_is_the_named_one_else_the_trained_one_else_the_shipped_one(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_model(None) == SHIPPED
    assert find_model(str(tiny_model)) == tiny_model
    shutil.copytree(tiny_model, "score-lm")
    assert find_model(None) == Path("score-lm")
    with pytest.raises(ConfigError, match="nowhere"):
        find_model("nowhere")


def test_numpy_says_what_transformers_says(tiny_model: Path) -> None:
    text = '|K1T4:4P"Soprano"GABc;P"Bass"G,B,DC'
    for folder in (tiny_model, SHIPPED):
        students = [Student(folder, engine) for engine in ("numpy", "transformers")]
        readers = [student.reader for student in students]
        context = Context(students[0])
        context.read(text)
        ids, where = context.ids, context.positions
        assert [token_of(shown) for shown in ids] == [IDS[lexeme] for lexeme in cut(text)]
        assert where == positions(cut(text))
        found = []
        for reader in readers:
            reader.begin(3, 64)
            for row, length in enumerate((9, 5, 2)):
                reader.restart(row, ids[:length], where[:length])
            logits = []
            for rows in ((0, 1, 2), (0, 1, 2), (1, 2), (1, 2), (2,)):  # of different lengths, fewer and fewer
                at = [(9, 5, 2)[row] + len(logits) for row in rows]
                logits.append(reader.step(list(rows), [ids[i] for i in at], [where[i] for i in at]))
            found.append(np.concatenate(logits))
        np.testing.assert_allclose(found[0], found[1], rtol=1e-3, atol=1e-3)


def test_both_engines_write_the_same_and_several_texts_are_those_of_their_seeds(tiny_model: Path) -> None:
    fast, slow = Student(tiny_model), Student(tiny_model, "transformers")
    texts = {seed: written(fast, seed=seed, measures=2) for seed in (5, 6, 7)}
    assert written(slow, seed=5, measures=2) == texts[5]
    together = dict.fromkeys(range(3), "")
    for row, piece in fast.write("|", seeds=[5, 6, 7], measures=2):
        together[row] += piece
    assert list(together.values()) == list(texts.values())


def test_a_prompt_longer_than_the_context_is_continued(untrained: Student) -> None:
    prompt = '|\nT4:4P"A"' + "iCCCCCCCC|\n" * 400
    text = written(untrained, prompt, measures=402)
    assert text.startswith(prompt)


def test_an_engine_that_is_none_is_refused(tiny_model: Path) -> None:
    with pytest.raises(ConfigError, match="numpy, transformers"):
        Student(tiny_model, "steam")


@pytest.mark.parametrize("damage", [b"", b"\xff" * 20, b"\x02\0\0\0\0\0\0\0{}x"])
def test_damaged_weights_are_refused(tiny_model: Path, tmp_path: Path, damage: bytes) -> None:
    other = tmp_path / "other"
    shutil.copytree(tiny_model, other)
    (other / "model.safetensors").write_bytes(damage)
    with pytest.raises(ConfigError, match="other"):
        Student(other)

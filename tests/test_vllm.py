"""vLLM writes what the reference writes, bound to the grammar. Where vLLM is not installed, that is said."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

import infer
from scorelm.compose import Wish
from scorelm.config import TrainConfig
from scorelm.errors import ConfigError
from scorelm.generation import Student
from scorelm.notation.reader import parse
from scorelm.notation.sound import sound_problems
from scorelm.training.models import new_model
from scorelm.underway import CONTEXT


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that has learnt nothing, whose positions are places in the row, and which hears nothing."""
    out = tmp_path_factory.mktemp("model")
    torch.manual_seed(0)
    shape = {"hidden_size": 128, "num_layers": 2, "num_heads": 2, "intermediate_size": 256}
    for part in new_model(TrainConfig(cut="joined", positions="index", heard=False, **shape)):
        part.save_pretrained(out)
    return out


@pytest.fixture(scope="module")
def student(folder: Path) -> Student:
    """One that vLLM writes for, in the reference's precision."""
    pytest.importorskip("vllm", reason="vLLM is not installed here")
    from scorelm.vllm_engine import VllmEngine

    out = Student(folder)
    out.vllm = VllmEngine(folder, 2 * CONTEXT, "float32")
    return out


def texts(student: Student, **options: object) -> list[str]:
    wish = Wish(**options)  # type: ignore[arg-type]
    out = [""] * wish.n
    for number, piece in wish.write(student, wish.seeds()):
        out[number] += piece
    return out


@pytest.mark.parametrize("context", [CONTEXT, 64])
def test_the_likeliest_text_is_the_references(
    student: Student, folder: Path, context: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scorelm.underway.CONTEXT", context)
    asked = {"key": "D", "time": "3/4", "parts": "Soprano,Bass", "measures": 4, "temperature": 0.0, "seed": 1}
    assert texts(student, **asked) == texts(Student(folder), **asked)


def test_many_texts_at_once_are_sound_and_repeat(student: Student) -> None:
    found = texts(student, n=6, measures=3, seed=4)
    assert len(set(found)) == 6 and found == texts(student, n=6, measures=3, seed=4)
    for text in found:
        assert sound_problems(text) == [] and len(parse(text).measures) == 3


def test_a_melody_is_harmonised(student: Student) -> None:
    melody = '|\nT4:4P"Soprano"!clef-G2!GABc|\nGABc!end!|\n'
    (text,) = texts(student, given=melody, seed=1)
    assert [p.name for p in parse(text).parts] == ["Soprano", "Alto", "Tenor", "Bass"]
    assert [m.parts[0].staves[0].voices for m in parse(text).measures if m.parts[0]] == [
        m.parts[0].staves[0].voices for m in parse(melody).measures if m.parts[0]
    ]


def test_what_it_cannot_do_is_said(student: Student) -> None:
    with pytest.raises(ConfigError, match="several tries"):
        texts(student, tries=2)
    with pytest.raises(ConfigError, match="--free needs another engine"):
        texts(student, free=True)


def test_a_missing_vllm_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "vllm", None)
    monkeypatch.delitem(sys.modules, "scorelm.vllm_engine", raising=False)
    assert infer.main(["|", "-m", str(folder), "--engine", "vllm"]) == 2
    assert 'pip install "scorelm[vllm]"' in capsys.readouterr().err


def test_a_model_that_is_shown_more_than_tokens_is_refused(tiny_model: Path) -> None:
    with pytest.raises(ConfigError, match="shown the moments of the music or what is heard"):
        Student(tiny_model, "vllm")

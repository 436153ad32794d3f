"""A few steps of training: what is written, that a seed counts, and what is refused before any work."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from scorelm.config import TrainConfig
from scorelm.errors import ConfigError
from scorelm.generation import Student
from scorelm.notation.reader import parse
from scorelm.notation.sound import sound_problems
from scorelm.training import IGNORED, Piece, batches, bits_per_quarter, in_all_keys, train

FILES = {"config.json", "model.safetensors", "tokenizer.json", "README.md", "metrics.json", "train_cfg.json"}


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory, chorales: list[str]) -> TrainConfig:
    folder = tmp_path_factory.mktemp("training")
    for split, texts in (("train", chorales[:4]), ("validation", chorales[4:6])):
        rows = [json.dumps({"text": text, "quarters": float(parse(text).quarters)}) for text in texts]
        (folder / f"{split}.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return TrainConfig(
        dataset_dir=str(folder), output_dir=str(folder / "model"), hidden_size=32, num_layers=1, num_heads=2,
        intermediate_size=32, batch_size=2, max_length=256, max_steps=8, eval_steps=4, warmup_steps=2,
        mixed_precision="no", threads=1,
    )  # fmt: skip


@pytest.fixture(scope="module")
def trained(config: TrainConfig) -> dict:  # type: ignore[type-arg]
    return train(config)


def test_what_is_written_is_a_whole_model(config: TrainConfig, trained: dict) -> None:  # type: ignore[type-arg]
    folder = Path(config.output_dir)
    assert {file.name for file in folder.iterdir()} >= FILES
    assert json.loads((folder / "metrics.json").read_text())["bits_per_quarter"] == trained["bits_per_quarter"]
    assert f"{trained['bits_per_quarter']:.4f}" in (folder / "README.md").read_text()
    assert all(file.stat().st_mode & 0o044 for file in folder.iterdir())
    text = "".join(Student(folder).measures("|", seed=1, measures=2))
    assert sound_problems(text) == []


def test_training_lowers_the_bits(trained: dict) -> None:  # type: ignore[type-arg]
    bits = [row["bits_per_quarter"] for row in trained["history"]]
    assert len(bits) == 2
    assert bits[-1] < bits[0]


def test_the_same_seed_trains_the_same_model(config: TrainConfig, trained: dict, tmp_path: Path) -> None:  # type: ignore[type-arg]
    again = train(replace(config, output_dir=str(tmp_path / "again")))
    assert [row["loss"] for row in again["history"]] == [row["loss"] for row in trained["history"]]
    weights = [Path(folder, "model.safetensors").read_bytes() for folder in (config.output_dir, tmp_path / "again")]
    assert weights[0] == weights[1]


def test_a_model_of_a_folder_is_trained_on(config: TrainConfig, trained: dict, tmp_path: Path) -> None:  # type: ignore[type-arg]
    more = train(replace(config, model_name=config.output_dir, output_dir=str(tmp_path / "more"), max_steps=4))
    assert more["bits_per_quarter"] < trained["history"][0]["bits_per_quarter"]
    Student(tmp_path / "more")


@pytest.mark.parametrize("wrong", [{"dataset_dir": "nowhere"}, {"model_name": "nowhere/at-all"}])
def test_what_is_missing_is_said_before_any_work(config: TrainConfig, wrong: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere"):
        train(replace(config, output_dir=str(tmp_path / "none"), **wrong))
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("line", ["{", '{"text": "|"}', "[]", ""])
def test_a_broken_dataset_is_refused_by_its_line(config: TrainConfig, line: str, tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text(line + "\n" if line else "")
    with pytest.raises(ConfigError, match=r"train\.jsonl"):
        train(replace(config, dataset_dir=str(tmp_path)))


def test_a_text_in_all_keys_is_there_once_for_each_pitch_class(chorales: list[str]) -> None:
    variants = in_all_keys(chorales[0])
    assert variants[0] == chorales[0]
    assert len(set(variants)) == 12
    lowest = {parse(text).measures[0].parts[0].staves[0].voices[0][0].notes[0].pitch for text in variants}  # type: ignore
    assert len(lowest) == 12
    assert in_all_keys(chorales[0], wanted=False) == [chorales[0]]


def test_a_batch_holds_every_token_once(config: TrainConfig) -> None:
    import random

    pieces = [Piece([list(range(2, 2 + length))], 1.0) for length in (5, 300, 256, 40, 7)]
    found = []
    for ids, labels in batches(pieces, config, random.Random(1)):
        assert ids.shape == labels.shape and ids.shape[1] <= config.max_length
        found += labels[labels != IGNORED].tolist()
    assert sorted(found) == sorted(token for piece in pieces for token in piece.variants[0])


class Uniform(torch.nn.Module):
    """A model that finds every one of eight tokens alike: three bits each."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, input_ids: torch.Tensor) -> object:
        from types import SimpleNamespace

        return SimpleNamespace(logits=torch.zeros(*input_ids.shape, 8))


@pytest.mark.parametrize("length", [2, 9, 10, 11, 25, 64])
def test_bits_per_quarter_count_every_token_but_the_first_once(length: int) -> None:
    pieces = [Piece([[1] * length], 4.0), Piece([[1] * 3], 2.0)]
    assert bits_per_quarter(Uniform(), pieces, 10) == pytest.approx(3 * (length - 1 + 2) / 6)

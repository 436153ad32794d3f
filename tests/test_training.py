"""A few steps of training: what is written, that a seed counts, and what is refused before any work."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers.models.gpt_neox import GPTNeoXConfig, GPTNeoXForCausalLM

from scorelm import recalled, related
from scorelm.config import TrainConfig
from scorelm.errors import ConfigError
from scorelm.generation import Student
from scorelm.likelihood import Piece, bits_per_quarter
from scorelm.notation.sound import sound_problems
from scorelm.training import train
from scorelm.training.checkpoints import Checkpoints
from scorelm.training.models import started
from scorelm.training.muon import Muon
from scorelm.training.on_cpu import Attention, Dropout, hasten

FILES = {"config.json", "model.safetensors", "tokenizer.json", "README.md", "metrics.json", "train_cfg.json"}


@pytest.fixture(scope="module")
def config(tiny_training: TrainConfig) -> TrainConfig:
    return tiny_training


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


def test_a_model_of_train_py_is_trained_on_with_another_dropout(
    config: TrainConfig,
    trained: dict,
    tmp_path: Path,  # type: ignore[type-arg]
) -> None:
    more = train(replace(config, start=config.output_dir, output_dir=str(tmp_path / "more"), dropout=0.2, max_steps=4))
    assert more["bits_per_quarter"] < trained["history"][0]["bits_per_quarter"]
    assert json.loads((tmp_path / "more" / "config.json").read_text())["hidden_dropout"] == 0.2
    with pytest.raises(ConfigError, match="name one"):
        replace(config, start=config.output_dir, model_name=config.output_dir)
    with pytest.raises(ConfigError, match="add_layers needs a start"):
        replace(config, add_layers=1)


@pytest.mark.parametrize("learn", ["intervals", "recalled"])
def test_rows_may_be_learnt_alone(config: TrainConfig, trained: dict, tmp_path: Path, learn: str) -> None:  # type: ignore[type-arg]
    config = replace(config, start=config.output_dir, learn=learn, output_dir=str(tmp_path / "more"), weight_decay=0.0)
    train(config)
    before, after = (load_file(Path(str(f)) / "model.safetensors") for f in (config.start, config.output_dir))
    for name, tensor in before.items():
        same = len(tensor)
        if "embed_in" in name or "lm_head" in name or "embed_out" in name:
            if learn == "recalled":
                assert len(after[name]) == same + recalled.ROWS and after[name][same:].abs().max() > 0
            else:
                same -= related.ROWS
                assert not torch.equal(tensor[same:], after[name][same:])
        assert torch.equal(tensor[:same], after[name][:same]), name
    with pytest.raises(ConfigError, match="and weight_decay 0"):
        replace(config, weight_decay=0.1)


@pytest.mark.parametrize("more", [1, 2, 3, 5])
def test_a_deeper_model_says_what_it_said_before(config: TrainConfig, trained: dict, more: int) -> None:  # type: ignore[type-arg]
    ids = torch.tensor([[0, 5, 9, 20, 3]])
    before, after = (
        started(replace(config, start=config.output_dir, add_layers=layers))[0].eval() for layers in (0, more)
    )
    assert len(after.gpt_neox.layers) == after.config.num_hidden_layers == config.num_layers + more
    with torch.no_grad():
        torch.testing.assert_close(after(ids).logits, before(ids).logits)
        first = torch.nn.functional.cross_entropy(before(ids).logits[0, :-1], ids[0, 1:])
    after.train()
    loss = torch.nn.functional.cross_entropy(after(ids).logits[0, :-1], ids[0, 1:])
    loss.backward()
    assert first.isfinite() and after.gpt_neox.layers[1].mlp.dense_4h_to_h.weight.grad.any()


def test_dropout_by_bytes_is_dropout() -> None:
    torch.manual_seed(0)
    layer, x = Dropout(0.3), torch.ones(300, 401, requires_grad=True)
    out = layer(x)
    kept = out != 0
    assert kept.float().mean().item() == pytest.approx(1 - 77 / 256, abs=0.005)
    torch.testing.assert_close(out[kept], torch.full((int(kept.sum()),), 256 / 179))
    out.sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad, out.detach())
    assert layer.eval()(x) is x
    model = torch.nn.Sequential(torch.nn.Dropout(0.5), torch.nn.Linear(2, 2))
    hasten(model)
    assert isinstance(model[0], Dropout) and model[0].p == 0.5


@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
def test_attention_on_a_processor_is_that_of_transformers(implementation: str) -> None:
    shape = GPTNeoXConfig(
        vocab_size=50, hidden_size=48, num_hidden_layers=2, num_attention_heads=3, intermediate_size=64, rotary_pct=1.0
    )
    torch.manual_seed(0)
    theirs = GPTNeoXForCausalLM._from_config(shape, attn_implementation=implementation)
    ours = copy.deepcopy(theirs)
    hasten(ours)
    assert all(type(layer.attention) is Attention for layer in ours.gpt_neox.layers)
    assert [name for name, _ in ours.named_parameters()] == [name for name, _ in theirs.named_parameters()]
    ids, moments = torch.randint(50, (2, 9)), torch.randint(300, (2, 9))
    for model in (theirs, ours):
        logits = model(ids, position_ids=moments, attention_mask=torch.ones_like(ids), use_cache=False).logits
        torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids.flatten()).backward()
        model.found = logits
    torch.testing.assert_close(ours.found, theirs.found)
    for mine, other in zip(ours.parameters(), theirs.parameters()):
        torch.testing.assert_close(mine.grad, other.grad)
    ours.eval()
    with torch.no_grad():  # with a cache it is transformers' own
        first = ours(ids[:, :5], use_cache=True)
        then = ours(ids[:, 5:], past_key_values=first.past_key_values).logits
        torch.testing.assert_close(then, theirs.eval()(ids).logits[:, 5:])


def test_attention_that_turns_a_part_of_each_head_stays_as_it_is() -> None:
    shape = GPTNeoXConfig(vocab_size=50, hidden_size=48, num_hidden_layers=1, num_attention_heads=3, rotary_pct=0.25)
    model = GPTNeoXForCausalLM(shape)
    hasten(model)
    assert type(model.gpt_neox.layers[0].attention) is not Attention


@pytest.mark.parametrize("wrong", [{"dataset_dir": "nowhere"}, {"model_name": "nowhere/at-all"}, {"start": "nowhere"}])
def test_what_is_missing_is_said_before_any_work(config: TrainConfig, wrong: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere"):
        train(replace(config, output_dir=str(tmp_path / "none"), **wrong))
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("line", ["{", '{"text": "|"}', "[]", ""])
def test_a_broken_dataset_is_refused_by_its_line(config: TrainConfig, line: str, tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text(line + "\n" if line else "")
    with pytest.raises(ConfigError, match=r"train\.jsonl"):
        train(replace(config, dataset_dir=str(tmp_path)))


def test_muon_steps_as_torch_s_does() -> None:
    torch.manual_seed(0)
    shapes = [(12, 40), (40, 12), (12, 40)]
    ours = [torch.nn.Parameter(torch.randn(shape)) for shape in shapes]
    theirs = [torch.nn.Parameter(p.detach().clone()) for p in ours]
    steppers = [
        Muon(ours, lr=0.1, weight_decay=0.2),
        torch.optim.Muon(theirs, lr=0.1, weight_decay=0.2, adjust_lr_fn="match_rms_adamw"),
    ]
    for _ in range(3):
        for a, b in zip(ours, theirs):
            a.grad = torch.randn_like(a)
            b.grad = a.grad.clone()
        for stepper in steppers:
            stepper.step()
    for a, b in zip(ours, theirs):  # torch's computes in bfloat16
        torch.testing.assert_close(a, b, atol=0.02, rtol=0)


class Uniform(torch.nn.Module):
    """A model that finds every one of eight tokens alike: three bits each."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, input_ids: torch.Tensor, **_: object) -> object:
        from types import SimpleNamespace

        return SimpleNamespace(logits=torch.zeros(*input_ids.shape, 8))


@pytest.mark.parametrize("length", [2, 9, 10, 11, 25, 64])
def test_bits_per_quarter_count_every_token_but_the_first_once(length: int) -> None:
    pieces = [Piece([1] * length, 4.0), Piece([1] * 3, 2.0)]
    assert bits_per_quarter(Uniform(), pieces, 10) == pytest.approx(3 * (length - 1 + 2) / 6)


def test_a_run_that_was_stopped_goes_on_bit_for_bit(config: TrainConfig, tmp_path: Path) -> None:
    whole = replace(config, output_dir=str(tmp_path / "whole"), save_steps=3, ema_decay=0.9)
    stopped = replace(whole, output_dir=str(tmp_path / "stopped"))
    train(whole)
    train(replace(stopped, max_steps=8))
    import shutil

    checkpoints = tmp_path / "stopped-checkpoints"
    shutil.rmtree(checkpoints / "step-0000008")  # as if it had been killed behind step 6 or 7
    train(replace(stopped, resume=True))
    for name in ("model.safetensors", "metrics.json"):
        left, right = ((tmp_path / run / name).read_text("latin-1") for run in ("whole", "stopped"))
        if name == "metrics.json":
            left, right = (json.dumps(json.loads(x)["history"]) for x in (left, right))
        assert left == right
    logs = [(tmp_path / f"{run}-checkpoints" / "log.jsonl").read_text() for run in ("whole", "stopped")]
    assert logs[0] == logs[1]
    assert sorted(p.name for p in checkpoints.glob("step-*")) == ["step-0000006", "step-0000008"]


def test_a_disk_without_room_is_said_before_any_work(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil
    from collections import namedtuple

    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**6, 10**6, 10))
    with pytest.raises(ConfigError, match="save_total_limit"):
        train(replace(config, output_dir=str(tmp_path / "full"), save_steps=2))
    assert not (tmp_path / "full").exists()


def test_a_checkpoint_that_is_half_written_is_none(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path / "model", limit=2)
    for step in (5, 10, 15):
        checkpoints.finish(checkpoints.begin(step), {"step": step})
    (checkpoints.begin(20) / "model.safetensors").write_bytes(b"half")
    (checkpoints.folder / "step-0000030").mkdir()  # without its state
    newest = checkpoints.newest()
    assert newest is not None and newest.name == "step-0000015"
    assert not (checkpoints.folder / "step-0000005").exists()


def test_training_stops_early_and_begins_anew_beside_old_checkpoints(config: TrainConfig, tmp_path: Path) -> None:
    config = replace(
        config, output_dir=str(tmp_path / "model"), lr=1e-9, muon_lr=1e-9, ema_decay=0.0, eval_steps=2, patience=1,
        max_steps=40, save_steps=2,
    )  # fmt: skip
    metrics = train(config)
    assert metrics["history"][-1]["step"] < 40
    train(config)
    assert (tmp_path / "model-checkpoints.before").is_dir()


def test_a_checkpoint_of_other_settings_is_not_gone_on_from(config: TrainConfig, tmp_path: Path) -> None:
    config = replace(config, output_dir=str(tmp_path / "model"), save_steps=4)
    train(config)
    with pytest.raises(ConfigError, match="dropout"):
        train(replace(config, dropout=0.5, resume=True))

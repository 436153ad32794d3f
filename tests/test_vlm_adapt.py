"""A tiny model learns by LoRA in three phases, each from the adapter of the one before; its encoder stays as it was."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("peft", reason='adapters need peft: pip install "scorelm[vlm]"')
pytest.importorskip("resvg_py", reason="pictures need resvg")

import torch
from tiny_vlm import llava, with_own_code

from scorelm.errors import ConfigError
from vlm.adapt.__main__ import main
from vlm.adapt.config import AdaptConfig
from vlm.adapt.loop import Adaptation
from vlm.data.config import DataConfig
from vlm.data.pieces import Piece
from vlm.data.record import PHASES, read_split, write_records
from vlm.data.rendered import engraving
from vlm.teacher.config import TeacherConfig
from vlm.teacher.local import Local


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory, chorales: list[str]) -> AdaptConfig:
    folder = tmp_path_factory.mktemp("adapt")
    data = DataConfig(engravers={"verovio": 1.0}, worn=0.0, pages=0, staves=1, systems=1)
    for split, texts in (("train", chorales[:2]), ("validation", chorales[2:4])):
        (folder / "data" / split).mkdir(parents=True)
        records = [
            r for n, text in enumerate(texts) for r in engraving(Piece(text, f"{split}{n}", split), data)
        ]  # fmt: skip
        write_records(folder / "data" / split / "0.parquet", records)
    return AdaptConfig(
        dataset_dir=str(folder / "data"), output_dir=str(folder / "adapter"), model=str(llava(folder / "llava")),
        load_in_4bit=False, alignment_steps=3, extraction_steps=2, analysis_steps=2, gradient_accumulation_steps=2,
        lr=1e-2, warmup_steps=1, eval_records=3,
    )  # fmt: skip


def test_three_phases_each_from_the_last_ones_adapter(config: AdaptConfig) -> None:
    from safetensors.torch import load_file

    adaptation = Adaptation(config)
    seeing = {n: w.clone() for n, w in adaptation.model.named_parameters() if "vision" in n}
    rows = adaptation.run()
    assert [row["phase"] for row in rows] == list(PHASES)
    assert rows[0]["after"] < rows[0]["before"]
    assert seeing
    for name, weight in adaptation.model.named_parameters():
        assert weight.requires_grad == ("lora" in name)
        if name in seeing:
            assert torch.equal(weight, seeing[name]), name
    first, last = (load_file(Path(rows[i]["folder"], "adapter_model.safetensors")) for i in (0, -1))
    learning = {name.split(".")[-3] for name in last}
    assert learning == {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}
    assert any(not torch.equal(first[name], last[name]) for name in first)
    about = json.loads(Path(rows[0]["folder"], "adapter_config.json").read_text(encoding="utf-8"))
    assert (about["r"], about["lora_alpha"], about["lora_dropout"]) == (16, 32, 0.05)

    again = Adaptation(replace(config, start=rows[-1]["folder"], phases="analysis"))
    assert again.nats("analysis") == pytest.approx(rows[-1]["after"], rel=1e-4)

    ask = TeacherConfig(teacher="transformers", model=config.model)
    plain, taught = Local(ask), Local(replace(ask, adapter=rows[-1]["folder"]))
    assert taught.name.startswith(plain.name + " + ")
    changed = [
        name
        for name, weight in taught.model.named_parameters()
        if not torch.equal(weight, plain.model.get_parameter(name))
    ]
    assert {name.split(".")[-2] for name in changed} == learning
    with pytest.raises(ConfigError, match="is no adapter"):
        Local(replace(ask, adapter=str(Path(config.dataset_dir))))


def test_only_the_answer_is_learnt(config: AdaptConfig) -> None:
    adaptation = Adaptation(config)
    record = next(read_split(config.dataset_dir, "train", "analysis"))
    inputs = adaptation.feeder.inputs(record)
    learnt = inputs["labels"][inputs["labels"] >= 0]
    tokenizer = adaptation.feeder.tokenizer
    assert tokenizer.decode(learnt, skip_special_tokens=True).strip() == record.answer
    assert record.prompt in tokenizer.decode(inputs["input_ids"][0][inputs["labels"][0] < 0], skip_special_tokens=True)


def test_four_bit_weights_learn_behind_an_evaluation(config: AdaptConfig) -> None:
    pytest.importorskip("bitsandbytes", reason='4-bit needs bitsandbytes: pip install "scorelm[vlm]"')
    adaptation = Adaptation(replace(config, load_in_4bit=True, alignment_steps=1, phases="alignment"))
    kinds = {type(layer).__name__ for layer in adaptation.model.modules()}
    assert "Linear4bit" in kinds
    before = [weight.clone() for weight in adaptation.weights]
    adaptation.run()  # evaluates first
    assert any(not torch.equal(old, new) for old, new in zip(before, adaptation.weights))


def test_a_model_with_code_of_its_own_learns_by_what_its_chat_says(config: AdaptConfig, tmp_path: Path) -> None:
    own = replace(config, model=str(with_own_code(tmp_path / "own")), phases="alignment")
    with pytest.raises(ConfigError, match="trust_remote_code"):
        Adaptation(own)
    adaptation = Adaptation(replace(own, trust_remote_code=True, output_dir=str(tmp_path / "out")))
    record = next(read_split(config.dataset_dir, "train", "alignment"))
    inputs = adaptation.feeder.inputs(record)
    learnt = inputs["labels"][inputs["labels"] >= 0]
    assert adaptation.feeder.tokenizer.decode(learnt, skip_special_tokens=True).strip() == record.answer.strip()
    row = adaptation.run()[0]
    assert row["after"] < row["before"]


def test_unsloth_is_used_only_where_a_gpu_is_and_that_is_said(
    config: AdaptConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    Adaptation(config)
    assert "unsloth is not used: there is no GPU; transformers and peft are\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--phases", "analysis,alignment"], "phases are some of alignment,extraction,analysis, in this order"),
        (["--r", "0"], "r must be above 0"),
        (["--dataset-dir", "nowhere"], "nowhere: holds no records of train"),
    ],
)
def test_bad_settings_are_one_line_and_exit_code_2(
    options: list[str], said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(options) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1

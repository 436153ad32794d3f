"""Settings are read strictly, from a file and from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scorelm.config import TrainConfig, load_config, main_config
from scorelm.errors import ConfigError

ROOT = Path(__file__).resolve().parents[1]


def test_the_shipped_settings_load_and_are_of_the_shape_of_the_shipped_model() -> None:
    config = load_config(ROOT / "train_cfg.json")
    model = load_config(ROOT / "scorelm" / "models" / "chorale" / "train_cfg.json")
    assert config == TrainConfig()
    shape = (
        "hidden_size",
        "num_layers",
        "num_heads",
        "intermediate_size",
        "cut",
        "positions",
        "rotary_share",
        "max_length",
    )
    assert [getattr(config, name) for name in shape] == [getattr(model, name) for name in shape]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"batchsize": 4}, "unknown key 'batchsize'; did you mean 'batch_size'?"),
        ({"batch_size": "4"}, "batch_size must be int, not '4'"),
        ({"transpose": 1}, "transpose must be bool"),
        ({"batch_size": True}, "batch_size must be int"),
        ({"lr": 0}, "lr must be above 0"),
        ({"dropout": 1}, "dropout must lie between 0 and 1"),
        ({"hidden_size": 10, "num_heads": 4}, "does not divide"),
        ({"mixed_precision": "fp8"}, "mixed_precision is"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(settings: dict[str, object], words: str, tmp_path: Path) -> None:
    path = tmp_path / "my_cfg.json"
    path.write_text(json.dumps(settings))
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert words in str(caught.value)
    assert "my_cfg.json" in str(caught.value)


@pytest.mark.parametrize("content", ["{", "[]", ""])
def test_a_file_that_is_no_object_is_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "my_cfg.json"
    path.write_text(content)
    with pytest.raises(ConfigError, match="my_cfg"):
        load_config(path)


def test_a_missing_file_is_refused() -> None:
    with pytest.raises(ConfigError, match="nowhere"):
        load_config("nowhere.json")


def test_the_command_line_overrides_the_file(tmp_path: Path) -> None:
    path = tmp_path / "my_cfg.json"
    path.write_text(json.dumps({"batch_size": 4, "lr": 1}))
    config = main_config(
        ["--config", str(path), "--batch_size", "2", "--transpose", "false", "--model-name", "null"], ""
    )
    assert config == TrainConfig(batch_size=2, lr=1, transpose=False)


@pytest.mark.parametrize("words", [["--batchsize", "4"], ["--batch-size", "many"], ["--transpose", "perhaps"]])
def test_a_wrong_option_ends_with_code_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main_config(words, "")
    assert ended.value.code == 2
    assert words[0].strip("-") in capsys.readouterr().err.replace("_", "-")

"""The folder that training leaves: weights, tokenizer, settings, figures, a model card."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from scorelm.card import model_card
from scorelm.config import TrainConfig
from scorelm.errors import ScoreError
from scorelm.recalled import RECALLS
from scorelm.related import HEARS, RELATES


def save(model: Any, tokenizer: Any, config: TrainConfig, metrics: dict[str, Any], tensors: Any = None) -> None:
    """Write the output folder whole, then give it its name; a folder that was there goes.

    tensors: the whole weights, where the model at hand holds a part of them
    """
    target = Path(config.output_dir)
    new = target.with_name(f".{target.name}.new")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(new, ignore_errors=True)
        if config.lora is not None and not config.load_in_4bit:
            model = _merged(model)
            tensors = None
        was, model.config.use_cache = model.config.use_cache, True
        if config.load_in_4bit:
            model.save_pretrained(new)  # the adapter alone, which names the model that it stands on
        else:
            model.save_pretrained(new, state_dict=halved(model, tensors))
            saved = json.loads((new / "config.json").read_text(encoding="utf-8"))
            text = json.dumps({**saved, "dtype": "bfloat16"}, indent=2) + "\n"
            (new / "config.json").write_text(text, encoding="utf-8")
        model.config.use_cache = was
        tokenizer.save_pretrained(new)
        (new / "metrics.json").write_text(json.dumps(metrics, indent=1) + "\n", encoding="utf-8")
        (new / "train_cfg.json").write_text(json.dumps(asdict(config), indent=2) + "\n", encoding="utf-8")
        (new / "README.md").write_text(model_card(_of_the_model(config, model), metrics), encoding="utf-8")
    except OSError as error:
        shutil.rmtree(new, ignore_errors=True)
        raise ScoreError(f"{target}: cannot be written: {error.strerror or error}") from None
    for file in new.iterdir():  # safetensors makes files that the owner alone can read
        file.chmod(0o644)
    old = target.with_name(f".{target.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    new.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def halved(model: Any, tensors: Any = None) -> dict[str, Any]:
    """A model's weights (or ``tensors`` in their place) in bfloat16, each once: what is tied to another is left out."""
    import torch

    tied = model.all_tied_weights_keys
    return {
        name: p.to(torch.bfloat16) if p.is_floating_point() else p
        for name, p in (tensors or model.state_dict()).items()
        if name not in tied
    }


@contextlib.contextmanager
def changed(source: Path, out: Path) -> Iterator[Path]:
    """A copy of a model's folder, to be changed. Then it gets the name ``out``, which may be ``source``; where that fails,
    all is as it was."""
    new = out.with_name(f".{out.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    try:
        shutil.copytree(source, new)
        yield new
        shutil.rmtree(out, ignore_errors=True)
        new.rename(out)
    except OSError as error:
        raise ScoreError(f"{out}: cannot be written: {error.strerror or error}") from None
    finally:
        shutil.rmtree(new, ignore_errors=True)


def write_weights(weights: Mapping[str, Any], file: Path) -> None:
    """Tensors of torch -> a safetensors file that all may read."""
    from safetensors.torch import save_file

    save_file(dict(weights), file, {"format": "pt"})
    file.chmod(0o644)


def _merged(model: Any) -> Any:
    """A copy of a model with its LoRA adapter merged into its weights."""
    import copy

    return copy.deepcopy(model).merge_and_unload()


def _of_the_model(config: TrainConfig, model: Any) -> TrainConfig:
    """Settings with what a model that was trained on from another has from that one."""
    if config.model_name is not None:
        return config
    said = model.config
    hears, relates, recalls = (getattr(said, key, None) is not None for key in (HEARS, RELATES, RECALLS))
    positions = getattr(said, "scorelm_positions", "index")
    return replace(config, positions=positions, heard=hears, related=relates, recalled=recalls)

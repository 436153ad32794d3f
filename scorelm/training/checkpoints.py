"""Checkpoints: all that training needs to go on as if it had not stopped, written whole or not at all.

    OUTPUT-checkpoints/step-0000500/{model,averaged,optimizer-0}.safetensors, state.json
                                   /deepspeed/    in their place where DeepSpeed trains

Weights and optimizer states are safetensors, no pickle; DeepSpeed's own files are what DeepSpeed writes.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scorelm.errors import ConfigError, ScoreError

if TYPE_CHECKING:
    import torch

STATE = "state.json"


class Checkpoints:
    """The checkpoints of one run, of which the newest ``limit`` are kept."""

    def __init__(self, output: str | Path, limit: int) -> None:
        output = Path(output)
        self.folder = output.with_name(output.name + "-checkpoints")
        self.limit = limit

    def newest(self) -> Path | None:
        """The last one that was written whole."""
        whole = [p for p in self.folder.glob("step-*") if (p / STATE).is_file()]
        return max(whole, key=lambda p: int(p.name.removeprefix("step-")), default=None)

    def set_aside(self) -> Path | None:
        """Give the checkpoints of an earlier run another name, for a run that begins anew. Returns the name."""
        if self.newest() is None:
            return None
        aside = self.folder.with_name(self.folder.name + ".before")
        shutil.rmtree(aside, ignore_errors=True)
        self.folder.rename(aside)
        return aside

    def room(self, tensors: int) -> None:
        """ScoreError where the disk has no room for what will be written. tensors: bytes of one checkpoint"""
        place = self.folder.parent
        while not place.exists():
            place = place.parent
        needed = tensors * (self.limit + 1)
        free = shutil.disk_usage(place).free
        if free < needed:
            raise ConfigError(
                f"{place}: {free >> 20} MiB are free, {self.limit + 1} checkpoints take {needed >> 20} MiB; "
                "lower save_total_limit, or name another output_dir"
            )

    def begin(self, step: int) -> Path:
        """An empty folder to write a checkpoint into, under a temporary name."""
        new = self.folder / f".step-{step:07d}.new"
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True)
        return new

    def finish(self, new: Path, state: dict[str, Any]) -> Path:
        """Give a written checkpoint its name, and delete the oldest ones."""
        with (new / STATE).open("w", encoding="utf-8") as file:
            json.dump(state, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        whole = new.with_name(new.name.removeprefix(".").removesuffix(".new"))
        shutil.rmtree(whole, ignore_errors=True)
        new.rename(whole)
        for old in sorted(self.folder.glob("step-*"))[: -self.limit]:
            shutil.rmtree(old, ignore_errors=True)
        return whole


def read_state(checkpoint: Path) -> dict[str, Any]:
    """state.json of a checkpoint. ConfigError where it cannot be read."""
    try:
        state = json.loads((checkpoint / STATE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{checkpoint / STATE}: cannot be read: {error}") from None
    if not isinstance(state, dict):
        raise ConfigError(f"{checkpoint / STATE}: expected an object")
    return state


def save_tensors(tensors: dict[str, torch.Tensor], path: Path) -> None:
    """ScoreError where they cannot be written, as on a full disk."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    try:
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, path)
    except (OSError, SafetensorError) as error:
        raise ScoreError(f"{path}: cannot be written: {error}") from None


def load_tensors(path: Path) -> dict[str, torch.Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        found: dict[str, torch.Tensor] = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    return found


def optimizer_tensors(optimizers: list[Any]) -> dict[str, torch.Tensor]:
    """The states of optimizers, flat: ``number.parameter.name``."""
    return {
        f"{number}.{parameter}.{name}": tensor
        for number, optimizer in enumerate(optimizers)
        for parameter, values in optimizer.state_dict()["state"].items()
        for name, tensor in values.items()
    }


def restore_optimizers(optimizers: list[Any], tensors: dict[str, torch.Tensor]) -> None:
    """Rates and decays are the config's; what the optimizers remember is the checkpoint's."""
    for number, optimizer in enumerate(optimizers):
        states: dict[int, dict[str, torch.Tensor]] = {}
        for key, tensor in tensors.items():
            owner, parameter, name = key.split(".")
            if int(owner) == number:
                states.setdefault(int(parameter), {})[name] = tensor
        optimizer.load_state_dict({"state": states, "param_groups": optimizer.state_dict()["param_groups"]})

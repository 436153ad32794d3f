"""What training shows while it runs: lines on stderr, a log, curves as PNG, and TensorBoard where it is asked for."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from scorelm.errors import ConfigError


class Progress:
    """Written by the first process alone; the others keep silent.

    log.jsonl holds a line a step: {step, loss, rate}, and a line an evaluation: {step, bits_per_quarter}
    """

    def __init__(self, folder: Path, shown: bool, tensorboard: bool) -> None:
        self.folder = folder
        self.shown = shown
        self._board: Any = None
        if tensorboard and shown:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError:
                raise ConfigError("tensorboard: the package is missing: pip install tensorboard") from None
            self._board = SummaryWriter(folder / "tensorboard")

    def __call__(self, line: str) -> None:
        if self.shown:
            print(line, file=sys.stderr, flush=True)

    @property
    def log(self) -> Path:
        return self.folder / "log.jsonl"

    def begin(self, step: int) -> None:
        """Of the log only what stands before ``step`` is kept: what came later will come again."""
        if not self.shown:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        kept = [row for row in self.rows() if row["step"] <= step]
        self.log.write_text("".join(json.dumps(row) + "\n" for row in kept), encoding="utf-8")

    def rows(self) -> list[dict[str, Any]]:
        if not self.log.is_file():
            return []
        out = []
        for line in self.log.read_text(encoding="utf-8").splitlines():
            try:
                out.append(json.loads(line))
            except ValueError:  # half written when the run was killed
                break
        return out

    def add(self, **row: float) -> None:
        if not self.shown:
            return
        with self.log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        if self._board is not None:
            for name, value in row.items():
                if name != "step":
                    self._board.add_scalar(name, value, row["step"])

    def curves(self) -> None:
        """curves.png: losses and validation by step."""
        if not self.shown:
            return
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        rows = self.rows()
        losses = [(row["step"], row["loss"]) for row in rows if "loss" in row]
        bits = [(row["step"], row["bits_per_quarter"]) for row in rows if "bits_per_quarter" in row]
        figure = Figure(figsize=(8, 4.5), layout="constrained")
        FigureCanvasAgg(figure)
        left = figure.add_subplot()
        left.plot(*zip(*losses), color="tab:grey", linewidth=0.6)
        left.set_xlabel("step")
        left.set_ylabel("training loss, nats a token")
        if bits:
            right = left.twinx()
            right.plot(*zip(*bits), color="tab:red", marker=".")
            right.set_ylabel("validation, bits a quarter note", color="tab:red")
        new = self.folder / ".curves.png"
        figure.savefig(new, format="png", dpi=120)
        new.replace(self.folder / "curves.png")

    def close(self) -> None:
        if self._board is not None:
            self._board.close()

"""What reads the texts under way and says how likely each next lexeme is: by numpy, or by transformers.

Both hold rows of texts. A row begins with ``restart``, or as the ``copy`` of another one, and grows by ``step``, which
takes a token of each row that goes on; the others stay as they are. They give the same logits.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from scorelm.errors import ConfigError
from scorelm.related import HEARS
from scorelm.vocabulary import Vocabulary

ENGINES = ("numpy", "transformers", "vllm")  # the last one is no reader: it draws tokens itself
Shown = int | tuple[int, ...]  # a token, or a token and what is heard behind it
Logits = np.ndarray[Any, np.dtype[np.float32]]


def token_of(shown: Shown) -> int:
    """The token alone."""
    return shown if isinstance(shown, int) else shown[0]


class Reader(Protocol):
    def begin(self, rows: int, room: int) -> None: ...
    def restart(self, row: int, ids: Sequence[Shown], positions: Sequence[float]) -> None: ...
    def copy(self, row: int, to: int) -> None: ...
    def cut(self, row: int, length: int) -> None:
        """Only the first so many tokens of a row."""

    def step(self, rows: Sequence[int], ids: Sequence[Shown], positions: Sequence[float]) -> Logits:
        """Logits of what follows in each row, (rows, vocabulary)."""

    def read(self, ids: Sequence[Shown], positions: Sequence[float]) -> Logits:
        """Logits behind each token of a text that is no row, (tokens, vocabulary)."""


class NumpyReader:
    """The fastest on one processor."""

    def __init__(self, folder: Path) -> None:
        from scorelm.engine import Engine

        self.engine = Engine(folder)

    def begin(self, rows: int, room: int) -> None:
        self.session = self.engine.session(rows, room)
        self.order = list(range(rows))  # which row stands where in the session; those that go on stand first

    def restart(self, row: int, ids: Sequence[Shown], positions: Sequence[float]) -> None:
        at = self.order.index(row)
        self.session.cut(at, 0)
        if ids:
            self.session.read(at, ids, positions)

    def copy(self, row: int, to: int) -> None:
        self.session.copy(self.order.index(row), self.order.index(to))

    def cut(self, row: int, length: int) -> None:
        self.session.cut(self.order.index(row), length)

    def step(self, rows: Sequence[int], ids: Sequence[Shown], positions: Sequence[float]) -> Logits:
        going = set(rows)
        out = [at for at in range(len(going)) if self.order[at] not in going]
        into = [at for at in range(len(going), len(self.order)) if self.order[at] in going]
        for one, other in zip(out, into):
            self.session.swap(one, other)
            self.order[one], self.order[other] = self.order[other], self.order[one]
        places = [rows.index(row) for row in self.order[: len(rows)]]
        logits = self.session.step([ids[i] for i in places], [positions[i] for i in places])
        return logits[[self.order.index(row) for row in rows]]

    def read(self, ids: Sequence[Shown], positions: Sequence[float]) -> Logits:
        return self.engine.session(1, len(ids)).read(0, ids, positions, every=True)


class TransformersReader:
    """The reference, and the way to a GPU; each row has a cache of its own."""

    def __init__(self, folder: Path) -> None:
        import torch
        from transformers.models.gpt_neox import GPTNeoXForCausalLM
        from transformers.utils import logging

        from scorelm.hearing import hear

        logging.disable_progress_bar()
        try:
            self.model: Any = GPTNeoXForCausalLM.from_pretrained(folder, dtype=torch.float32, use_safetensors=True)
        except (OSError, ValueError) as error:
            raise ConfigError(f"{folder}: cannot be loaded: {' '.join(str(error).split())[:300]}") from None
        if hasattr(self.model.config, HEARS):  # then its tokens are the project's
            hear(self.model, Vocabulary.read(folder).tokens)
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.model.eval().to(self.device)

    def begin(self, rows: int, room: int) -> None:
        self.caches: list[Any] = [None] * rows

    def restart(self, row: int, ids: Sequence[Shown], positions: Sequence[float]) -> None:
        self.caches[row] = None
        if ids:
            self._read(row, ids, positions)

    def copy(self, row: int, to: int) -> None:
        self.caches[to] = copy.deepcopy(self.caches[row])

    def cut(self, row: int, length: int) -> None:
        if not length:
            self.caches[row] = None
        elif beyond := self.caches[row].get_seq_length() - length:
            self.caches[row].crop(-beyond)

    def step(self, rows: Sequence[int], ids: Sequence[Shown], positions: Sequence[float]) -> Logits:
        return np.stack([self._read(row, [i], [p]) for row, i, p in zip(rows, ids, positions)])

    def read(self, ids: Sequence[Shown], positions: Sequence[float]) -> Logits:
        import torch

        with torch.inference_mode():
            row, where = torch.tensor([ids], device=self.device), torch.tensor([positions], device=self.device)
            out = self.model(input_ids=row, position_ids=where, attention_mask=torch.ones_like(where, dtype=torch.long))
        logits: Logits = out.logits[0].float().cpu().numpy()
        return logits

    def _read(self, row: int, ids: Sequence[Shown], positions: Sequence[float]) -> Logits:
        import torch

        with torch.inference_mode():
            out = self.model(
                input_ids=torch.tensor([ids], device=self.device),
                position_ids=torch.tensor([positions], device=self.device),
                past_key_values=self.caches[row], use_cache=True, logits_to_keep=1,
            )  # fmt: skip
        self.caches[row] = out.past_key_values
        logits: Logits = out.logits[0, -1].float().cpu().numpy()
        return logits


def open_reader(folder: Path, engine: str) -> Reader:
    if engine == "numpy":
        return NumpyReader(folder)
    if engine == "transformers":
        return TransformersReader(folder)
    raise ConfigError(f"engine {engine!r}: is one of {', '.join(ENGINES)}")

"""A teacher's answers on disk.

    FOLDER/replies.jsonl   all that was ever replied, as it came: a line each, appended whole, so that a job goes on
                           where it was and no question is asked twice
    FOLDER/train.jsonl     what of it was found good, for the records of a split

A line of replies has the prompt, the model, the picture's SHA-256 and the settings under which it was asked. A good
answer is found by ``key``: of a record's source, prompt and own answer, so that none is taken for a record that has
been made anew with other music.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from scorelm.errors import SourceError
from scorelm.files import write_atomically

REPLIES = "replies.jsonl"


def digest(*parts: str | bytes) -> str:
    """SHA-256 of some texts or bytes, each with its length before it."""
    found = hashlib.sha256()
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        found.update(len(raw).to_bytes(8, "big") + raw)
    return found.hexdigest()


def key(source: str, prompt: str, answer: str) -> str:
    """The name of a record among the answers."""
    return digest(source, prompt, answer)[:32]


class Replies:
    """The replies of a folder by their keys. Several threads may call ``add``, one process at a time."""

    def __init__(self, folder: str | Path) -> None:
        self.path = Path(folder, REPLIES)
        self.known: dict[str, dict[str, Any]] = {}
        whole = 0
        for row, end in _rows(self.path):
            whole = end
            if isinstance(row.get("key"), str) and isinstance(row.get("reply"), str):
                self.known[row["key"]] = row
        if self.path.is_file() and self.path.stat().st_size > whole:  # a line that was cut off when a job was killed
            os.truncate(self.path, whole)

    def add(self, row: dict[str, Any]) -> None:
        """Append a line, in one piece. row: with ``key`` and ``reply``"""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        line = (json.dumps(row, ensure_ascii=False) + "\n").encode()
        handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(handle, line)
        finally:
            os.close(handle)
        self.known[row["key"]] = row


def write_good(folder: str | Path, split: str, rows: Iterable[dict[str, str]]) -> None:
    """Write the good answers of a split. rows: each with ``key`` and ``answer``"""
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    write_atomically(Path(folder, f"{split}.jsonl"), text)


def read_good(folder: str | Path, split: str) -> dict[str, str]:
    """The good answers of a split by ``key``. SourceError where there are none."""
    path = Path(folder, f"{split}.jsonl")
    found = {str(row["key"]): str(row["answer"]) for row, _ in _rows(path) if {"key", "answer"} <= row.keys()}
    if not found:
        raise SourceError(f"{path}: holds no answers; python -m vlm.ask_teacher writes them")
    return found


class Taught:
    """A teacher's answers in place of the scores' own, for a share of the records that the seed draws.

    What is drawn is a matter of each record alone: it says the same in every epoch.
    """

    def __init__(self, folder: str | Path | None, share: float, seed: int) -> None:
        """folder: None: no teacher. SourceError where it holds no answers for train"""
        self.answers = {} if folder is None else read_good(folder, "train")
        self.share, self.seed = share, seed

    def answer(self, source: str, prompt: str, answer: str) -> str:
        """What a record's answer is to be. answer: its own"""
        name = key(source, prompt, answer)
        if name not in self.answers or random.Random(f"{self.seed} {name}").random() >= self.share:
            return answer
        return self.answers[name]


def _rows(path: Path) -> Iterator[tuple[dict[str, Any], int]]:
    """Each whole line, and where it ends in the file. SourceError where one is no object of JSON."""
    if not path.is_file():
        return
    end = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                return
            end += len(line)
            try:
                row = json.loads(line)
            except ValueError:
                row = None
            if not isinstance(row, dict):
                raise SourceError(f"{path}: line {number} is no object of JSON")
            yield row, end

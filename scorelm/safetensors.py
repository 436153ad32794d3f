"""safetensors -> numpy, bfloat16 too, which numpy has no type for. A file is lengths, JSON and numbers: nothing runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from scorelm.errors import ConfigError

Array = np.ndarray[Any, np.dtype[np.float32]]
_TYPES = {"F32": np.float32, "F16": np.float16, "BF16": np.uint16}
MAX_HEADER = 100_000_000  # bytes, as the format's own reader has it


def read_safetensors(path: str | Path) -> dict[str, Array]:
    """All tensors of a file as float32. ConfigError where it is none."""
    try:
        data = Path(path).read_bytes()
        length = int.from_bytes(data[:8], "little")
        if not 2 <= length <= min(MAX_HEADER, len(data) - 8):
            raise ValueError("no safetensors file")
        header = json.loads(data[8 : 8 + length])
        body = memoryview(data)[8 + length :]
        return {name: _tensor(about, body) for name, about in header.items() if name != "__metadata__"}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None


def _tensor(about: dict[str, Any], body: memoryview) -> Array:
    kind = about["dtype"]
    if kind not in _TYPES:
        raise ValueError(f"a tensor of type {kind}")
    begin, end = about["data_offsets"]
    if not 0 <= begin <= end <= len(body):
        raise ValueError("a tensor beyond the end of the file")
    flat = np.frombuffer(body[begin:end], _TYPES[kind])
    if kind == "BF16":  # the upper half of a float32
        flat = (flat.astype(np.uint32) << 16).view(np.float32)
    return flat.astype(np.float32).reshape(about["shape"])

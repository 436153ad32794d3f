"""Encoder, projector and language model as one: what the strips of a picture show stands before the text.

    [columns of strip 1, of strip 2, ...] [the question, PADDING] answer, END

A folder holds language/ as train.py writes one, and vision.safetensors with reader.json beside it; numbers.safetensors
where printed measure numbers are read by a net of their own.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from scorelm.errors import ConfigError
from scorelm.hearing import deafen
from scorelm.pretrained import load_model
from scorelm.tokenizer import Tokens
from scorelm.training.output import halved
from vlm.reading.staves import HEIGHT
from vlm.student.encoder import Encoder
from vlm.student.numbers import FILE as NUMBERS

POOLED = 2  # columns of the encoder that become one vector before the text
LENGTHS = 32  # rows are a multiple of it long: oneDNN compiles for every new shape, and keeps what it compiled
MOST_STRIPS = 32  # of one picture, of which each has a vector of its own that says which it is


@dataclass(frozen=True)
class Shape:
    """Of what stands before the language model."""

    channels: int = 16
    vision_layers: int = 2
    dropout: float = 0.1


class ScoreReader(nn.Module):
    """See the module."""

    def __init__(self, language: Any, tokens: Tokens, shape: Shape) -> None:
        super().__init__()
        hidden = language.config.hidden_size
        self.shape = shape
        self.tokens = tokens
        self.language = language
        self.encoder = Encoder(hidden, shape.channels, shape.vision_layers, shape.dropout)
        self.ctc_head = nn.Linear(
            hidden, language.config.vocab_size
        )  # tokens by the encoder alone; blank is 0, the end
        self.project = nn.Sequential(nn.Linear(POOLED * hidden, hidden), nn.GELU(), nn.Linear(hidden, hidden))
        self.embed_strips = nn.Embedding(MOST_STRIPS, hidden)
        nn.init.normal_(self.embed_strips.weight, std=0.02)

    def see(self, strips: torch.Tensor, widths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Columns of strips, and how many each has. See ``Encoder``."""
        out: tuple[torch.Tensor, torch.Tensor] = self.encoder(strips, widths)
        return out

    def prefixes(self, columns: torch.Tensor, own: torch.Tensor, counts: Sequence[int]) -> list[torch.Tensor]:
        """What stands before each text. counts: strips of each picture. -> of each (vectors, hidden)"""
        odd = columns.shape[1] % POOLED
        if odd:
            columns = nn.functional.pad(columns, (0, 0, 0, POOLED - odd))
        count, length, hidden = columns.shape
        pooled = self.project(columns.reshape(count, length // POOLED, POOLED * hidden))
        lengths = ((own + POOLED - 1) // POOLED).tolist()
        out, at = [], 0
        for some in counts:
            pieces = [
                pooled[at + i, : lengths[at + i]] + self.embed_strips.weight[min(i, MOST_STRIPS - 1)]
                for i in range(some)
            ]
            out.append(torch.cat(pieces))
            at += some
        return out

    def read(
        self, prefixes: Sequence[torch.Tensor], ids: Sequence[torch.Tensor], positions: Sequence[torch.Tensor]
    ) -> torch.Tensor:
        """Logits of what follows each token of each text, (texts, longest text, vocabulary); padded on the right.

        positions: of each token in its text; what is seen stands before them, one position a vector
        """
        embed = self.language.get_input_embeddings()
        rows, places = [], []
        for prefix, row, where in zip(prefixes, ids, positions):
            rows.append(torch.cat([prefix, embed(row)]))
            before = torch.arange(-len(prefix), 0, device=where.device, dtype=where.dtype)
            places.append(torch.cat([before, where]))
        # padding stands behind and is not looked at; a mask of ones says that rows are one text each
        x = _padded(rows)
        where = _padded(places)
        mask = torch.ones(x.shape[:2], dtype=torch.long, device=x.device)
        hidden = self.language.base_model(inputs_embeds=x, position_ids=where, attention_mask=mask).last_hidden_state
        texts = [hidden[i, len(p) : len(p) + len(row)] for i, (p, row) in enumerate(zip(prefixes, ids))]
        logits: torch.Tensor = self.language.get_output_embeddings()(_padded(texts))
        return logits[:, : max(map(len, texts))]


def _padded(rows: list[torch.Tensor]) -> torch.Tensor:
    """Rows of any lengths beside each other, as long as a multiple of ``LENGTHS``."""
    out = nn.utils.rnn.pad_sequence(rows, batch_first=True)
    more = -out.shape[1] % LENGTHS
    return nn.functional.pad(out, (0, 0) * (out.ndim - 2) + (0, more)) if more else out


def new_reader(language_model: str, shape: Shape) -> ScoreReader:
    """A reader whose language model is a folder's of train.py, and which has seen nothing yet. It sees the notes: what
    a model that only writes is shown as heard is not shown to it."""
    language, tokens = load_model(language_model)
    if tokens.heard:
        deafen(language)
        tokens = replace(tokens, heard=False)
    if not hasattr(language.config, "scorelm_vocabulary"):
        raise ConfigError(f"{language_model}: the tokens of the reader's language model are the project's own")
    return ScoreReader(language, tokens, shape)


def save_reader(reader: ScoreReader, folder: Path, notes: dict[str, Any], card: str) -> None:
    """Write a reader's folder whole, in half precision, then give it its name. notes: settings and figures"""
    from safetensors.torch import save_file

    new = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    reader.language.save_pretrained(new / "language", state_dict=halved(reader.language))
    reader.tokens.tokenizer.save_pretrained(new / "language")
    vision = {n: p for n, p in reader.state_dict().items() if not n.startswith("language.")}
    half = {
        n: p.to(torch.bfloat16).contiguous() if p.is_floating_point() and p.ndim > 1 else p for n, p in vision.items()
    }
    save_file(half, new / "vision.safetensors")
    about = {"shape": asdict(reader.shape), "height": HEIGHT, **notes}
    (new / "reader.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    (new / "README.md").write_text(card, encoding="utf-8")
    if (folder / NUMBERS).is_file():
        shutil.copyfile(folder / NUMBERS, new / NUMBERS)
    for file in new.rglob("*"):
        if file.is_file():
            file.chmod(0o644)
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    new.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def load_reader(folder: str | Path) -> ScoreReader:
    """A reader of a folder. ConfigError where there is none, or one of another version."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    folder = Path(folder)
    try:
        about = json.loads((folder / "reader.json").read_text(encoding="utf-8"))
        shape = Shape(**about["shape"])
        if about["height"] != HEIGHT:
            raise ConfigError(f"{folder}: reads strips of {about['height']} pixels, not {HEIGHT}")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{folder}: holds no reader that python -m vlm.distill wrote: {error}") from None
    reader = new_reader(str(folder / "language"), shape)
    try:
        tensors = load_file(folder / "vision.safetensors")
        missing, unknown = reader.load_state_dict({n: t.float() for n, t in tensors.items()}, strict=False)
    except (OSError, SafetensorError, RuntimeError) as error:
        raise ConfigError(f"{folder}: {' '.join(str(error).split())[:300]}") from None
    if unknown or any(not name.startswith("language.") for name in missing):
        raise ConfigError(f"{folder}: its weights are not those of its reader.json")
    return reader.eval()

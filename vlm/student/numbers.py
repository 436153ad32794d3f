"""The number printed above the start of a system, read by a small net of its own.

Digits are few and small beside the other signs of a strip, and a reader of all of them guesses a likely number instead
of looking. Here they are all that is seen: what stands above the start of a staff, column by column, said by CTC.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import ctc_loss

from scorelm.errors import ConfigError
from scorelm.files import write_atomically
from vlm.reading.picture import Ink
from vlm.reading.staves import HEIGHT, LINES, SPACE
from vlm.student.samples import Sample, read_samples

FILE = "numbers.safetensors"  # in a reader's folder
TOP = HEIGHT // 2 - (LINES - 1) * SPACE // 2  # row of a strip's uppermost line
BEFORE, BEHIND = 5 * SPACE, 9 * SPACE  # columns that are seen, from the staff's start
MOVED = 2 * SPACE, 3  # columns and rows by which pictures are moved in training
CLASSES = 11  # nothing, then the digits
BATCH = 64
RATE = 4e-3
_PRINTED = re.compile(r"^(\|\n?)(?:#(\d+))?(?=.)")


class Numbers(nn.Module):
    """(pictures, TOP, columns) -> logits, (pictures, columns, CLASSES)."""

    def __init__(self, channels: int = 24) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        into = 1
        for out in (channels, 2 * channels, 2 * channels, 4 * channels):
            layers += [
                nn.Conv2d(into, out, 3, padding=1, bias=False), nn.BatchNorm2d(out), nn.ReLU(inplace=True),
                nn.MaxPool2d((2, 1)),
            ]  # fmt: skip
            into = out
        self.stages = nn.Sequential(*layers)
        self.head = nn.Conv1d(into, CLASSES, 3, padding=1)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        columns = self.stages(pictures[:, None]).amax(2)  # a number may stand at any height
        logits: torch.Tensor = self.head(columns).transpose(1, 2)
        return logits

    def read(self, pictures: np.ndarray[Any, np.dtype[np.float32]]) -> list[str]:
        """The number on each picture of ``above``; "" where none is seen."""
        with torch.inference_mode():
            likeliest = self.eval()(torch.from_numpy(pictures)).argmax(-1).tolist()
        return ["".join(str(digit - 1) for digit, _ in groupby(row) if digit) for row in likeliest]


def above(strip: np.ndarray[Any, np.dtype[Any]], margin: int = 0) -> np.ndarray[Any, np.dtype[Any]]:
    """What stands above the start of a strip's staff, (TOP, BEFORE + BEHIND + 2 * margin)."""
    left, right = _start(strip) - BEFORE - margin, _start(strip) + BEHIND + margin
    padded = np.pad(strip[:TOP], ((0, 0), (max(0, -left), max(0, right - strip.shape[1]))))
    return padded[:, max(0, left) : max(0, left) + right - left]


def _start(strip: np.ndarray[Any, np.dtype[Any]]) -> int:
    """The column in which most of the staff's lines begin."""
    lines = np.median([strip[TOP + SPACE * n - 1 : TOP + SPACE * n + 2].max(0) for n in range(LINES)], 0)
    ahead = np.convolve(lines, np.full(2 * SPACE, 1 / (2 * SPACE)))[2 * SPACE - 1 :]
    return int(np.argmax(ahead > 0.4 * np.quantile(ahead, 0.9)))


def with_number(text: str, number: str) -> str:
    """A strip's text with another number at its start; "": none is printed there, as before a first full measure."""
    number = number.lstrip("0")
    said = _PRINTED.match(text)
    if said is None or (not number and said[2] == "0"):  # a pickup's
        return text
    return f"{said[1]}{'#' * bool(number)}{number}{text[said.end() :]}"


def printed(text: str) -> str:
    """The number that a strip's text has and its picture shows."""
    said = _PRINTED.match(text)
    return (said[2] or "").lstrip("0") if said else ""


def learn_numbers(
    files: Sequence[Path],
    validation: Iterable[Sample],
    steps: int,
    seed: int,
    file: Path,
    say: Callable[[str], None] = print,
) -> float:
    """Learn from the strips of ``files``; write the net when it is done. Returns the share right on validation.

    ConfigError where there is nothing to learn from. A run that is stopped begins anew: it takes minutes.
    """
    pictures, known = _pictures(sample for path in files for sample in read_samples(path))
    seen, right = _pictures(validation, moved=False)
    if not known or not right:
        raise ConfigError("there are no strips to learn printed numbers from")
    torch.manual_seed(seed)
    net = Numbers().train()
    optimizer = torch.optim.AdamW(net.parameters(), RATE, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    chance = random.Random(seed)
    with_each: dict[str, list[int]] = defaultdict(list)  # the rare numbers are seen as often as the small ones
    for i, number in enumerate(known):
        with_each[number].append(i)
    numbers = sorted(with_each)
    for step in range(1, steps + 1):
        chosen = [
            chance.choice(with_each[chance.choice(numbers)]) if n % 2 else chance.randrange(len(known))
            for n in range(BATCH)
        ]
        x = torch.from_numpy(np.stack([_varied(pictures[i], chance) for i in chosen]))
        logarithms = net(x).log_softmax(-1).transpose(0, 1)  # (columns, pictures, classes)
        digits = [[int(digit) + 1 for digit in known[i]] for i in chosen]
        loss = ctc_loss(
            logarithms, torch.tensor([digit for row in digits for digit in row]),
            torch.full((BATCH,), len(logarithms)), torch.tensor([len(row) for row in digits]),
        )  # fmt: skip
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        if step % 200 == 0 or step == steps:
            say(f"numbers {step} of {steps}: loss {loss.item():.3f}")
    share = float(np.mean([a == b for a, b in zip(net.read(np.asarray(seen / 255, np.float32)), right)]))
    _save(net, file)
    return share


def load_numbers(folder: str | Path) -> Numbers | None:
    """The net of a reader's folder; None where it has none. ConfigError where it does not fit."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    file = Path(folder) / FILE
    if not file.is_file():
        return None
    net = Numbers()
    try:
        net.load_state_dict({name: t.float() if t.is_floating_point() else t for name, t in load_file(file).items()})
    except (OSError, SafetensorError, RuntimeError) as error:
        raise ConfigError(f"{file}: {' '.join(str(error).split())[:300]}") from None
    return net.eval()


def _save(net: Numbers, file: Path) -> None:
    from safetensors.torch import save

    half = {n: t.half().contiguous() if t.ndim > 1 else t for n, t in net.state_dict().items()}
    write_atomically(file, save(half))


def _pictures(samples: Iterable[Sample], moved: bool = True) -> tuple[np.ndarray[Any, np.dtype[np.uint8]], list[str]]:
    """What stands above the first staves of systems, and the numbers there."""
    first = [sample for sample in samples if not sample.prompt and sample.source.endswith(".1")]
    pictures = [above(sample.strips[0], MOVED[0] if moved else 0) for sample in first]
    return np.array(pictures, np.uint8), [printed(sample.answer) for sample in first]


def _varied(picture: np.ndarray[Any, np.dtype[np.uint8]], chance: random.Random) -> Ink:
    """A picture at another place, darker or paler."""
    columns, rows = chance.randrange(2 * MOVED[0] + 1), chance.randint(-MOVED[1], MOVED[1])
    here = np.roll(picture, rows, 0)[:, columns : columns + BEFORE + BEHIND].astype(np.float32) / 255
    return np.clip(here * chance.uniform(0.7, 1.2) + chance.uniform(0, 0.03), 0, 1).astype(np.float32)

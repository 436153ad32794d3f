"""A strip of a staff -> what stands in each of its columns.

Four convolutional stages halve its height each, the first two its width as well; what is left of a column's height is
one vector, and a few layers of attention let columns know of each other.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from vlm.reading.staves import HEIGHT

COLUMN = 4  # pixels of a strip in one column of the encoder


class Encoder(nn.Module):
    """(strips, 1, HEIGHT, width) -> (strips, ceil(width / COLUMN), hidden)"""

    def __init__(self, hidden: int, channels: int = 16, layers: int = 2, dropout: float = 0.1) -> None:
        super().__init__()
        c = channels
        self.stages = nn.Sequential(
            _convolution(1, c, 5, (2, 2)),
            _convolution(c, 2 * c, 3, (2, 2)), _convolution(2 * c, 2 * c, 3, (1, 1)),
            _convolution(2 * c, 4 * c, 3, (2, 1)), _convolution(4 * c, 4 * c, 3, (1, 1)),
            _convolution(4 * c, 8 * c, 3, (2, 1)), _convolution(8 * c, 8 * c, 3, (1, 1)),
        )  # fmt: skip
        self.column = nn.Linear(8 * c * (HEIGHT // 16), hidden)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                hidden, max(1, hidden // 64), 4 * hidden, dropout, "gelu", batch_first=True, norm_first=True
            )
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(hidden)
        self.hidden = hidden

    def forward(self, strips: torch.Tensor, widths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """widths: of each strip in pixels, (strips,). Returns the columns and how many of each strip are its own."""
        x = self.stages(strips)  # (strips, channels, HEIGHT / 16, columns)
        count, channels, height, columns = x.shape
        x = self.column(x.permute(0, 3, 1, 2).reshape(count, columns, channels * height))
        x = x + positions(columns, self.hidden).to(x)
        own = columns_of(widths)
        beyond = torch.arange(columns, device=x.device)[None] >= own[:, None]
        for layer in self.layers:
            x = layer(x, src_key_padding_mask=beyond)
        return self.norm(x), own


def columns_of(widths: torch.Tensor) -> torch.Tensor:
    return (widths + COLUMN - 1) // COLUMN


def positions(columns: int, hidden: int) -> torch.Tensor:
    """Sines and cosines of a column's place, (columns, hidden)."""
    rates = torch.exp(torch.arange(0, hidden, 2) * (-math.log(10000.0) / hidden))
    angles = torch.arange(columns)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)


def _convolution(into: int, out: int, size: int, stride: tuple[int, int]) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(into, out, size, stride, size // 2, bias=False), nn.BatchNorm2d(out), nn.ReLU(inplace=True)
    )

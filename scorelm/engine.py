"""A GPT-NeoX in numpy, for one processor: the fastest way to run the small student, and no torch to load.

    session = Engine(folder).session(rows=2, room=1024)
    logits = session.read(0, ids, positions)      # a prompt into one row -> (vocabulary,)
    logits = session.step(ids, positions)         # a token into each row -> (rows, vocabulary)

What makes it fast for a model this small is fewer calls, not fewer flops. Both norms of a layer see the same x, for
its attention and its MLP stand side by side; so their gains are folded into the matrices behind them, the two
matrices that read x become one, and the two that write it become one.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scorelm import recalled, related
from scorelm.errors import ConfigError
from scorelm.safetensors import read_safetensors
from scorelm.vocabulary import Vocabulary

Array = np.ndarray[Any, np.dtype[np.float32]]


class Engine:
    """The weights of a folder that train.py wrote. ConfigError where they are another architecture's."""

    def __init__(self, folder: str | Path) -> None:
        folder = Path(folder)
        try:
            config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ConfigError(f"{folder / 'config.json'}: cannot be read: {error}") from None
        fits = config.get("model_type") == "gpt_neox" and config.get("use_parallel_residual", True)
        if not fits or config.get("hidden_act", "gelu") != "gelu":
            raise ConfigError(f"{folder}: is no GPT-NeoX with parallel residuals and gelu; use --engine transformers")
        weights = read_safetensors(folder / "model.safetensors")
        self.heads: int = config["num_attention_heads"]
        self.hidden: int = config["hidden_size"]
        self.layers: int = config["num_hidden_layers"]
        self.size = self.hidden // self.heads  # of a head
        rows = related.rows_behind(str(folder), config)
        self.heard, relates, recalls = rows
        self.tokens = config["vocab_size"] - sum(rows)
        self.related: related.Related | None = None
        self.recalls = slice(config["vocab_size"] - recalls, config["vocab_size"])  # rows
        if relates:
            tokens = Vocabulary.read(folder).tokens
            self.related = related.Related(tokens)
            self.pitches = np.array([recalled.is_pitch(token) for token in tokens], np.float32)
        self.epsilon = np.float32(config.get("layer_norm_eps", 1e-5))
        rope = config.get("rope_parameters") or {}
        turned = int(self.size * rope.get("partial_rotary_factor", config.get("rotary_pct", 0.25)))
        base = float(rope.get("rope_theta", config.get("rotary_emb_base", 10000)))
        self.turned = turned // 2
        self.frequencies = (base ** -(np.arange(0, turned, 2, dtype=np.float64) / turned)).astype(np.float32)
        try:
            self._fold(weights)
        except (KeyError, ValueError) as error:
            raise ConfigError(f"{folder}: its weights are not those of its config: {error}") from None

    def _fold(self, weights: dict[str, Array]) -> None:
        self.embedding = weights["gpt_neox.embed_in.weight"]  # (vocabulary, hidden)
        out = weights.get("embed_out.weight", weights.get("lm_head.weight", self.embedding))
        nothing = np.zeros((1 if self.related else 0, self.hidden), np.float32)  # of an interval to nothing
        behind = self.tokens + self.heard
        rows = related.ROWS if self.related else 0
        out = np.concatenate([out[: self.tokens], out[behind : behind + rows], nothing, nothing, out[self.recalls]])
        self.into: list[tuple[Array, Array]] = []  # (3 hidden + intermediate, hidden): q, k, v, MLP
        self.out: list[tuple[Array, Array]] = []  # (hidden, hidden + intermediate)
        for number in range(self.layers):
            layer = {n: weights[f"gpt_neox.layers.{number}.{n}"] for n in _LAYER}
            order = np.arange(3 * self.hidden).reshape(self.heads, 3, self.size).transpose(1, 0, 2).ravel()
            qkv = layer["attention.query_key_value.weight"][order], layer["attention.query_key_value.bias"][order]
            attention = _behind_norm(*qkv, layer["input_layernorm.weight"], layer["input_layernorm.bias"])
            mlp = _behind_norm(
                layer["mlp.dense_h_to_4h.weight"], layer["mlp.dense_h_to_4h.bias"],
                layer["post_attention_layernorm.weight"], layer["post_attention_layernorm.bias"],
            )  # fmt: skip
            self.into.append((np.concatenate([attention[0], mlp[0]]), np.concatenate([attention[1], mlp[1]])))
            self.out.append(
                (
                    np.concatenate([layer["attention.dense.weight"], layer["mlp.dense_4h_to_h.weight"]], axis=1),
                    layer["attention.dense.bias"] + layer["mlp.dense_4h_to_h.bias"],
                )
            )
        norm = weights["gpt_neox.final_layer_norm.weight"], weights["gpt_neox.final_layer_norm.bias"]
        self.head = _behind_norm(out, np.zeros(len(out), np.float32), *norm)

    def embed(self, ids: Sequence[Any]) -> Array:
        """Ids, or ids and what is heard behind each, (rows,) or (rows, 1 + features or more) -> (rows, hidden)"""
        found = np.asarray(ids)
        if found.ndim < 2:
            return self.embedding[found]
        out: Array = self.embedding[found[:, : recalled.READ]].sum(1)
        return out

    def session(self, rows: int, room: int) -> Session:
        """What is needed to write ``rows`` texts of at most ``room`` tokens beside each other."""
        return Session(self, rows, room)


_LAYER = (
    "input_layernorm.weight input_layernorm.bias post_attention_layernorm.weight post_attention_layernorm.bias "
    "attention.query_key_value.weight attention.query_key_value.bias attention.dense.weight attention.dense.bias "
    "mlp.dense_h_to_4h.weight mlp.dense_h_to_4h.bias mlp.dense_4h_to_h.weight mlp.dense_4h_to_h.bias"
).split()


def _behind_norm(weight: Array, bias: Array, gain: Array, shift: Array) -> tuple[Array, Array]:
    """A matrix that takes x itself, scaled to unit variance, for one that takes its layer norm."""
    folded = weight * gain
    folded -= folded.mean(1, keepdims=True)  # takes the mean of x away
    return np.ascontiguousarray(folded, np.float32), (weight @ shift + bias).astype(np.float32)


class Session:
    """Rows of texts under way: their keys and values, and how long each is."""

    def __init__(self, engine: Engine, rows: int, room: int) -> None:
        self.engine = engine
        shape = engine.layers, rows, engine.heads, room, engine.size
        self.keys = np.zeros(shape, np.float32)
        self.values = np.zeros(shape, np.float32)
        self.lengths = np.zeros(rows, np.int64)
        self.room = room

    def cut(self, row: int, length: int) -> None:
        """Only the first so many tokens of a row."""
        self.lengths[row] = length

    def copy(self, row: int, to: int) -> None:
        """Make one row as another one is."""
        end = self.lengths[row]
        for cache in (self.keys, self.values):
            cache[:, to, :, :end] = cache[:, row, :, :end]
        self.lengths[to] = end

    def swap(self, one: int, other: int) -> None:
        """Two rows change their places."""
        end = max(self.lengths[one], self.lengths[other])
        for cache in (self.keys, self.values):
            cache[:, [one, other], :, :end] = cache[:, [other, one], :, :end]
        self.lengths[[one, other]] = self.lengths[[other, one]]

    def read(self, row: int, ids: Sequence[Any], positions: Sequence[float], every: bool = False) -> Array:
        """Append tokens to one row; logits behind the last, (vocabulary,), or every one, (tokens, vocabulary)."""
        x = self._read(row, self.engine.embed(ids), positions)
        return self._logits(x, ids) if every else self._logits(x[-1:], ids[-1:])[0]

    def read_vectors(self, row: int, x: Array, positions: Sequence[float]) -> Array:
        """``read`` of what is no token, (time, hidden)."""
        return self._logits(self._read(row, x, positions)[-1:])[0]

    def _read(self, row: int, x: Array, positions: Sequence[float]) -> Array:
        engine, start, count = self.engine, int(self.lengths[row]), len(x)
        if start + count > self.room:
            raise ValueError(f"{start + count} tokens do not fit into {self.room}")
        cos, sin = self._turn(np.asarray(positions, np.float32))
        until = start + count
        hidden = np.triu(np.full((count, until), -np.inf, np.float32), start + 1)  # later tokens
        for layer in range(engine.layers):
            q, k, v, h = self._into(layer, x)  # q, k, v: (time, heads, size)
            keys, values = self.keys[layer, row], self.values[layer, row]
            keys[:, start:until] = _turned(k, cos, sin).transpose(1, 0, 2)
            values[:, start:until] = v.transpose(1, 0, 2)
            q = _turned(q, cos, sin).transpose(1, 0, 2)
            mixed = _softmax(q @ keys[:, :until].transpose(0, 2, 1) + hidden) @ values[:, :until]
            x = self._out(layer, x, mixed.transpose(1, 0, 2).reshape(count, -1), h)
        self.lengths[row] = until
        return x

    def step(self, ids: Sequence[Any], positions: Sequence[float]) -> Array:
        """Append a token to each of the first rows; logits, (rows, vocabulary)."""
        engine, ends = self.engine, self.lengths[: len(ids)]
        longest = int(ends.max()) + 1
        if longest > self.room:
            raise ValueError(f"{longest} tokens do not fit into {self.room}")
        x = engine.embed(ids)  # (rows, hidden)
        rows = np.arange(len(x))
        cos, sin = self._turn(np.asarray(positions, np.float32))
        beyond = None
        if int(ends.min()) + 1 < longest:
            beyond = np.where(np.arange(longest) > ends[:, None], np.float32(-np.inf), np.float32(0))[:, None, None]
        for layer in range(engine.layers):
            q, k, v, h = self._into(layer, x)  # q, k, v: (rows, heads, size)
            keys, values = self.keys[layer, : len(ids)], self.values[layer, : len(ids)]
            keys[rows, :, ends] = _turned(k, cos, sin)
            values[rows, :, ends] = v
            # (rows, heads, 1, time)
            scores = _turned(q, cos, sin)[:, :, None] @ keys[:, :, :longest].transpose(0, 1, 3, 2)
            if beyond is not None:
                scores += beyond
            mixed = _softmax(scores) @ values[:, :, :longest]
            x = self._out(layer, x, mixed.reshape(len(x), -1), h)
        ends += 1  # of the session too: it is a view
        return self._logits(x, ids)

    def _turn(self, positions: Array) -> tuple[Array, Array]:
        angles = positions[:, None, None] * self.engine.frequencies
        return np.cos(angles), np.sin(angles)

    def _into(self, layer: int, x: Array) -> tuple[Array, Array, Array, Array]:
        engine = self.engine
        weight, bias = engine.into[layer]
        y = _unit(x, engine.epsilon) @ weight.T
        y += bias
        hidden = engine.hidden
        qkv = y[:, : 3 * hidden].reshape(len(x), 3, engine.heads, engine.size)
        q = qkv[:, 0] * np.float32(1 / math.sqrt(engine.size))
        return q, qkv[:, 1], qkv[:, 2], _gelu(y[:, 3 * hidden :])

    def _out(self, layer: int, x: Array, mixed: Array, h: Array) -> Array:
        weight, bias = self.engine.out[layer]
        y: Array = np.concatenate([mixed, h], axis=1) @ weight.T
        y += bias
        y += x
        return y

    def _logits(self, x: Array, ids: Sequence[Any] = ()) -> Array:
        """(rows, hidden) -> (rows, tokens). ids: the tokens behind which x stands, with what is heard and recalled there"""
        engine = self.engine
        weight, bias = engine.head
        y: Array = _unit(x, engine.epsilon) @ weight.T
        y += bias
        if engine.related is None:
            return y
        count = engine.tokens + related.ROWS + 1
        logits, said, recalls = y[:, : engine.tokens], y[:, engine.tokens : count], y[:, count:]
        shown = np.asarray(ids)
        if shown.ndim == 2:
            logits += engine.related.added(said, shown[:, 1 : recalled.READ] - engine.tokens)
        if shown.ndim == 2 and shown.shape[1] > recalled.READ:
            rows = np.arange(len(shown))
            for token, number in recalled.columns(shown, engine.recalls.start):
                more = recalls[rows, number]
                any_pitch = token == recalled.ANY_PITCH
                logits[rows, token] += more * ~any_pitch
                logits += (more * any_pitch)[:, None] * engine.pitches
        return logits


def _unit(x: Array, epsilon: np.float32) -> Array:
    """x, (rows, hidden), scaled to unit variance; its mean is taken away by the matrix behind it."""
    size = np.float32(x.shape[1])
    mean = x.sum(1) / size
    variance = np.einsum("ij,ij->i", x, x) / size - mean * mean
    out: Array = x * (1 / np.sqrt(variance + epsilon))[:, None]
    return out


def _turned(x: Array, cos: Array, sin: Array) -> Array:
    """Rotary positions on the first part of each head. (rows, heads, size)"""
    half = cos.shape[-1]
    out = x.copy()
    left, right = x[..., :half], x[..., half : 2 * half]
    out[..., :half] = left * cos - right * sin
    out[..., half : 2 * half] = right * cos + left * sin
    return out


def _softmax(x: Array) -> Array:
    x -= x.max(-1, keepdims=True)
    np.exp(x, out=x)
    x /= x.sum(-1, keepdims=True)
    return x


def _gelu(x: Array) -> Array:
    """x * Phi(x), with the error function of Abramowitz and Stegun 7.1.26, exact to 1.5e-7."""
    z = np.abs(x)
    z *= np.float32(1 / math.sqrt(2))
    t = 1 / (1 + np.float32(0.3275911) * z)
    tail = t * (_A[0] + t * (_A[1] + t * (_A[2] + t * (_A[3] + t * _A[4]))))  # 2 Phi(-|x|) exp(z^2)
    tail *= np.exp(-z * z)
    half: Array = x * np.float32(0.5)
    return half * np.where(x >= 0, 2 - tail, tail)


_A = [np.float32(a) for a in (0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429)]

#!/usr/bin/env python3
"""The same music in several formats, and score text in several cuts, each learnt by the same model for the same time.

    python benchmarks/format_lm.py --minutes 6 --json format_lm.json

A GPT-NeoX of about a million parameters is trained from scratch on the train split in twelve keys; bits per quarter
note on the validation split, every token counted, so that texts of any length and vocabulary can be compared. The
minutes are the processor's, of one thread, without evaluations. Formats are compared with positions that count
tokens, which any of them has, and ABC with positions by musical time as well; cuts of score text with positions by
musical time, as the model that ships has them.

cuts: lexemes   as they are
      joined    a duration and the pitch behind it are one token
      split     an accidental and its letter are two
      merged    the 300 likeliest pairs of music lexemes, one after the other, are one token (byte-pair encoding)
scorelm-joined and abc-joined are these formats with a note and its length as one token, positions counting tokens;
abc-timed and abc-timed-joined have positions by time, as lexemes and joined have. lexemes-heard, joined-heard and
abc-heard (a note and its length one token) are shown what is heard as well, the same of the same music.
lexemes-related judges pitches by their intervals to that, too, as the model that ships does.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from other_formats import FORMATS, Placed, abc_in_time
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

from scorelm.config import TrainConfig
from scorelm.hearing import begin
from scorelm.likelihood import Piece, bits_per_quarter
from scorelm.notation.heard import Ear
from scorelm.notation.lexemes import DURATIONS, IDS, PITCHES, cut
from scorelm.notation.model import Chord, Rest, Timed
from scorelm.notation.pitches import LEXEME_OF
from scorelm.notation.positions import MOST_AT_ONE_MOMENT, PER_QUARTER, positions
from scorelm.notation.reader import parse
from scorelm.training.averaging import Averaged
from scorelm.training.corpus import Corpus, in_all_keys
from scorelm.training.optimizers import build_optimizers, rate_factor, set_rates

CONFIG = TrainConfig(
    hidden_size=128, num_layers=4, num_heads=2, intermediate_size=512, dropout=0.2, ema_decay=0.99, warmup_steps=30
)
CUTS = ("lexemes", "joined", "split", "merged")
JOINED = ("scorelm-joined", "abc-joined", "abc-timed-joined")
RELATED = "lexemes-related"
HEARD = ("lexemes-heard", "joined-heard", "abc-heard", RELATED)
MERGES = 300
MOST_TOKENS = 1024  # of a format whose tokens are shown with what is heard
EVALUATIONS = 6
_DURATIONS, _PITCHES = frozenset(DURATIONS), frozenset(PITCHES)
_OF_EVENTS = frozenset("zx-[]{}")  # the ear is told of these with their whole event
_MUSIC = _DURATIONS | _PITCHES | {"-", "z", "H"}


@dataclass
class Spelled:
    """A text as tokens, where each stands, and what is heard behind it."""

    tokens: list[str]
    places: list[float]
    heard: list[tuple[int, ...]] = field(default_factory=list)

    def put(self, token: str, place: float, heard: tuple[int, ...] | None = None, joined: bool = True) -> None:
        """One more token. joined: a note and its length are one"""
        if joined and self.tokens and _one_note(self.tokens[-1], token):
            token = self.tokens.pop() + token
            self.places.pop()
            del self.heard[len(self.tokens) :]
        self.tokens.append(token)
        self.places.append(place)
        if heard is not None:
            self.heard.append(heard)


def spell(text: str, name: str, merges: list[tuple[str, str]]) -> Spelled:
    if name == "abc-heard":
        return abc_heard(abc_in_time(parse(text), text))
    if name in HEARD:
        return heard(cut(text), joined=name == "joined-heard")
    if name in JOINED:
        found = with_lengths(spell(text, name.removesuffix("-joined"), merges))
        return found if name == "abc-timed-joined" else Spelled(found.tokens, list(range(len(found.tokens))))
    if name == "abc-timed":
        return timed(abc_in_time(parse(text), text))
    if name in FORMATS:
        tokens = FORMATS[name](parse(text), text)
        return Spelled(tokens, list(range(len(tokens))))
    lexemes = cut(text)
    if name == "scorelm":
        return Spelled(lexemes, list(range(len(lexemes))))
    places = positions(lexemes)
    if name == "lexemes":
        return Spelled(lexemes, places)
    if name == "split":
        pairs = [(part, p) for x, p in zip(lexemes, places) for part in ([x[0], x[1:]] if _accidental(x) else [x])]
    elif name == "joined":
        return with_lengths(Spelled(lexemes, places))
    else:
        pairs = list(zip(lexemes, places))
        for pair in merges:
            pairs = _merge(pairs, pair)
    return Spelled([t for t, _ in pairs], [p for _, p in pairs])


def with_lengths(spelled: Spelled) -> Spelled:
    """A pitch and its length, wherever they stand in a row, are one token."""
    out = Spelled([], [])
    for token, place in zip(spelled.tokens, spelled.places):
        out.put(token, place)
    return out


def heard(lexemes: list[str], joined: bool) -> Spelled:
    """Lexemes, or a duration and the pitch behind it joined, with what is heard."""
    ear, out = Ear(), Spelled([], [])
    for lexeme in lexemes:
        place = ear.push(lexeme)
        out.put(lexeme, place, ear.heard(), joined)
    return out


def abc_heard(tokens: list[Placed]) -> Spelled:
    """ABC's tokens, a note and its length joined, with what is heard; the ear is told the same as lexemes."""
    ear, out = Ear(), Spelled([], [])
    # a note is one token, so that it ends where that has come
    tokens = [(token, moment if event is None else event[1], event) for token, moment, event in tokens]
    for (token, _, event), place in zip(tokens, timed(tokens).places):
        if event is not None:
            _tell(ear, event[0])
        elif token.startswith("[V:"):
            if token != "[V:1]":
                ear.push(";")
        elif token in IDS and token not in _OF_EVENTS:
            ear.push(token)
        out.put(token, place, ear.heard())
    return out


def _tell(ear: Ear, timed: Timed) -> None:
    event = timed.event
    if isinstance(event, Chord) and event.grace:
        return
    ear.clock.held, ear.clock.ratios = float(timed.quarters), [1.0]
    if not isinstance(event, Chord):
        ear.push("z" if isinstance(event, Rest) else "y")
        return
    note = event.notes[0]
    ear.push(LEXEME_OF.get((note.pitch.step, note.pitch.octave, note.pitch.alter), "C"))
    if note.tie:
        ear.push("-")


def timed(tokens: list[Placed]) -> Spelled:
    """Positions as scorelm.notation.positions has them, of tokens and their moments."""
    places: list[float] = []
    since, before = 0, -1.0
    for token, moment, _ in tokens:
        begins = moment != before or token in ("|", "&") or token.startswith("[V:")
        since = 0 if begins else min(since + 1, MOST_AT_ONE_MOMENT)
        before = moment
        places.append(PER_QUARTER * moment + since)
    return Spelled([token for token, _, _ in tokens], places)


def _one_note(before: str, token: str) -> bool:
    return (before in _DURATIONS and token in _PITCHES) or (before[-1:].isdigit() and token[:1] == "*")


def _accidental(lexeme: str) -> bool:
    return lexeme in _PITCHES and lexeme[0] in "^_"


def _merge(pairs: list[tuple[str, float]], pair: tuple[str, str]) -> list[tuple[str, float]]:
    if pair[0] not in {t for t, _ in pairs}:
        return pairs
    out: list[tuple[str, float]] = []
    for token, place in pairs:
        if out and out[-1][0] == pair[0] and token == pair[1]:
            out[-1] = (f"{pair[0]} {token}", place)
        else:
            out.append((token, place))
    return out


def learn_merges(texts: list[str]) -> list[tuple[str, str]]:
    """Byte-pair encoding of the music: never over a barline, a part or a mark."""
    rows = [cut(text) for text in texts]
    merges: list[tuple[str, str]] = []
    for _ in range(MERGES):
        counts: Counter[tuple[str, str]] = Counter()
        for row in rows:
            counts.update(
                (a, b) for a, b in itertools.pairwise(row) if {*a.split(), *b.split()} <= _MUSIC and len(a.split()) < 4
            )
        pair = counts.most_common(1)[0][0]
        merges.append(pair)
        rows = [[t for t, _ in _merge([(x, 0.0) for x in row], pair)] for row in rows]
    return merges


def run(name: str, dataset: Path, minutes: float, seed: int) -> dict[str, object]:
    """Train on one format or cut."""
    train, validation = Corpus(dataset, "train"), Corpus(dataset, "validation")
    texts = [in_all_keys(train.row(i)[0]) for i in range(len(train))]
    merges = learn_merges([keys[k % len(keys)] for k, keys in enumerate(texts)]) if name == "merged" else []
    vocabulary = {"": 0}

    def ids(text: str) -> tuple[np.ndarray, list[float]]:
        found = spell(text, name, merges)
        numbers = [*(vocabulary.setdefault(token, len(vocabulary)) for token in found.tokens), 0]
        shown = np.array(numbers, np.int16)
        if found.heard:  # their rows stand behind the tokens', of which there are fewer
            rows = np.array([*found.heard, found.heard[-1]], np.int16) + MOST_TOKENS
            shown = np.concatenate([shown[:, None], rows], 1)
        return shown, [*found.places, found.places[-1] + 1]

    rows = [[ids(text) for text in keys] for keys in texts]
    pieces = []
    for i in range(len(validation)):
        text, quarters = validation.row(i)
        pieces.append(Piece(ids(text)[0], quarters, ids(text)[1]))
    hears = name in HEARD
    torch.manual_seed(seed)
    chance = random.Random(seed)
    model = GPTNeoXForCausalLM(
        GPTNeoXConfig(
            vocab_size=MOST_TOKENS if hears else len(vocabulary), hidden_size=CONFIG.hidden_size, num_hidden_layers=CONFIG.num_layers,
            num_attention_heads=CONFIG.num_heads, intermediate_size=CONFIG.intermediate_size,
            hidden_dropout=CONFIG.dropout, attention_dropout=0.0, max_position_embeddings=4096,
            rope_parameters={"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 1.0},
            tie_word_embeddings=True, bos_token_id=0, eos_token_id=0, use_cache=False, attn_implementation="sdpa",
        )
    )  # fmt: skip
    if hears:
        begin(model, [*((token,) for token in vocabulary), *[("",)] * (MOST_TOKENS - len(vocabulary))], name == RELATED)
    optimizers = build_optimizers(model, CONFIG, "muon")
    averaged = Averaged(model, CONFIG.ema_decay)
    used, tokens, step, judged, best = 0.0, 0, 0, 0, float("inf")
    whole = 60 * minutes
    while used < whole:
        order = [chance.choice(keys) for keys in rows]
        chance.shuffle(order)
        order = [row for at in range(0, len(order), 64) for row in sorted(order[at : at + 64], key=lambda r: len(r[0]))]
        groups = [order[at : at + 8] for at in range(0, len(order), 8)]
        chance.shuffle(groups)
        for group in groups:
            started = time.process_time()
            length = min(2048, max(len(row) for row, _ in group))  # kern is long: a window must hold a usual piece
            y = torch.full((len(group), length), -100)
            x, where = torch.zeros(*y.shape, *rows[0][0][0].shape[1:], dtype=torch.long), torch.zeros(y.shape)
            for i, (row, places) in enumerate(group):
                n = min(length, len(row))
                x[i, :n] = torch.as_tensor(row[:n])
                y[i, :n] = x[i, :n, 0] if hears else x[i, :n]
                where[i, :n] = torch.tensor(places[:n])
            set_rates(optimizers, rate_factor(step, used / whole, CONFIG))
            model.train()
            with torch.autocast("cpu", torch.bfloat16):
                logits = model(
                    input_ids=x[:, :-1], position_ids=where[:, :-1], attention_mask=torch.ones_like(y[:, :-1])
                ).logits
            loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1).float(), y[:, 1:].flatten())
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            for optimizer in optimizers:
                optimizer.step()
                optimizer.zero_grad()
            averaged.update(model)
            step += 1
            tokens += int((y != -100).sum())
            used += time.process_time() - started
            if used >= whole * (judged + 1) / EVALUATIONS:
                judged += 1
                with averaged.swapped_in(model):
                    bits = bits_per_quarter(model, pieces, 2048)
                best = min(best, bits)
                print(f"{name}: {used / 60:.1f} min, {tokens / 1e6:.2f} M tokens, {bits:.3f}", flush=True)
            if used >= whole:
                break
    quarters = sum(p.quarters for p in pieces)
    return {
        "name": name, "bits_per_quarter": bits, "best": best, "vocabulary": len(vocabulary), "tokens_seen": tokens,
        "tokens_per_quarter": sum(len(p.ids) for p in pieces) / quarters,
        "parameters": sum(p.numel() for p in model.parameters()),
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = ("scorelm", *FORMATS, *JOINED, "abc-timed", *CUTS, *HEARD)
    parser.add_argument("--dataset", default="dataset", type=Path, help="made by generate_data.py; default: dataset")
    parser.add_argument("--minutes", type=float, default=6, help="of one thread, for each")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=names, nargs="+", default=names)
    parser.add_argument("--json", metavar="FILE", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    found = [run(name, options.dataset, options.minutes, options.seed) for name in options.only]
    print("\n| format or cut | vocabulary | tokens a quarter | tokens seen | bits per quarter |\n|---|---|---|---|---|")
    for row in found:
        print(
            f"| {row['name']} | {row['vocabulary']} | {row['tokens_per_quarter']:.2f} | "
            f"{row['tokens_seen'] / 1e6:.2f} M | {row['bits_per_quarter']:.3f} |"  # type: ignore[operator]
        )
    if options.json:
        options.json.write_text(json.dumps({"minutes": options.minutes, "rows": found}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

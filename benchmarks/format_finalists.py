#!/usr/bin/env python3
"""The two best spellings of the format, each learnt by the same small model for the same time.

    python benchmarks/format_finalists.py --minutes 30

A GPT-NeoX of about a million parameters is trained from scratch on the train split in twelve keys, once on
explicit pitches (accidental and letter one lexeme), once on pitches relative to the key signature. What is
compared is bits per quarter note on the validation split, all tokens counted, so texts of different length
and vocabulary can be compared. The minutes are the processor's, of one thread, without evaluations; --only
runs one of the two.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from pathlib import Path

import torch
from spellings import PITCHES, spell
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

from scorelm.config import TrainConfig
from scorelm.notation.reader import parse
from scorelm.training import IGNORED, Piece, batches, bits_per_quarter, in_all_keys, learning_rate_factor

CONFIG = TrainConfig(hidden_size=128, num_layers=5, num_heads=2, intermediate_size=512, lr=3e-3)
EVALUATIONS = 12


def pieces_of(path: Path, pitch: str, vocabulary: dict[str, int], transposed: bool) -> list[Piece]:
    """The texts of a split in a spelling; new lexemes enter the vocabulary."""
    out = []
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        variants = []
        for text in in_all_keys(row["text"], transposed):
            spelled = spell(parse(text), pitch, "unit")
            variants.append([*(vocabulary.setdefault(lexeme, len(vocabulary)) for lexeme in spelled), 0])
        out.append(Piece(variants, row["quarters"]))
    return out


def run(pitch: str, dataset: Path, minutes: float, dropout: float, seed: int) -> float:
    """Train on one spelling; returns the best bits per quarter note."""
    vocabulary = {"": 0}
    training = pieces_of(dataset / "train.jsonl", pitch, vocabulary, True)
    validation = pieces_of(dataset / "validation.jsonl", pitch, vocabulary, False)
    torch.manual_seed(seed)
    shuffle = random.Random(seed)
    model = GPTNeoXForCausalLM(
        GPTNeoXConfig(
            vocab_size=len(vocabulary), hidden_size=CONFIG.hidden_size, num_hidden_layers=CONFIG.num_layers,
            num_attention_heads=CONFIG.num_heads, intermediate_size=CONFIG.intermediate_size,
            hidden_dropout=dropout, attention_dropout=0.0, max_position_embeddings=2048,
            tie_word_embeddings=True, bos_token_id=0, eos_token_id=0, use_cache=False, attn_implementation="sdpa",
        )
    )  # fmt: skip
    parameters = sum(p.numel() for p in model.parameters())
    print(f"{pitch}: {len(vocabulary)} lexemes, {parameters / 1e6:.2f} million parameters", flush=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=CONFIG.lr, betas=(0.9, 0.98), weight_decay=0.1, fused=True)
    best, used, tokens, step, evaluations = float("inf"), 0.0, 0, 0, 0
    while used < 60 * minutes:
        for ids, labels in batches(training, CONFIG, shuffle):
            started = time.process_time()
            for group in optimizer.param_groups:
                group["lr"] = CONFIG.lr * learning_rate_factor(step, used / (60 * minutes), CONFIG)
            with torch.autocast("cpu", torch.bfloat16):
                logits = model(input_ids=ids[:, :-1]).logits  # (batch, time, vocabulary)
            loss = torch.nn.functional.cross_entropy(
                logits.flatten(0, 1).float(), labels[:, 1:].flatten(), ignore_index=IGNORED
            )
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            step += 1
            tokens += int((labels != IGNORED).sum())
            used += time.process_time() - started
            if used >= 60 * minutes * (evaluations + 1) / EVALUATIONS:
                evaluations += 1
                bits = bits_per_quarter(model, validation, CONFIG.max_length)
                best = min(best, bits)
                print(
                    f"{pitch}: {used / 60:5.1f} min, {tokens / 1e6:5.2f} million tokens, "
                    f"{bits:.3f} bits per quarter note, best {best:.3f}",
                    flush=True,
                )
            if used >= 60 * minutes:
                break
    return best


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="dataset", type=Path, help="made by generate_data.py; default: dataset")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--dropout", type=float, default=0.2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=PITCHES, help="one spelling alone")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for pitch in (options.only,) if options.only else PITCHES:
        bits = run(pitch, options.dataset, options.minutes, options.dropout, options.seed)
        print(f"{pitch}: {bits:.3f} bits per quarter note after {options.minutes:g} minutes", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

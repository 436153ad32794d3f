#!/usr/bin/env python3
"""Tokens a CPU second of train.py beside a plain transformers.Trainer with its defaults: same model, same texts, one run.

    python benchmarks/train_speed.py --steps 30 --json train_speed.json

Both train the model of train_cfg.json on the train split, eight texts a step, on the CPU's threads that are given: a
plain GPT-NeoX of its sizes, and train.py once more as it is set there, told what is heard, which the Trainer cannot be.
The Trainer gets the texts as a dataset of token ids and transformers' own collator, nothing else is set; train.py cuts
them beforehand, too (``--workers``). What is counted are tokens that are learnt; padding is none. Seconds are of the
processor; other work on the machine still slows the Trainer, which moves twice the bytes, by a quarter. The first steps
of each are left out.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch
from accelerate.state import AcceleratorState

from scorelm.config import load_config
from scorelm.training.batches import IGNORED
from scorelm.training.corpus import Corpus
from scorelm.training.loop import Trainer as Ours
from scorelm.training.models import new_model

WARM = 5


def ours(config_file: str, dataset: str, steps: int, threads: int, **other: object) -> float:
    """Tokens a second of train.py, checkpoints and evaluation left out as they are for the other. other: settings"""
    with tempfile.TemporaryDirectory() as folder:
        config = replace(
            load_config(config_file), dataset_dir=dataset, output_dir=f"{folder}/model", threads=threads,
            max_steps=10**6, eval_steps=10**6, save_steps=0, **other,
        )  # fmt: skip
        trainer = Ours(config)
        from scorelm.training.batches import Batches, Place

        batches = Batches(trainer.corpus, trainer.tokens, config, Place())
        batches.prepare(1)
        stream = iter(batches)
        for step in range(WARM + steps):
            if step == WARM:
                started, before = time.process_time(), trainer.tokens_seen
            trainer._learn(next(stream), 0)
            trainer.averaged.update(trainer.plain)
            trainer.step += 1
        return (trainer.tokens_seen - before) / (time.process_time() - started)


def theirs(config_file: str, dataset: str, steps: int, threads: int) -> float:
    """Tokens a second of transformers.Trainer."""
    from transformers import DataCollatorForLanguageModeling, Trainer, TrainerCallback, TrainingArguments

    torch.set_num_threads(threads)
    config = replace(load_config(config_file), positions="index", heard=False)
    torch.manual_seed(config.seed)
    model, tokenizer = new_model(config)
    corpus = Corpus(dataset, "train")
    rows = [{"input_ids": tokenizer(corpus.row(i)[0])["input_ids"][: config.max_length]} for i in range(len(corpus))]
    collate = DataCollatorForLanguageModeling(tokenizer, mlm=False)
    seen: list[tuple[float, int]] = []
    count = 0

    def counted(batch: list[dict[str, list[int]]]) -> dict[str, torch.Tensor]:
        nonlocal count
        out = collate(batch)
        count += int((out["labels"][:, 1:] != IGNORED).sum())
        return out

    class Watch(TrainerCallback):
        def on_step_end(self, *_: object, **__: object) -> None:
            seen.append((time.process_time(), count))

    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder, max_steps=WARM + steps, report_to=[], disable_tqdm=True, use_cpu=True
        )
        Trainer(
            model=model,
            args=arguments,
            train_dataset=rows,
            data_collator=counted,
            callbacks=[Watch()],  # type: ignore[arg-type]
        ).train()
    (first, before), (last, after) = seen[WARM - 1], seen[-1]
    return (after - before) / (last - first)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="train_cfg.json")
    parser.add_argument("--dataset", default="dataset", help="made by generate_data.py; default: dataset")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    arguments = options.config, options.dataset, options.steps, options.threads
    plain = theirs(*arguments)
    found = {"transformers.Trainer": plain}
    for name, other in (("train.py, the same model", {"positions": "index", "heard": False}), ("train.py", {})):
        AcceleratorState._reset_state(reset_partial_state=True)  # all in one process, each with a precision of its own
        found[name] = ours(*arguments, **other)
    for name, speed in found.items():
        print(f"{name:26} {speed:8.0f} tokens/s  {speed / plain:5.2f}")
    if options.json:
        ratios = {name: speed / plain for name, speed in found.items()}
        options.json.write_text(json.dumps({**found, "ratios": ratios, "threads": options.threads}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

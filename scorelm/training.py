"""Train the student: a small GPT-NeoX (the Pythia architecture) on score text.

texts -> all keys -> token ids -> batches of similar length -> model; best weights by bits per quarter
"""

from __future__ import annotations

import json
import math
import random
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scorelm.config import TrainConfig
from scorelm.dataset import read_rows
from scorelm.errors import ConfigError, ScoreError
from scorelm.likelihood import token_losses
from scorelm.notation.lexemes import vocabulary_hash
from scorelm.notation.model import Key, Score
from scorelm.notation.reader import parse
from scorelm.notation.transform import interval_size, transpose
from scorelm.notation.writer import write

if TYPE_CHECKING:
    import torch

IGNORED = -100  # a label that counts for nothing
# one interval or two enharmonic ones for each of the twelve distances
INTERVALS = "P1 m2 A1 M2 m3 A2 M3 P4 A4 d5 -P4 -M3 -m3 -M2 -m2 -A1".split()


@dataclass(frozen=True)
class Piece:
    """A text in the keys it is trained in. ``variants``: token ids with the end; ``quarters``: its length."""

    variants: list[list[int]]
    quarters: float


def train(config: TrainConfig) -> dict[str, Any]:
    """Train as ``config`` says and write ``config.output_dir``. Returns the metrics that stand in metrics.json."""
    import torch
    from accelerate import Accelerator
    from accelerate.utils import set_seed
    from transformers.utils import logging

    logging.disable_progress_bar()

    texts = {split: read_dataset(Path(config.dataset_dir), split) for split in ("train", "validation")}
    if config.threads:
        torch.set_num_threads(config.threads)
    accelerator = Accelerator(mixed_precision=_precision(config.mixed_precision))
    set_seed(config.seed)
    model, tokenizer = new_model(config) if config.model_name is None else load_model(config.model_name)
    encode = encoder(tokenizer)
    pieces = [Piece([encode(v) for v in in_all_keys(t, config.transpose)], q) for t, q in texts["train"]]
    validation = [Piece([encode(t)], q) for t, q in texts["validation"]]
    optimizer = torch.optim.AdamW(
        _decay_groups(model, config.weight_decay), lr=config.lr, betas=(0.9, 0.98), fused=True
    )
    say = Progress(accelerator.is_main_process)
    parameters = sum(p.numel() for p in model.parameters())
    say(
        f"{parameters / 1e6:.2f} million parameters; {len(pieces)} texts in {sum(len(p.variants) for p in pieces)} keys,"
        f" {len(validation)} to validate; {accelerator.num_processes} process(es), {accelerator.mixed_precision}"
    )
    about = {"parameters": parameters, "training_texts": len(pieces), "validation_texts": len(validation)}
    model, optimizer = accelerator.prepare(model, optimizer)
    averaged = Averaged(accelerator.unwrap_model(model), config.ema_decay)
    shuffle = random.Random(config.seed + 1000 * accelerator.process_index)
    best: dict[str, Any] = {"bits_per_quarter": math.inf}
    history: list[dict[str, float]] = []
    started = time.monotonic()
    spent_evaluating = 0.0
    tokens = step = worse = 0
    finished = False
    while not finished:
        for ids, labels in batches(pieces, config, shuffle):
            share = min(1.0, step / config.max_steps)
            if config.max_minutes is not None:
                share = max(share, (time.monotonic() - started - spent_evaluating) / (60 * config.max_minutes))
            for group in optimizer.param_groups:
                group["lr"] = config.lr * learning_rate_factor(step, min(1.0, share), config)
            model.train()
            ids, labels = ids.to(accelerator.device), labels.to(accelerator.device)
            with accelerator.autocast():
                logits = model(input_ids=ids[:, :-1]).logits  # (batch, time, vocabulary)
            loss = torch.nn.functional.cross_entropy(
                logits.flatten(0, 1).float(), labels[:, 1:].flatten(), ignore_index=IGNORED
            )
            if not torch.isfinite(loss):
                raise ScoreError(f"the loss is {loss.item()} at step {step}: lower lr")
            accelerator.backward(loss)
            accelerator.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            averaged.update(accelerator.unwrap_model(model))
            step += 1
            tokens += int((labels != IGNORED).sum())
            finished = step >= config.max_steps or share >= 1.0
            if step % config.eval_steps == 0 or finished:
                at = time.monotonic()
                with averaged.swapped_in(accelerator.unwrap_model(model)) as weights:
                    bits = bits_per_quarter(weights, validation, config.max_length)
                    row = {"step": step, "tokens": tokens, "loss": loss.item(), "bits_per_quarter": bits}
                    history.append(row)
                    worse = 0 if bits < best["bits_per_quarter"] else worse + 1
                    if not worse:
                        best = {**row, **about, "minutes": (at - started) / 60}
                        if accelerator.is_main_process:
                            save(weights, tokenizer, config, {**best, "history": history})
                spent_evaluating += time.monotonic() - at
                say(f"step {step}: validation {bits:.4f} bits per quarter, best {best['bits_per_quarter']:.4f}")
                if config.patience and worse >= config.patience:
                    finished = True
            elif step % 50 == 0:
                seconds = time.monotonic() - started - spent_evaluating
                left = seconds * (1 / max(share, 1e-9) - 1) / 60
                say(f"step {step}: loss {loss.item():.3f}, {tokens / seconds:.0f} tokens/s, {left:.1f} min left")
            if finished:
                break
    accelerator.wait_for_everyone()
    accelerator.end_training()
    return {**best, "history": history}


class Progress:
    """Lines on stderr, from the first process alone."""

    def __init__(self, shown: bool) -> None:
        self.shown = shown

    def __call__(self, line: str) -> None:
        if self.shown:
            print(line, file=sys.stderr, flush=True)


def read_dataset(folder: Path, split: str) -> list[tuple[str, float]]:
    """(text, quarters) of each row of ``folder/split.jsonl``. ConfigError where it is missing or broken."""
    return [(row["text"], row["quarters"]) for row in read_rows(folder, split)]


def in_all_keys(text: str, wanted: bool = True) -> list[str]:
    """The text in each of the twelve keys, spelled with the fewest sharps or flats; itself first."""
    if not wanted:
        return [text]
    score = parse(text)
    home = _first_key(score)
    chosen: dict[int, tuple[int, str]] = {}
    for interval in INTERVALS:
        steps, semitones = interval_size(interval)
        fifths = home + 7 * semitones - 12 * steps
        pitch_class = semitones % 12
        if pitch_class not in chosen or abs(fifths) < abs(chosen[pitch_class][0]):
            chosen[pitch_class] = (fifths, interval)
    out = [text]
    for pitch_class, (fifths, interval) in sorted(chosen.items()):
        if pitch_class and abs(fifths) <= 7:
            try:
                out.append(write(transpose(score, interval)))
            except ScoreError:  # beyond the range of pitches
                continue
    return out


def _first_key(score: Score) -> int:
    for measure in score.measures[:1]:
        for marks in (measure.marks, *(part.marks for part in measure.parts if part)):
            for mark in marks:
                if isinstance(mark, Key):
                    return mark.fifths
    return 0


def batches(
    pieces: list[Piece], config: TrainConfig, shuffle: random.Random
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """One epoch: every piece once, in a random key, among others of like length. -> ids, labels, (batch, time).

    Right padding needs no mask in a causal model, and a mask would cost attention its fast path.
    """
    import torch

    rows = []
    for piece in pieces:
        ids = shuffle.choice(piece.variants)
        rows += [ids[at : at + config.max_length] for at in range(0, max(1, len(ids) - 1), config.max_length)]
    shuffle.shuffle(rows)
    near = 8 * config.batch_size
    groups = []
    for at in range(0, len(rows), near):
        alike = sorted(rows[at : at + near], key=len)
        groups += [alike[i : i + config.batch_size] for i in range(0, len(alike), config.batch_size)]
    shuffle.shuffle(groups)
    for group in groups:
        ids = torch.zeros(len(group), max(map(len, group)), dtype=torch.long)
        labels = torch.full_like(ids, IGNORED)
        for i, row in enumerate(group):
            ids[i, : len(row)] = labels[i, : len(row)] = torch.tensor(row)
        yield ids, labels


def bits_per_quarter(model: torch.nn.Module, pieces: list[Piece], max_length: int) -> float:
    """Bits per quarter note: -log2 p of every token behind the first ``|``, the end included, by the pieces' length.

    A piece longer than ``max_length`` is read in windows that overlap by half.
    """
    total = sum(token_losses(model, piece.variants[0], max_length).double().sum().item() for piece in pieces)
    return total / math.log(2) / sum(piece.quarters for piece in pieces)


class Averaged:
    """An exponential average of the weights, warmed up at the start."""

    def __init__(self, model: torch.nn.Module, decay: float) -> None:
        self.decay = decay
        self.steps = 0
        self.weights = {n: p.detach().float().clone() for n, p in model.named_parameters()} if decay else {}

    def update(self, model: torch.nn.Module) -> None:
        if not self.decay:
            return
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        for name, parameter in model.named_parameters():
            self.weights[name].lerp_(parameter.detach().float(), 1 - decay)

    def swapped_in(self, model: torch.nn.Module) -> Any:
        """A context in which the model has the averaged weights."""
        from contextlib import contextmanager

        @contextmanager
        def swapped() -> Iterator[torch.nn.Module]:
            if not self.decay:
                yield model
                return
            own = {n: p.detach().clone() for n, p in model.named_parameters()}
            for name, parameter in model.named_parameters():
                parameter.data.copy_(self.weights[name])
            try:
                yield model
            finally:
                for name, parameter in model.named_parameters():
                    parameter.data.copy_(own[name])

        return swapped()


def new_model(config: TrainConfig) -> tuple[Any, Any]:
    from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

    from scorelm.tokenizer import build_tokenizer

    tokenizer = build_tokenizer()
    model = GPTNeoXForCausalLM(
        GPTNeoXConfig(
            vocab_size=len(tokenizer),
            hidden_size=config.hidden_size,
            num_hidden_layers=config.num_layers,
            num_attention_heads=config.num_heads,
            intermediate_size=config.intermediate_size,
            hidden_dropout=config.dropout,
            attention_dropout=0.0,  # it would cost attention its fast path
            max_position_embeddings=2048,
            tie_word_embeddings=True,
            bos_token_id=tokenizer.eos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            use_cache=False,
            attn_implementation="sdpa",
        )
    )
    model.config.scorelm_vocabulary = vocabulary_hash()
    return model, tokenizer


def load_model(name: str) -> tuple[Any, Any]:
    """The model and the tokenizer of a folder or of the hub. ConfigError where there are none."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(name)
        model = AutoModelForCausalLM.from_pretrained(name, use_safetensors=True, dtype="float32")
    except (OSError, ValueError) as error:
        raise ConfigError(f"model {name!r}: {' '.join(str(error).split())[:300]}") from None
    if model.get_input_embeddings().num_embeddings < len(tokenizer):
        raise ConfigError(f"model {name!r}: its tokenizer has more tokens than the model")
    return model, tokenizer


def encoder(tokenizer: Any) -> Callable[[str], list[int]]:
    """Text -> its ids with the end."""

    def encode(text: str) -> list[int]:
        return [*tokenizer(text)["input_ids"], tokenizer.eos_token_id]

    return encode


def _precision(wanted: str) -> str:
    import torch

    if wanted != "auto":
        return wanted
    if torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported() else "no"
    return "bf16" if torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported() else "no"


def _decay_groups(model: torch.nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Matrices decay; biases and norms do not."""
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]


def learning_rate_factor(step: int, share: float, config: TrainConfig) -> float:
    """The factor of lr: linear warm-up, then a cosine down to min_lr_ratio."""
    warm = min(1.0, (step + 1) / max(1, config.warmup_steps))
    return warm * (config.min_lr_ratio + (1 - config.min_lr_ratio) * 0.5 * (1 + math.cos(math.pi * share)))


def save(model: Any, tokenizer: Any, config: TrainConfig, metrics: dict[str, Any]) -> None:
    """Write the output folder whole, then give it its name; a folder that was there goes."""
    import torch

    from scorelm.card import model_card

    target = Path(config.output_dir)
    target.parent.mkdir(parents=True, exist_ok=True)
    new = target.with_name(f".{target.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    half = {n: p.to(torch.bfloat16) for n, p in model.state_dict().items()}
    was, model.config.use_cache = model.config.use_cache, True
    model.save_pretrained(new, state_dict=half)
    model.config.use_cache = was
    saved = json.loads((new / "config.json").read_text(encoding="utf-8"))
    (new / "config.json").write_text(json.dumps({**saved, "dtype": "bfloat16"}, indent=2) + "\n", encoding="utf-8")
    tokenizer.save_pretrained(new)
    (new / "metrics.json").write_text(json.dumps(metrics, indent=1) + "\n", encoding="utf-8")
    (new / "train_cfg.json").write_text(json.dumps(asdict(config), indent=2) + "\n", encoding="utf-8")
    (new / "README.md").write_text(model_card(config, metrics), encoding="utf-8")
    for file in new.iterdir():  # safetensors makes files that the owner alone can read
        file.chmod(0o644)
    old = target.with_name(f".{target.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    new.rename(target)
    shutil.rmtree(old, ignore_errors=True)

"""Train the student: a small GPT-NeoX (the Pythia architecture) on score text, alone or under accelerate.

batches -> model -> loss -> optimizers -> averaged weights; best of these by bits per quarter note on validation
(of the first of several datasets)

Randomness comes from the seed, the step and the process alone, so a run that was killed goes on from its last
checkpoint as if nothing had happened.
"""

from __future__ import annotations

import math
import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from scorelm.config import TrainConfig
from scorelm.errors import ConfigError, ScoreError
from scorelm.likelihood import Piece, bits_per_quarter
from scorelm.training import checkpoints as on_disk
from scorelm.training.averaging import Averaged
from scorelm.training.batches import IGNORED, Batches, Place, with_places
from scorelm.training.checkpoints import Checkpoints
from scorelm.training.corpus import Corpus
from scorelm.training.extensions import release_abandoned_builds
from scorelm.training.models import prepare_model
from scorelm.training.on_cpu import hasten
from scorelm.training.optimizers import build_optimizers, rate_factor, set_rates
from scorelm.training.output import save
from scorelm.training.progress import Progress

# settings that a run may go on with though they were others before
FREE = frozenset(
    "output_dir max_steps max_minutes eval_steps save_steps save_total_limit resume patience tensorboard threads workers ahead".split()
)


def train(config: TrainConfig) -> dict[str, Any]:
    """Train as ``config`` says and write ``config.output_dir``. Returns the metrics that stand in metrics.json."""
    trainer = Trainer(config)
    try:
        return trainer.run()
    finally:
        trainer.close()


class Trainer:
    """One run. What is missing or does not fit is refused while it is built, before any work."""

    def __init__(self, config: TrainConfig) -> None:
        import torch
        from accelerate.utils import set_seed
        from transformers.utils import logging

        logging.disable_progress_bar()
        self.config = config
        self.corpus = Corpus(config.dataset_dir, "train")
        validation = Corpus(config.dataset_dir.split(",")[0], "validation")
        if config.threads:
            torch.set_num_threads(config.threads)
        self.accelerator = _accelerator(config)
        self.deepspeed = _is_deepspeed(self.accelerator)
        self.zero_stage = self.accelerator.state.deepspeed_plugin.zero_stage if self.deepspeed else 0
        if self.zero_stage == 3 and config.ema_decay:
            raise ConfigError("ema_decay: ZeRO-3 keeps no whole weights to average; set it to 0")
        set_seed(config.seed)
        model, self.tokens = prepare_model(config)
        hasten(model)
        parameters = sum(p.numel() for p in model.parameters())
        learnt = sum(p.numel() for p in model.parameters() if p.requires_grad)
        self.checkpoints = Checkpoints(config.output_dir, config.save_total_limit)
        self.say = Progress(self.checkpoints.folder, self.accelerator.is_main_process, config.tensorboard)
        self.resumed = self._checkpoint()
        if config.save_steps:
            self.checkpoints.room(12 * learnt + 4 * parameters + 4 * learnt * bool(config.ema_decay))
        self.validation = [_piece(*validation.row(i), self.tokens) for i in range(len(validation))]
        self.about = {
            "parameters": parameters,
            "training_texts": len(self.corpus),
            "validation_texts": len(validation),
        }
        kind = "adamw" if self.deepspeed else config.optimizer
        optimizers = build_optimizers(model, config, kind)
        self.model, *self.optimizers = self.accelerator.prepare(model, *optimizers)
        self.averaged = Averaged(self.plain, config.ema_decay)
        self.step = self.tokens_seen = self.worse = 0
        self.place = Place()
        self.best: dict[str, Any] = {"bits_per_quarter": math.inf}
        self.history: list[dict[str, float]] = []
        self.seconds = 0.0  # of training, evaluation and saving not counted
        self.since = time.monotonic()
        if self.resumed is not None:
            self._restore(self.resumed)
        self.say(
            f"{parameters / 1e6:.2f} million parameters, {learnt / 1e6:.2f} to be learnt, by {kind};"
            f" {len(self.corpus)} texts, {len(validation)} to validate;"
            f" {self.accelerator.num_processes} process(es), {self.accelerator.mixed_precision}"
            + (f", DeepSpeed ZeRO-{self.zero_stage}" if self.deepspeed else "")
        )

    @property
    def plain(self) -> Any:
        return self.accelerator.unwrap_model(self.model)

    def close(self) -> None:
        self.say.close()

    def run(self) -> dict[str, Any]:
        config = self.config
        self.say.begin(self.step)
        batches = Batches(
            self.corpus, self.tokens, config, self.place,
            self.accelerator.process_index, self.accelerator.num_processes,
        )  # fmt: skip
        if config.workers:
            batches.prepare(config.workers)
        stream = with_places(batches, config.ahead)
        self.since = time.monotonic()
        finished = self.step >= config.max_steps
        while not finished:
            share = min(1.0, self._share())
            set_rates(self.optimizers, rate_factor(self.step, share, config))
            loss = 0.0
            for part in range(config.gradient_accumulation_steps):
                batch, place = next(stream)
                loss += self._learn(batch, part)
            loss /= config.gradient_accumulation_steps
            if not math.isfinite(loss):
                raise ScoreError(f"the loss is {loss} at step {self.step}: lower lr")
            self.averaged.update(self.plain)
            self.step += 1
            self.place = place
            self.say.add(step=self.step, loss=loss)
            finished = self.step >= config.max_steps or share >= 1.0
            if self.step % 50 == 0:
                self._report(loss, share)
            judged = self.step % config.eval_steps == 0 or finished
            if judged or (config.save_steps and self.step % config.save_steps == 0):
                self.seconds += time.monotonic() - self.since
                if judged:
                    finished = self._evaluate(loss) or finished
                if config.save_steps and (self.step % config.save_steps == 0 or finished):
                    self._save_checkpoint()
                self.since = time.monotonic()
        self.accelerator.wait_for_everyone()
        self.accelerator.end_training()
        if math.isinf(self.best["bits_per_quarter"]):
            raise ConfigError(f"max_steps {config.max_steps} was reached before any evaluation: raise it")
        return {**self.best, "history": self.history}

    def _share(self) -> float:
        """How much of the schedule is behind."""
        share = self.step / self.config.max_steps
        if self.config.max_minutes is not None:
            share = max(share, self._spent() / (60 * self.config.max_minutes))
        return share

    def _spent(self) -> float:
        return self.seconds + time.monotonic() - self.since

    def _learn(self, batch: Any, part: int) -> float:
        """One batch forward and backward, and a step of the optimizers behind the last part. Returns the loss."""
        import torch

        accelerator = self.accelerator
        # what dropout does depends on nothing that a checkpoint would have to hold
        torch.manual_seed(hash((self.config.seed, self.step, part, accelerator.process_index)) & 0x7FFFFFFF)
        self.model.train()
        batch = batch.to(accelerator.device)
        with accelerator.accumulate(self.model):
            with accelerator.autocast():
                logits = self.model(**batch.inputs(), use_cache=False).logits  # (batch, time, vocabulary)
            targets = batch.targets()
            loss = torch.nn.functional.cross_entropy(
                logits.flatten(0, 1).float(), targets.flatten(), ignore_index=IGNORED
            )
            accelerator.backward(loss)
            if accelerator.sync_gradients and not self.deepspeed:
                accelerator.clip_grad_norm_(self.model.parameters(), 1.0)
            for optimizer in self.optimizers:
                optimizer.step()
                optimizer.zero_grad()
        self.tokens_seen += int((targets != IGNORED).sum()) * accelerator.num_processes
        return float(loss.item())

    def _report(self, loss: float, share: float) -> None:
        spent = self._spent()
        left = spent * (1 / max(share, 1e-9) - 1) / 60
        self.say(f"step {self.step}: loss {loss:.3f}, {self.tokens_seen / spent:.0f} tokens/s, {left:.1f} min left")

    def _evaluate(self, loss: float) -> bool:
        """Judge the averaged weights, save them where they are the best; returns whether it is time to stop."""
        config = self.config
        with self.averaged.swapped_in(self.plain) as weights:
            judged = self.model if self.zero_stage == 3 else weights
            bits = bits_per_quarter(judged, self.validation, config.max_length)
            row = {"step": self.step, "tokens": self.tokens_seen, "loss": loss, "bits_per_quarter": bits}
            self.history.append(row)
            self.worse = 0 if bits < self.best["bits_per_quarter"] else self.worse + 1
            if not self.worse:
                self.best = {**row, **self.about, "minutes": self.seconds / 60}
                tensors = self.accelerator.get_state_dict(self.model) if self.zero_stage == 3 else None
                if self.accelerator.is_main_process:
                    save(weights, self.tokens.tokenizer, config, {**self.best, "history": self.history}, tensors)
        self.say(f"step {self.step}: validation {bits:.4f} bits per quarter, best {self.best['bits_per_quarter']:.4f}")
        self.say.add(step=self.step, bits_per_quarter=bits)
        self.say.curves()
        return bool(config.patience and self.worse >= config.patience)

    def _checkpoint(self) -> Path | None:
        """The checkpoint to go on from, where that is asked for and there is one."""
        newest = self.checkpoints.newest()
        if not self.config.resume:
            if newest is not None and self.accelerator.is_main_process:
                aside = self.checkpoints.set_aside()
                self.say(f"the checkpoints of an earlier run are now in {aside}; --resume would have gone on from them")
            self.accelerator.wait_for_everyone()
            return None
        if newest is None:
            self.say(f"{self.checkpoints.folder}: no checkpoint to go on from; training begins anew")
            return None
        state = on_disk.read_state(newest)
        before, now = state["config"], asdict(self.config)
        for name in now.keys() - FREE:
            if before.get(name) != now[name]:
                raise ConfigError(
                    f"{newest}: was made with {name} {before.get(name)!r}, not {now[name]!r}; "
                    "set it so, or begin anew without --resume"
                )
        if state["processes"] != self.accelerator.num_processes or state["deepspeed"] != self.deepspeed:
            by = "DeepSpeed" if state["deepspeed"] else "no DeepSpeed"
            raise ConfigError(f"{newest}: was made by {state['processes']} process(es) with {by}; go on with the same")
        return newest

    def _save_checkpoint(self) -> None:
        main = self.accelerator.is_main_process
        folder = self.checkpoints.folder / f".step-{self.step:07d}.new"
        try:
            if main:
                self.checkpoints.begin(self.step)
            self.accelerator.wait_for_everyone()
            if self.deepspeed:
                self.model.save_checkpoint(str(folder), tag="deepspeed")
            elif main:
                learnt = {n: p for n, p in self.plain.named_parameters() if p.requires_grad}
                on_disk.save_tensors(learnt, folder / "model.safetensors")
                on_disk.save_tensors(on_disk.optimizer_tensors(self.optimizers), folder / "optimizers.safetensors")
            if main and self.averaged.decay:
                on_disk.save_tensors(self.averaged.weights, folder / "averaged.safetensors")
            self.accelerator.wait_for_everyone()
            if main:
                self.checkpoints.finish(folder, self._state())
        except OSError as error:
            raise ScoreError(
                f"{folder}: cannot be written: {error.strerror}; --resume goes on from the last one"
            ) from None
        self.accelerator.wait_for_everyone()

    def _state(self) -> dict[str, Any]:
        best = {k: v for k, v in self.best.items() if k != "bits_per_quarter" or math.isfinite(v)}
        return {
            "step": self.step, "place": asdict(self.place), "tokens": self.tokens_seen, "worse": self.worse,
            "seconds": self.seconds, "averaged": self.averaged.steps, "best": best, "history": self.history,
            "processes": self.accelerator.num_processes, "deepspeed": self.deepspeed, "config": asdict(self.config),
        }  # fmt: skip

    def _restore(self, folder: Path) -> None:
        import torch

        state = on_disk.read_state(folder)
        try:
            if self.deepspeed:
                self.model.load_checkpoint(str(folder), tag="deepspeed")
            else:
                learnt = {n: p for n, p in self.plain.named_parameters() if p.requires_grad}
                with torch.no_grad():
                    for name, tensor in on_disk.load_tensors(folder / "model.safetensors").items():
                        learnt[name].copy_(tensor)
                tensors = on_disk.load_tensors(folder / "optimizers.safetensors")
                on_disk.restore_optimizers(self.optimizers, tensors)
            if self.averaged.decay:
                self.averaged.restore(state["averaged"], on_disk.load_tensors(folder / "averaged.safetensors"))
            self.step, self.tokens_seen = state["step"], state["tokens"]
            self.worse, self.seconds = state["worse"], state["seconds"]
            self.place = Place(**state["place"])
            self.best |= state["best"]
            self.history = state["history"]
        except (KeyError, TypeError, RuntimeError) as error:
            raise ConfigError(f"{folder}: does not fit this model: {' '.join(str(error).split())[:200]}") from None
        self.say(f"going on from {folder}")


def _piece(text: str, quarters: float, tokens: Any) -> Piece:
    ids, positions = tokens.shown([*tokens.encode(text), tokens.end])
    return Piece(ids, quarters, positions)


def _accelerator(config: TrainConfig) -> Any:
    import torch
    from accelerate import Accelerator, InitProcessGroupKwargs

    alone = torch.cuda.is_available() or "LOCAL_RANK" not in os.environ
    handlers = [] if alone else [InitProcessGroupKwargs(backend="gloo")]
    precision = None if "ACCELERATE_MIXED_PRECISION" in os.environ else _precision(config.mixed_precision)
    if os.environ.get("ACCELERATE_USE_DEEPSPEED") == "true":
        release_abandoned_builds()
    accelerator = Accelerator(
        mixed_precision=precision, gradient_accumulation_steps=config.gradient_accumulation_steps,
        kwargs_handlers=handlers,
    )  # fmt: skip
    if _is_deepspeed(accelerator):
        settings = accelerator.state.deepspeed_plugin.deepspeed_config
        settings["train_micro_batch_size_per_gpu"] = config.batch_size
        settings["gradient_accumulation_steps"] = config.gradient_accumulation_steps
    return accelerator


def _is_deepspeed(accelerator: Any) -> bool:
    from accelerate.utils import DistributedType

    return bool(accelerator.distributed_type == DistributedType.DEEPSPEED)


def _precision(wanted: str) -> str:
    import torch

    if wanted != "auto":
        return wanted
    if torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported() else "no"
    return "bf16" if torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported() else "no"

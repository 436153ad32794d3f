"""The student's three phases, each from the weights of the one before.

    alignment    strips of staves -> their score text; the encoder alone must say the tokens too (CTC), at first
                 nothing else is learnt
    extraction   pictures and questions -> fields in JSON
    analysis     pictures and questions -> words

In the phases of words some of the batches are of the phases before (see REHEARSED), so that what was learnt first is
not lost, and the encoder learns from staves alone.
Randomness comes from the seed, the phase and the step: a run that was killed goes on as if nothing had happened.
"""

from __future__ import annotations

import json
import math
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, astuple
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy, ctc_loss

from scorelm.errors import ConfigError, ScoreError
from scorelm.training import checkpoints as on_disk
from scorelm.training.averaging import Averaged
from scorelm.training.checkpoints import Checkpoints
from scorelm.training.optimizers import build_optimizers, rate_factor, set_rates
from scorelm.training.progress import Progress
from vlm.data.answers import Taught
from vlm.data.record import ALIGNMENT, ANALYSIS, EXTRACTION, PHASES
from vlm.student import numbers
from vlm.student.card import FIGURES, figures_of, reader_card
from vlm.student.config import StudentConfig
from vlm.student.feed import Feed, Ready, made_ready
from vlm.student.model import ScoreReader, Shape, load_reader, new_reader, save_reader
from vlm.student.samples import Batches, Place, Sample, kept, read_samples, spoken

IGNORED = -100
REHEARSED = {  # the phases that batches come from in turn
    ALIGNMENT: (ALIGNMENT,),
    EXTRACTION: (ALIGNMENT, EXTRACTION),
    ANALYSIS: (ALIGNMENT, EXTRACTION, ALIGNMENT, ANALYSIS),
}
FREE = frozenset(
    "output_dir encoder_steps alignment_steps number_steps extraction_steps analysis_steps eval_steps eval_records save_steps "
    "save_total_limit resume threads workers".split()
)


class Distillation:
    """One run of one or several phases. What is missing or does not fit is refused while it is built."""

    def __init__(self, config: StudentConfig, phases: Sequence[str], start: str | None = None) -> None:
        """start: the folder of a reader to go on from; None: a new one for alignment, else output_dir"""
        from accelerate import Accelerator, DistributedDataParallelKwargs
        from accelerate.utils import set_seed
        from transformers.utils import logging

        from scorelm.generation import SHIPPED
        from scorelm.training.loop import _precision
        from scorelm.training.on_cpu import hasten

        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        self.config, self.phases = config, [phase for phase in PHASES if phase in phases]
        if config.threads:
            torch.set_num_threads(config.threads)
        self.accelerator: Any = Accelerator(
            mixed_precision=_precision(config.mixed_precision),
            # while the encoder learns alone, the language model has no gradients
            kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
        )
        set_seed(config.seed)
        aligning = self.phases[0] == ALIGNMENT
        if start is None and config.start and aligning:
            start = config.start
        if start is None and aligning:
            shape = Shape(config.channels, config.vision_layers, config.dropout)
            self.reader: ScoreReader = new_reader(config.language_model or str(SHIPPED), shape)
        else:
            self.reader = load_reader(start or config.output_dir)
        hasten(self.reader)
        self.tokens = self.reader.tokens
        self.taught = Taught(config.answers_dir, config.teacher_share, config.seed)
        folders = config.dataset_dir.split(",")
        files = [path for folder in folders for path in kept(folder, "train", config.workers)]
        validation = [path for folder in folders for path in kept(folder, "validation", config.workers)]
        self.validation = [s for path in validation for s in read_samples(path)]
        self.checkpoints = Checkpoints(config.output_dir, config.save_total_limit)
        self.say = Progress(self.checkpoints.folder, self.accelerator.is_main_process, False)
        self.files = files
        self.lengths: dict[tuple[str, str], int] = {}
        self.history: list[dict[str, Any]] = []
        self.done: dict[str, int] = dict.fromkeys(PHASES, 0)  # steps of each phase
        self.places: dict[str, Place] = {phase: Place() for phase in PHASES}
        self.seconds = 0.0
        self.seen = 0
        self._begin_phase(self.phases[0])
        self.averaged = Averaged(self.reader, config.ema_decay)  # of the weights where they are learnt
        if config.resume:
            self._restore()
        parameters = sum(p.numel() for p in self.reader.parameters())
        self.say(f"{parameters / 1e6:.2f} million parameters, {len(files)} files, {self.accelerator.mixed_precision}")
        self.parameters = parameters

    # -- phases --------------------------------------------------------------------------------

    def steps(self, phase: str) -> int:
        return int(getattr(self.config, f"{phase}_steps"))

    def _begin_phase(self, phase: str) -> None:
        """Optimizers that remember nothing, for the schedule of a phase."""
        optimizers = build_optimizers(self.reader, self.config, "muon")  # type: ignore[arg-type]
        self.model, *self.optimizers = self.accelerator.prepare(_Losses(self.reader, self.config), *optimizers)
        self.phase = phase

    def run(self) -> dict[str, Any]:
        self.say.begin(sum(self.done.values()))
        for phase in self.phases:
            if self.done[phase] < self.steps(phase):
                if phase != self.phase:
                    self._begin_phase(phase)
                self._phase(phase)
            if phase == ALIGNMENT and self.config.number_steps and self.accelerator.is_main_process:
                self._numbers()
        self.accelerator.wait_for_everyone()
        self.accelerator.end_training()
        return {"history": self.history, "steps": self.done, "minutes": self.seconds / 60}

    def _phase(self, phase: str) -> None:
        known = {sample.phase for sample in self.validation} | {phase, ALIGNMENT}
        turns = [name for name in REHEARSED[phase] if name in known]
        feeds = {name: self._feed(name) for name in turns}
        try:
            self._learn_from({name: iter(feed) for name, feed in feeds.items()}, phase, turns)
        finally:
            for feed in feeds.values():
                feed.close()

    def _learn_from(self, streams: Mapping[str, Iterator[Ready]], phase: str, turns: Sequence[str]) -> None:
        config, steps = self.config, self.steps(phase)
        since = begun = time.monotonic()
        before = self.seen
        for step in range(self.done[phase], steps):
            turn = turns[step % len(turns)]
            batch = next(streams[turn])
            self.places[turn] = batch.place
            first, end = self._stage(phase, step)
            share = (step - first) / (end - first)
            if config.max_minutes is not None:
                share = min(1.0, max(share, (time.monotonic() - begun) / (60 * config.max_minutes)))
            factor = rate_factor(step - first, share, config)  # type: ignore[arg-type]
            set_rates(self.optimizers, factor)
            loss = self._learn(batch, step, alone=self._alone(phase, step))
            if not math.isfinite(loss):
                raise ScoreError(f"the loss is {loss} at step {step} of {phase}: lower lr")
            self.done[phase] = step + 1
            self.seen += len(batch) * self.accelerator.num_processes
            total = sum(self.done.values())
            self.say.add(step=total, loss=loss)
            last = step + 1 == steps or (share >= 1 and end == steps)
            if (step + 1) % 50 == 0:
                speed = (self.seen - before) / max(time.monotonic() - since, 1e-9)
                left = (steps - step - 1) * config.batch_size / speed / 60
                self.say(f"{phase} {step + 1}: loss {loss:.3f}, {speed:.1f} samples/s, {left:.1f} min left")
            if last or (step + 1) % config.eval_steps == 0:
                self._evaluate(phase, loss)
            if config.save_steps and (last or (step + 1) % config.save_steps == 0):
                self.seconds += time.monotonic() - since
                since, before = time.monotonic(), self.seen
                self._save()
            if last:
                return

    def _numbers(self) -> None:
        """The net for printed numbers, unless this run made it before it was stopped."""
        file = Path(self.config.output_dir) / numbers.FILE
        if not (self.config.resume and file.is_file()):
            right = numbers.learn_numbers(
                self.files, self.validation, self.config.number_steps, self.config.seed, file, self.say
            )
            self.say(f"numbers: {right:.1%} of those on validation are right")

    def _feed(self, phase: str) -> Feed:
        accelerator = self.accelerator
        batches = Batches(
            self.files, phase, self.config.batch_size * accelerator.num_processes, self._fits, self.config.seed,
            self.places[phase], self.taught,
        )  # fmt: skip

        def make(batch: list[Sample], place: Place) -> Ready:
            own = batch[accelerator.process_index :: accelerator.num_processes] or batch[:1]
            seen = self.config.seed, PHASES.index(phase), *astuple(place), accelerator.process_index
            return made_ready(own, self.tokens, np.random.default_rng([number & 0x7FFFFFFF for number in seen]))

        return Feed(batches, make, self.config.workers)

    def _fits(self, sample: Sample) -> bool:
        return (
            len(sample.strips) <= self.config.max_strips
            and self._length(sample.prompt, sample.answer) <= self.config.max_length
        )

    def _length(self, prompt: str, answer: str) -> int:
        """Tokens of a question and its answer."""
        if (prompt, answer) not in self.lengths:
            self.lengths[prompt, answer] = len(spoken(Sample((), prompt, answer, "", ""), self.tokens).ids)
        return self.lengths[prompt, answer]

    def _alone(self, phase: str, step: int) -> bool:
        """Whether the encoder alone learns."""
        return phase == ALIGNMENT and step < self.config.encoder_steps

    def _stage(self, phase: str, step: int) -> tuple[int, int]:
        """The steps from which and to which rates rise and fall once."""
        steps, alone = self.steps(phase), self.config.encoder_steps if phase == ALIGNMENT else 0
        return (0, min(alone, steps)) if step < alone else (alone, steps)

    def _learn(self, batch: Ready, step: int, alone: bool) -> float:
        accelerator = self.accelerator
        chance = hash((self.config.seed, PHASES.index(self.phase), step, accelerator.process_index)) & 0x7FFFFFFF
        torch.manual_seed(chance)
        self.model.train()
        with accelerator.autocast():
            loss = self.model(*batch.on(accelerator.device), alone=alone)
        accelerator.backward(loss)
        accelerator.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad()
        self.averaged.update(self.reader)
        return float(loss.item())

    def _evaluate(self, phase: str, loss: float) -> None:
        """How the averaged weights do on the answers of validation, and how many tokens they would have said."""
        some = [s for s in self.validation if s.phase == phase and self._fits(s)][: self.config.eval_records]
        if not some:
            raise ConfigError(f"{self.config.dataset_dir}: validation has no records of {phase}")
        alone = self._alone(phase, self.done[phase] - 1)
        sums: Counter[str] = Counter()
        with self.averaged.swapped_in(self.reader), torch.no_grad():
            self.reader.eval()
            for at in range(0, len(some), self.config.batch_size):
                batch = made_ready(some[at : at + self.config.batch_size], self.tokens).on(self.accelerator.device)
                if phase == ALIGNMENT:
                    sums.update(_heard(self.reader, batch))
                if not alone:
                    sums.update(_said(self.reader, batch))
            row: dict[str, Any] = {"phase": phase, "step": self.done[phase], "samples": self.seen, "loss": loss}
            if phase == ALIGNMENT:
                row["encoder_errors"] = sums["errors"] / sums["heard"]
            if not alone:
                row["nats_per_token"] = sums["nats"] / sums["said"]
                row["tokens_right"] = sums["right"] / sums["said"]
            self.history.append(row)
            if self.accelerator.is_main_process:
                notes = {"config": asdict(self.config), "parameters": self.parameters_of(), "history": self.history}
                save_reader(self.reader, Path(self.config.output_dir), notes, reader_card(self.config, notes))
        self.say(f"{phase} {self.done[phase]}: {figures_of(row)}")
        self.say.add(step=sum(self.done.values()), **{n: row[n] for n in FIGURES if n in row})

    def parameters_of(self) -> int:
        return sum(p.numel() for p in self.reader.parameters())

    # -- checkpoints ---------------------------------------------------------------------------

    def _save(self) -> None:
        if not self.accelerator.is_main_process:
            return
        folder = self.checkpoints.begin(sum(self.done.values()))
        on_disk.save_tensors({n: t.clone() for n, t in self.reader.state_dict().items()}, folder / "model.safetensors")
        on_disk.save_tensors(on_disk.optimizer_tensors(self.optimizers), folder / "optimizers.safetensors")
        if self.averaged.decay:
            on_disk.save_tensors(self.averaged.weights, folder / "averaged.safetensors")
        state = {
            "phase": self.phase, "done": self.done, "places": {n: asdict(p) for n, p in self.places.items()},
            "seconds": self.seconds, "seen": self.seen, "averaged": self.averaged.steps, "history": self.history,
            "config": asdict(self.config), "phases": self.phases,
        }  # fmt: skip
        self.checkpoints.finish(folder, state)

    def _restore(self) -> None:
        newest = self.checkpoints.newest()
        if newest is None:
            self.say(f"{self.checkpoints.folder}: no checkpoint to go on from; training begins anew")
            return
        state = on_disk.read_state(newest)
        if state.get("phases") != self.phases:
            self.say(f"{newest}: is of other phases; these begin anew")
            return
        now = asdict(self.config)
        for name in now.keys() - FREE:
            if state["config"].get(name) != now[name]:
                raise ConfigError(f"{newest}: was made with {name} {state['config'].get(name)!r}, not {now[name]!r}")
        try:
            if state["phase"] != self.phase:
                self._begin_phase(state["phase"])
            self.reader.load_state_dict(on_disk.load_tensors(newest / "model.safetensors"), strict=False)
            on_disk.restore_optimizers(self.optimizers, on_disk.load_tensors(newest / "optimizers.safetensors"))
            if self.averaged.decay:
                self.averaged.restore(state["averaged"], on_disk.load_tensors(newest / "averaged.safetensors"))
            self.done = {phase: int(state["done"].get(phase, 0)) for phase in PHASES}
            self.places = {name: Place(**place) for name, place in state["places"].items()}
            self.seconds, self.seen, self.history = state["seconds"], state["seen"], state["history"]
        except (KeyError, TypeError, RuntimeError) as error:
            raise ConfigError(f"{newest}: does not fit this reader: {' '.join(str(error).split())[:200]}") from None
        self.say(f"going on from {newest}")


class _Losses(torch.nn.Module):
    """The loss of a batch as a module's output, which is what accelerate prepares."""

    def __init__(self, reader: ScoreReader, config: StudentConfig) -> None:
        super().__init__()
        self.reader = reader
        self.ctc_share = config.ctc_share

    def forward(self, *batch: Any, alone: bool = False) -> torch.Tensor:
        """alone: of the encoder alone"""
        reader, share = self.reader, self.ctc_share
        strips, widths, counts, ids, positions, judged = batch
        staves = all(count == 1 for count in counts) and all(start == 1 for start in judged)
        with nullcontext() if staves else torch.no_grad():  # words do not change what is heard
            columns, own = reader.see(strips, widths)
        heard = _ctc(reader, columns, own, ids) if staves and (alone or share) else None
        if alone and heard is not None:
            return heard
        logits = reader.read(
            reader.prefixes(columns, own, counts), [row[:-1] for row in ids], [p[:-1] for p in positions]
        )
        loss = cross_entropy(logits.flatten(0, 1).float(), _targets(ids, judged).flatten(), ignore_index=IGNORED)
        return loss if heard is None else (1 - share) * loss + share * heard


def _ctc(reader: ScoreReader, columns: torch.Tensor, own: torch.Tensor, ids: Sequence[torch.Tensor]) -> torch.Tensor:
    """Nats a token by the encoder alone."""
    heard = reader.ctc_head(columns).float().log_softmax(-1).transpose(0, 1)  # (columns, texts, vocabulary)
    said = [row[1:-1] for row in ids]  # between the first "|" and the end
    lengths = torch.tensor([len(row) for row in said])
    nats = ctc_loss(heard, torch.cat(said), own.cpu(), lengths, blank=0, reduction="none", zero_infinity=True)
    return (nats / lengths.to(nats.device)).mean()


def _heard(reader: ScoreReader, batch: tuple[Any, ...]) -> dict[str, float]:
    """Tokens, and how many must be changed of those that the encoder alone finds likeliest in each column."""
    from rapidfuzz.distance import Levenshtein

    strips, widths, _, ids, _, _ = batch
    columns, own = reader.see(strips, widths)
    best = reader.ctc_head(columns).argmax(-1).tolist()
    errors = count = 0
    for row, length, known in zip(best, own.tolist(), ids):
        said = [token for token, _ in groupby(row[:length]) if token != 0]
        errors += Levenshtein.distance(said, known[1:-1].tolist())
        count += len(known) - 2
    return {"errors": errors, "heard": count}


def _said(reader: ScoreReader, batch: tuple[Any, ...]) -> dict[str, float]:
    """Nats, and how many tokens would have been said, the text before each of them given."""
    logits, targets = predictions(reader, batch)
    known = targets != IGNORED
    nats = cross_entropy(logits.flatten(0, 1).float(), targets.flatten(), ignore_index=IGNORED, reduction="sum")
    return {
        "nats": float(nats), "right": int(((logits.argmax(-1) == targets) & known).sum()), "said": int(known.sum()),
    }  # fmt: skip


def _targets(ids: Sequence[torch.Tensor], judged: Sequence[int]) -> torch.Tensor:
    rows = [torch.cat([torch.full((start - 1,), IGNORED), row[start:].cpu()]) for row, start in zip(ids, judged)]
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=IGNORED).to(ids[0].device)


def predictions(reader: ScoreReader, batch: tuple[Any, ...]) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits and targets of a batch, (texts, time, vocabulary) and (texts, time)."""
    strips, widths, counts, ids, positions, judged = batch
    columns, own = reader.see(strips, widths)
    prefixes = reader.prefixes(columns, own, counts)
    return reader.read(prefixes, [row[:-1] for row in ids], [p[:-1] for p in positions]), _targets(ids, judged)


def about(folder: str | Path) -> dict[str, Any]:
    """reader.json of a folder."""
    found: dict[str, Any] = json.loads((Path(folder) / "reader.json").read_text(encoding="utf-8"))
    return found

"""Records -> questions -> replies -> good answers, and a count of what was refused."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice

from vlm.data.answers import Replies, digest, key, write_good
from vlm.data.record import Record, read_split
from vlm.teacher.config import TeacherConfig
from vlm.teacher.doors import NoReply, Teacher, open_door
from vlm.teacher.judge import Refused, judged
from vlm.teacher.prompts import asked


@dataclass
class Report:
    """How many answers are good, of each split, phase and task, and why the others are not."""

    good: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    new: int = 0  # replies that were not there before

    def lines(self) -> Iterator[str]:
        for (split, phase, task), count in sorted(self.good.items()):
            yield f"{split}\t{phase}\t{task}\t{count}"
        for cause, count in self.refused.most_common():
            yield f"refused\t{cause}\t{count}"


def ask_all(config: TeacherConfig, teacher: Teacher | None = None) -> Report:
    """Ask for all records of the settings; see the module. Raises ScorelmError where the teacher answers no more.

    What was replied until then is kept, and the next call goes on behind it.
    """
    replies = Replies(config.output_dir)
    teacher = teacher or open_door(config)
    report = Report()
    for split in config.listed("splits"):
        rows: list[dict[str, str]] = []
        for record, reply in _each(config, teacher, replies, split, report):
            try:
                answer = judged(record, reply)
            except Refused as cause:
                report.refused[str(cause)] += 1
                continue
            report.good[split, record.phase, record.task] += 1
            name = key(record.source, record.prompt, record.answer)
            rows.append({"key": name, "source": record.source, "model": teacher.name, "answer": answer})
        write_good(config.output_dir, split, rows)
    return report


def _each(
    config: TeacherConfig, teacher: Teacher, replies: Replies, split: str, report: Report
) -> Iterator[tuple[Record, str]]:
    """The records that got a reply, with it, in order; a few are asked for at once."""
    from tqdm import tqdm

    phases = config.listed("phases")
    chosen = (record for record in read_split(config.dataset_dir, split) if record.phase in phases)
    records = islice(chosen, config.limit or None)
    with (
        ThreadPoolExecutor(teacher.parallel) as pool,
        tqdm(records, split, unit="record", file=sys.stderr, disable=None) as bar,
    ):
        waiting: list[tuple[Record, Future[str]]] = []
        try:
            for record in bar:
                waiting.append((record, pool.submit(_reply, config, teacher, replies, record, report)))
                if len(waiting) >= 2 * teacher.parallel:
                    yield from _done(waiting.pop(0), report)
            while waiting:
                yield from _done(waiting.pop(0), report)
        finally:
            for _, future in waiting:
                future.cancel()


def _done(one: tuple[Record, Future[str]], report: Report) -> Iterator[tuple[Record, str]]:
    record, future = one
    try:
        yield record, future.result()
    except NoReply as cause:
        report.refused[str(cause)] += 1


def _reply(config: TeacherConfig, teacher: Teacher, replies: Replies, record: Record, report: Report) -> str:
    """The reply that is kept, or a new one."""
    words = asked(record, config.show_score)
    settings = {"max_tokens": config.max_tokens, "temperature": config.temperature}
    if config.teacher == "transformers":
        settings |= {"load_in_4bit": config.load_in_4bit}
    image = digest(record.image)
    about = {"model": teacher.name, "revision": config.revision, "settings": settings, "image": image, "prompt": words}
    if config.teacher == "none":
        about["answer"] = record.answer
    name = digest(json.dumps(about, sort_keys=True))
    found = replies.known.get(name)
    if found is not None:
        return str(found["reply"])
    reply = teacher.reply(record, words)
    replies.add({"key": name, "source": record.source, **about, "reply": reply})
    report.new += 1
    return reply

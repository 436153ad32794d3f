"""Rows -> figures: rates of all rows and of groups of them, with bootstrap intervals over pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from statistics import median
from typing import Any, TypeVar

from scorelm.likelihood import RESAMPLES, resampled
from vlm.data.facts import FIELDS
from vlm.evaluation.rows import Answered, Extracted, Row, Transcribed
from vlm.evaluation.transcriptions import Edits

R = TypeVar("R", bound=Row)
UNKNOWN = "unknown"
COUNTED = {
    "ser": "edits of lexemes of canonical core text, behind the first '|', in the lexemes that are there",
    "cer": "the same of characters",
    "ler": "the same of lines, which are measures of all parts",
    "omr_ned": "musicdiff's edits in the symbols of both scores",
    "converts": "something was read on each staff; saved as MusicXML and read again it has every measure full",
    "wrong": "pictures without staves, texts that do not parse and answers without the field: all are counted as wrong",
    "meteor": "matches of words and stems, no synonyms",
    "intervals": "95 %, pictures drawn with replacement",
}


def figures(rows: Sequence[Row], seed: int = 0, resamples: int = RESAMPLES) -> dict[str, Any]:
    """``transcription``, ``fields`` and ``words``, each where there are such rows."""
    out: dict[str, Any] = {"records": len(rows), "counted": COUNTED}
    read = [row for row in rows if isinstance(row, Transcribed)]
    asked = [row for row in rows if isinstance(row, Extracted)]
    said = [row for row in rows if isinstance(row, Answered)]
    if read:
        out["transcription"] = _grouped(read, lambda some: transcription(some, seed, resamples))
    if read or asked:
        out["fields"] = {"of_pictures": _facts(read), "of_questions": _grouped(asked, fields) if asked else {}}
    if said:
        out["words"] = _grouped(said, words)
    return out


def transcription(rows: Sequence[Transcribed], seed: int, resamples: int) -> dict[str, Any]:
    """Rates of some rows."""
    out: dict[str, Any] = {"pictures": len(rows)}
    for name, found in (
        ("ser", [row.symbols for row in rows]), ("cer", [row.characters for row in rows]),
        ("ler", [row.lines for row in rows]), ("omr_ned", [row.ned for row in rows if row.ned is not None]),
    ):  # fmt: skip
        if found:
            out[name] = rate(found)
            out[f"{name}_95"] = interval(found, seed, resamples)
    out["exact"] = _share(row.exact for row in rows)
    out["converts"] = _share(not row.fails for row in rows)
    out["staves_found"] = _share(row.staves for row in rows)
    out["seconds_median"] = median(row.seconds for row in rows)
    out["fails"] = dict(Counter(row.fails for row in rows if row.fails).most_common())
    return out


def rate(found: Sequence[Edits]) -> float:
    """Edits of all in units of all. Above 1 where more was written than is there."""
    return sum(e.count for e in found) / max(1, sum(e.of for e in found))


def interval(found: Sequence[Edits], seed: int, resamples: int = RESAMPLES) -> list[float]:
    """The 95 % bootstrap interval of ``rate``."""
    import numpy as np

    sums = resampled(np.random.default_rng(seed), np.array([(e.count, e.of) for e in found], float), resamples)
    return [float(x) for x in np.percentile(sums[:, 0] / np.maximum(1, sums[:, 1]), (2.5, 97.5))]


def fields(rows: Sequence[Extracted]) -> dict[str, Any]:
    """Of each field how often it was asked for, and how often it was right: in all, and where the picture shows one."""
    names = [name for row in rows for name in row.shown]
    out: dict[str, Any] = {"pictures": len(rows)}
    for name in sorted(set(names), key=lambda n: (FIELDS.index(n) if n in FIELDS else len(FIELDS), n)):
        some = [row for row in rows if name in row.shown]
        shown = [row for row in some if row.shown[name]]
        out[name] = {"asked": len(some), "shown": len(shown)}
        for way in ("by_transcription", "by_words"):
            out[name][way] = _share(getattr(row, way)[name] for row in some)
            out[name][f"{way}_where_shown"] = _share(getattr(row, way)[name] for row in shown)
    return out


def _facts(rows: Sequence[Transcribed]) -> dict[str, Any]:
    """By task, of each fact of a transcribed picture how often its text says the same."""
    out: dict[str, Any] = {}
    for task, some in _parted(rows, lambda row: row.task).items():
        out[task] = {"pictures": len(some)}
        for name in FIELDS:
            there = [row for row in some if name in row.fields]
            if there:
                shown = [row.fields[name] for row in there if row.shown[name]]
                out[task][name] = {
                    "right": _share(row.fields[name] for row in there), "shown": len(shown), "right_where_shown": _share(shown),
                }  # fmt: skip
    return out


def words(rows: Sequence[Answered]) -> dict[str, Any]:
    """Means of some rows."""
    return {
        "answers": len(rows),
        "rouge_l": sum(row.rouge_l for row in rows) / len(rows),
        "meteor": sum(row.meteor for row in rows) / len(rows),
        "facts_right": _share(not row.wrong for row in rows),
        "exact": _share(row.exact for row in rows),
        "wrong": dict(Counter(row.wrong for row in rows if row.wrong).most_common()),
    }


def _grouped(rows: Sequence[R], count: Callable[[Sequence[R]], dict[str, Any]]) -> dict[str, Any]:
    """The figures of all rows, and by task, condition, engraver, and by task and condition."""

    def by(key: Callable[[R], str]) -> dict[str, Any]:
        return {name: count(some) for name, some in _parted(rows, key).items()}

    return {
        "all": count(rows),
        "by_task": by(lambda row: row.task),
        "by_condition": by(lambda row: row.condition or UNKNOWN),
        "by_engraver": by(lambda row: row.engraver or UNKNOWN),
        "by_task_and_condition": by(lambda row: f"{row.task}, {row.condition or UNKNOWN}"),
    }


def _parted(rows: Sequence[R], key: Callable[[R], str]) -> dict[str, list[R]]:
    out: dict[str, list[R]] = {}
    for row in rows:
        out.setdefault(key(row), []).append(row)
    return dict(sorted(out.items()))


def _share(found: Iterable[bool]) -> float | None:
    """None of nothing."""
    values = list(found)
    return sum(values) / len(values) if values else None

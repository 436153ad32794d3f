"""The figures of vlm.evaluate as tables to read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from vlm.data.facts import FIELDS

WIDTH = 20  # of the first column


def table(found: dict[str, Any]) -> str:
    lines = [f"{found['model']} on {found['dataset']}, {found['split']}: {found['records']} records"]
    if "transcription" in found:
        lines += ["", *_transcription(found["transcription"])]
    if found.get("fields", {}).get("of_pictures"):
        lines += ["", *_facts(found["fields"]["of_pictures"])]
    if found.get("fields", {}).get("of_questions"):
        lines += ["", *_questions(found["fields"]["of_questions"]["all"])]
    if "words" in found:
        lines += ["", *_words(found["words"])]
    lines += [
        "",
        "What cannot be read counts as wrong; nothing is left out. Intervals: 95 %, pictures drawn with replacement.",
    ]
    return "\n".join(lines)


def _transcription(groups: dict[str, Any]) -> Iterator[str]:
    heads = ("pictures", "SER", "95 %", "CER", "LER", "OMR-NED", "exact", "converts", "staves", "seconds")
    yield _line("transcription", heads)
    for name, row in _rows(groups):
        low, high = row["ser_95"]
        cells = [str(row["pictures"]), percent(row["ser"]), f"{100 * low:.1f}-{100 * high:.1f}"]
        cells += [percent(row.get(key)) for key in ("cer", "ler", "omr_ned", "exact", "converts", "staves_found")]
        yield _line(name, [*cells, f"{row['seconds_median']:.2f}"])
    for why, count in list(groups["all"]["fails"].items())[:5]:
        yield f"  {count} do not convert: {why}"


def _facts(tasks: dict[str, Any]) -> Iterator[str]:
    """A field that no picture of a task shows has no figure there."""
    yield _line("facts by the text", [f"{task} ({found['pictures']})" for task, found in tasks.items()], 14)
    for name in FIELDS:
        rows = [found.get(name, {"shown": 0}) for found in tasks.values()]
        if any(row["shown"] for row in rows):
            yield _line(f"  {name}", [percent(row["right"] if row["shown"] else None) for row in rows], 14)


def _questions(found: dict[str, Any]) -> Iterator[str]:
    yield _line("fields asked for", ("asked", "by text", "by words", "shown", "by text", "by words"))
    for name, row in found.items():
        if name != "pictures":
            rates = [percent(row[way]) for way in ("by_transcription", "by_words")]
            where = [percent(row[f"{way}_where_shown"]) for way in ("by_transcription", "by_words")]
            yield _line(f"  {name}", [str(row["asked"]), *rates, str(row["shown"]), *where])


def _words(groups: dict[str, Any]) -> Iterator[str]:
    yield _line("words", ("answers", "ROUGE-L", "METEOR", "facts", "exact"))
    for name, row in _rows(groups):
        cells = [f"{row[key]:.3f}" for key in ("rouge_l", "meteor")]
        yield _line(name, [str(row["answers"]), *cells, percent(row["facts_right"]), percent(row["exact"])])


def _rows(groups: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "  all", groups["all"]
    for name in ("by_task_and_condition", "by_engraver"):
        for group, row in groups[name].items():
            yield f"  {group}", row


def percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def _line(name: str, cells: Sequence[str], width: int = 10) -> str:
    return f"{name:<{WIDTH}}" + "".join(f"{cell:>{max(width, len(cell) + 1)}}" for cell in cells)

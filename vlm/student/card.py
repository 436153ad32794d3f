"""The model card that stands in a reader's folder."""

from __future__ import annotations

from typing import Any

from vlm.student.config import StudentConfig

FIGURES = {
    "encoder_errors": "{:.2%} errors by the encoder alone",
    "nats_per_token": "{:.4f} nats a token",
    "tokens_right": "{:.2%} right, the text before them given",
}


def figures_of(row: dict[str, Any]) -> str:
    """What was measured while it learnt, in words."""
    return ", ".join(form.format(row[name]) for name, form in FIGURES.items() if name in row)


def reader_card(config: StudentConfig, notes: dict[str, Any]) -> str:
    """Markdown: what the reader is, what it learnt from, and how it was judged while it learnt."""
    rows = [f"| {row['phase']} | {row['step']} | {row['samples']} | {figures_of(row)} |" for row in notes["history"]]
    return "\n".join(
        [
            "---", "license: apache-2.0", "tags: [music, score, omr, gpt-neox]", "---", "",
            f"# A reader of staves, {notes['parameters'] / 1e6:.2f} million parameters", "",
            "Reads a picture of a staff into score text. Written by `python -m vlm.distill`; its settings stand in",
            "reader.json. It knows what its training pictures show, which were engraved by program: no handwriting.", "",
            "| phase | step | samples seen | on validation |",
            "| --- | --- | --- | --- |", *rows, "",
        ]
    )  # fmt: skip

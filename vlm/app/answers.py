"""What is computed from the score that was read, as an answer to a question in words."""

from __future__ import annotations

import numpy as np

from scorelm.notation.reader import parse
from vlm.data.facts import View, fields_of
from vlm.data.questions import TOPICS, ask, hear

EXAMPLES = (
    "What key is this music in?",
    "Describe the rhythm.",
    "Which chord stands first?",
    "Where do the phrases end, and with which cadences?",
    "Which articulations are marked?",
    "Which dynamics are marked?",
    "Describe the texture.",
    "Give as a JSON object: title, composer, tempo, key_signature, time_signature, clefs, parts and measures. "
    "Use null for what is not shown.",
)
_WORDS = {
    "key": "key tonality sharp flat", "rhythm": "rhythm value tuplet dotted", "harmony": "harmon chord triad",
    "cadences": "cadence phrase fermata", "articulations": "articulation staccato played",
    "dynamics": "dynamic loud soft forte piano", "range": "range high low", "texture": "texture voices contrapuntal",
}  # fmt: skip


def computed(text: str, question: str) -> str:
    """The fields of a score, and what of it bears on the question; all that is known where no topic is named."""
    score = parse(text)
    if not score.measures:
        return ""
    view = View(score)
    fields = {name: value for name, value in fields_of(view).items() if value is not None}
    lines = ["; ".join(f"{name.replace('_', ' ')}: {_said(value)}" for name, value in fields.items())]
    found = ask(hear(view, score, score), np.random.default_rng(0), len(TOPICS))
    asked = [q for q in found if any(word in question.lower() for word in _WORDS[q.topic].split())]
    return "\n".join([*lines, *(q.answer for q in asked or found)])


def _said(value: object) -> str:
    return ", ".join(str(item or "none") for item in value) if isinstance(value, list) else str(value)

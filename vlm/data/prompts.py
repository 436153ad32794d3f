"""The wordings of what is asked."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

TRANSCRIBE = {
    "staff": (
        "Transcribe this staff as score text.", "Write the notes of this staff as score text.",
        "Read the staff. Answer in score text.",
    ),
    "system": (
        "Transcribe this system as score text.", "Write down all staves of this system as score text.",
        "Read the system. Answer in score text.",
    ),
    "page": (
        "Transcribe this page as score text.", "Write the music of the whole page as score text.",
        "Read the page. Answer in score text.",
    ),
    "excerpt": (
        "Transcribe this excerpt as score text.", "Write the music on this picture as score text.",
        "Read the music. Answer in score text.",
    ),
}  # fmt: skip
_FIELDS = (
    "Give as a JSON object: {names}. Use null for what is not shown.",
    "Extract {names} from this picture as JSON; null where the picture does not say.",
    "Fill in {names}. Answer with a JSON object, null for what is missing.",
    "Which {names} does the picture show? Answer in JSON, with null for what it does not show.",
)


def transcribe(task: str, rng: np.random.Generator) -> str:
    """The question for score text of a staff, a system, a page or an excerpt."""
    wordings = TRANSCRIBE[task]
    return wordings[int(rng.integers(len(wordings)))]


def extract_fields(names: Sequence[str], rng: np.random.Generator) -> str:
    """The question for some fields."""
    listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    return _FIELDS[int(rng.integers(len(_FIELDS)))].format(names=listed)

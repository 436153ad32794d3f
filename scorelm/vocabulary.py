"""The tokens of a model of the project, by their ids, each as the lexemes that it is.

A cut says how a text is cut into tokens: "lexemes" as they are, or "joined", where a duration and the pitch behind it
are one token. A model keeps the table that it was trained with in its tokenizer.json, so lexemes that are added to the
list later change nothing for it: it never sees or writes them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from scorelm.errors import ConfigError
from scorelm.notation.lexemes import IDS, LEXEMES, PITCHES, cut
from scorelm.notation.pitches import PITCH_OF

# what scores use; anything else is two tokens
JOINED_DURATIONS = ("W", "w.", "w", "h.", "h", "q.", "q", "i.", "i", "s.", "s", "t")
JOINED_PITCHES = tuple(pitch for pitch in PITCHES if 2 <= PITCH_OF[pitch][1] <= 6)
JOINED = tuple(duration + pitch for duration in JOINED_DURATIONS for pitch in JOINED_PITCHES)
CUTS: dict[str, tuple[str, ...]] = {"lexemes": (), "joined": JOINED}  # tokens beside the lexemes


class Vocabulary:
    """``tokens[id]`` is a tuple of lexemes; ``ids`` finds a token by its spelling."""

    def __init__(self, ids: Mapping[str, int]) -> None:
        """ConfigError where a token is not made of this version's lexemes, or ids are missing."""
        spelled = sorted(ids, key=ids.__getitem__)
        if [ids[token] for token in spelled] != list(range(len(spelled))):
            raise ConfigError("its tokens have no ids from 0 on")
        self.ids = dict(ids)
        self.tokens = tuple((token,) if token in IDS else tuple(cut(token)) for token in spelled)
        for token, lexemes in zip(spelled, self.tokens):
            if any(lexeme not in IDS for lexeme in lexemes):
                raise ConfigError(f"its token {token!r} is not made of the lexemes of this version")

    @classmethod
    def of_cut(cls, name: str) -> Vocabulary:
        return cls({token: i for i, token in enumerate((*LEXEMES, *CUTS[name]))})

    @classmethod
    def read(cls, folder: str | Path) -> Vocabulary:
        """The table of a model's folder. ConfigError where there is none that this version knows."""
        path = Path(folder) / "tokenizer.json"
        try:
            return cls(json.loads(path.read_text(encoding="utf-8"))["model"]["vocab"])
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ConfigError(f"{path}: cannot be read: {error}") from None

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def joined(self) -> tuple[str, ...]:
        """The tokens that are several lexemes."""
        return tuple(token for token, i in self.ids.items() if len(self.tokens[i]) > 1)

    def fingerprint(self) -> str:
        """What a model's config.json says in scorelm_vocabulary."""
        return fingerprint(sorted(self.ids, key=self.ids.__getitem__))


def fingerprint(tokens: list[str]) -> str:
    return hashlib.sha256("\n".join(tokens).encode()).hexdigest()[:16]

"""Guidance: a text is led back to the key that it says, and those who sing it go each their own way.

A model that was taught measure by measure forgets where home is: what begins in a minor goes on in C. Here a small judge
listens beside it, who knows nothing but how often each degree of a major and of a minor key is sung, and tells which key
the last notes are likely in (naive Bayes). A pitch is made likelier by what it would say for the key that is asked for,
less what it says for those that are heard: music that is at home is let alone, and the farther it has gone, the more it is
drawn back. It is guidance by a discriminator (Yang & Klein, FUDGE, 2021), token by token. And where several sing, what
strict voice leading would refuse them (``bound.strict``) is made less likely, the more of it there was of late: Bach writes
it, too, but seldom.

How likely all pitches are together does not change, so that values, rests and barlines come as the model means them.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from scorelm.analysis.lines import Line
from scorelm.analysis.voice_leading import voice_leading
from scorelm.bound.home import SIGNATURES, Home, fifths_of, pitch_of
from scorelm.notation.lexemes import cut
from scorelm.notation.pitches import ALTER_OF, PITCH_OF

# how often each place on the line of fifths is sung, from the tonic of the signature's major key: the chorales of the
# training split whose notes are in the key that they say, 87 and 69 (scripts/key_profiles.py)
FLATTEST = -3
MAJOR = (15, 256, 2278, 4438, 4586, 3168, 2588, 3473, 2031, 388, 153, 170, 21, 0)
MINOR = (6, 102, 1103, 2128, 1499, 2011, 2833, 2852, 1754, 381, 229, 630, 89, 0)
SELDOM = 3e-4  # of all others
PROFILES = {"major": MAJOR, "ionian": MAJOR, "minor": MINOR, "aeolian": MINOR}

LISTENS = 32  # notes: behind so many a note counts half
FORBIDDEN = 1.0  # nats that a pitch loses which strict voice leading refuses, as much more for each sung of late
TOGETHER = 0.05  # of the pairs of voices that move together: where more are parallel in given music, so it is meant
DEPENDENCE = 0.3  # what a note counts: its neighbours say much of the same

_LOWEST, _HIGHEST = -15, 20  # pitches on the line of fifths
Key = tuple[int, str]  # sharps of the signature, or flats below 0; major or minor


def _logs(profile: Sequence[int], signature: int) -> list[float]:
    """How likely each place from ``_LOWEST`` is in a key."""
    found = [SELDOM] * (_HIGHEST - _LOWEST)
    for degree, count in enumerate(profile, FLATTEST + signature - _LOWEST):
        found[degree] += count / sum(profile)
    return [float(x) for x in np.log(np.array(found) / sum(found))]


KEYS = [(signature, mode) for signature in range(-7, 8) for mode in ("major", "minor")]
_LIKELY = np.array([_logs(PROFILES[mode], signature) for signature, mode in KEYS])  # (keys, places)
_SHARES = np.exp(_LIKELY)


def are_parallel(given: Sequence[Line]) -> bool:
    """Whether the voices of given music move in fifths or octaves so often that those to come may."""
    found = voice_leading(given)
    return found["fifths"] + found["octaves"] > max(2, TOGETHER * found["moving_pairs"])


class Guidance:
    """Follows a text by its lexemes, and leads it home where a major or minor key is said.

    tokens: the lexemes of each; those that end with a pitch are guided
    strength: 1 is what the judge's odds say, 0 leaves the model as it is
    """

    def __init__(self, tokens: Sequence[Sequence[str]], strength: float) -> None:
        self.strength = strength
        last = [lexemes[-1] if lexemes else "" for lexemes in tokens]
        self.places = np.array([fifths_of(pitch_of(x)) - _LOWEST if x in PITCH_OF else -1 for x in last])
        self.home = Home()
        self.assumed: Key | None = None  # where a signature says no mode
        self.heard = np.zeros(_HIGHEST - _LOWEST)  # notes at each place, the older ones less
        self.sung = self.heard  # all of them
        self.alter: int | None = None  # of a sign that is a lexeme of its own
        self.quoted = False
        self.broken = 0.0  # notes that were forbidden, the older ones less
        self.part = 0
        self.elsewhere: frozenset[int] = frozenset()  # parts of another signature, which sound otherwise

    def copy(self) -> Guidance:
        return copy.copy(self)

    def push(self, lexeme: str) -> None:
        if lexeme == '"':
            self.quoted = not self.quoted
        if self.quoted:
            return
        home = self.home = self.home.push(lexeme)
        if lexeme in SIGNATURES and home.key:
            here = frozenset((self.part,))
            self.elsewhere = self.elsewhere - here if home.signature == home.key[0] else self.elsewhere | here
        elif lexeme == ";":
            self.part += 1
        elif lexeme == "|":
            self.part = 0
        elif lexeme in ALTER_OF:
            self.alter = ALTER_OF[lexeme]
        elif lexeme in PITCH_OF:
            self.broken *= 0.5 ** (1 / LISTENS)
            if self.part not in self.elsewhere:
                note = np.arange(len(self.sung)) == fifths_of(pitch_of(lexeme, self.alter)) - _LOWEST
                self.heard, self.sung = self.heard * 0.5 ** (1 / LISTENS) + note, self.sung + note
            self.alter = None

    def behind(self, text: str) -> Guidance:
        """One of its own that has followed a text from here on."""
        out = self.copy()
        for lexeme in cut(text):
            out.push(lexeme)
        return out

    def likeliest(self) -> Key | None:
        """The key that all notes so far are likeliest in; None where there are none."""
        return KEYS[int(np.argmax(_LIKELY @ self.sung))] if self.sung.any() else None

    def keeps_home(self) -> bool:
        """Whether it is the one that is said, or of its signature where no mode is said. What says another one, as many
        files do, is not to be led there."""
        likeliest = self.likeliest()
        if likeliest is None:
            return True
        signature, mode = self.home.key or (None, "")
        return likeliest[0] == signature and PROFILES.get(mode or likeliest[1]) is PROFILES[likeliest[1]]

    def _target(self) -> int | None:
        """The number of the key that it leads to here; None where it does not."""
        key = self.home.key
        if key and not key[1] and self.assumed and self.assumed[0] == key[0]:
            key = self.assumed
        if key is None or key[1] not in PROFILES or self.part in self.elsewhere or self.alter is not None:
            return None
        return KEYS.index((key[0], "minor" if PROFILES[key[1]] is MINOR else "major"))

    def guided(self, logits: Any, ids: Any, forbidden: Sequence[int] = ()) -> Any:
        """The logits of some tokens, (choices,), the pitches among them led.

        forbidden: ids of those that strict voice leading refuses
        """
        places = self.places[ids]
        pitches = places >= 0
        if pitches.sum() < 2:
            return logits
        weight = FORBIDDEN * (1 + self.broken)
        pull = self.strength * (self._home(places[pitches]) - weight * np.isin(ids[pitches], forbidden))
        if not pull.any():
            return logits
        meant = np.exp(logits[pitches] - logits[pitches].max(), dtype=np.float64)
        out = np.array(logits, np.float64)
        out[pitches] += pull - np.log((meant * np.exp(pull)).sum() / meant.sum())
        return out

    def _home(self, places: Any) -> Any:
        """What leads some places home, (places,), in nats; nothing where no key is said."""
        target = self._target()
        if target is None:
            return np.zeros(len(places))
        believed = DEPENDENCE * (_LIKELY @ self.heard)
        believed = np.exp(believed - believed.max())
        return (_LIKELY[target] - np.log(believed @ _SHARES / believed.sum()))[places]

"""What is heard -> how each pitch that may come next stands to it: its intervals.

That the soprano sings g now, and sang f when the alto sang B, is heard (``notation.heard``). Whether a c would make a
third with it, or parallel fifths, is another question for each pitch that may come; as the answers are the same in all
keys, they are worked out here. Each interval has a row of a table, with which the student says how likely it is there;
those of a pitch are summed and added to what the student says of the pitch itself.

    ROWS      of that table
    PITCHES   the pitches of which this is known, as lexemes
    Related   what is heard -> the rows of their intervals
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from operator import mul
from typing import Any

import numpy as np

from scorelm import recalled
from scorelm.errors import ConfigError
from scorelm.notation import heard
from scorelm.notation.heard import FEATURES, FIFTHS, NEIGHBOURS, OTHER, STARTS, STEPS, VALUES

HEARS = "scorelm_heard"  # of a model's config: the fingerprint of what it hears
RELATES = "scorelm_related"  # and of the intervals that it knows
SHARE = 1 / 8  # of a sum that is added: it has some twenty terms, each of which learns as fast as a pitch's own row
TO = ("pitch", "pitch-before", *(f"{way}-{k}" for way in ("above", "below") for k in NEIGHBOURS), "doubled")
_MOST_STEPS = 14  # of an interval, down and up
_MOST_FIFTHS = 9
_MOST_DEGREE = 15  # fifths from the tonic of the key signature's major key

PITCHES = tuple(VALUES)
_LOWEST, _HIGHEST = min(STEPS[p] for p in PITCHES), max(STEPS[p] for p in PITCHES)
_FLATTEST, _SHARPEST = min(FIFTHS[p] for p in PITCHES), max(FIFTHS[p] for p in PITCHES)
STEP_OF = np.array([STEPS[p] - _LOWEST for p in PITCHES])  # of each of PITCHES, from the lowest
FIFTH_OF = np.array([FIFTHS[p] - _FLATTEST for p in PITCHES])  # its place on the line of fifths

_PLACES = len(TO), len(TO), len(NEIGHBOURS), 1  # intervals in steps, in fifths, parallels, degrees
_SIZES = 2 * _MOST_STEPS + 1, 2 * _MOST_FIFTHS + 1, 2 * _MOST_FIFTHS + 1, 2 * _MOST_DEGREE + 1
_BY_STEP, _BY_FIFTH, _BY_PARALLEL, _BY_DEGREE, ROWS = accumulate(map(mul, _PLACES, _SIZES), initial=0)
NOTHING = ROWS  # the number of no row


def _rows(places: np.ndarray[Any, Any], count: int, most: int, start: int) -> np.ndarray[Any, Any]:
    """(pitch values, count) the row of the interval from each value of a feature up to each of so many places; without
    that of the first feature."""
    out = np.full((OTHER + 1 + len(PITCHES), count), NOTHING)
    intervals = np.clip(np.arange(count) - places[:, None], -most, most)
    out[OTHER + 1 :] = start + intervals + most
    return out


def _stacked(rows: np.ndarray[Any, Any], size: int) -> np.ndarray[Any, Any]:
    """The same for each of TO, whose rows stand behind each other."""
    return np.stack([np.where(rows == NOTHING, NOTHING, rows + number * size) for number in range(len(TO))])


class Related:
    """Works on numpy's arrays, or on others.

    tokens: of a vocabulary, each as its lexemes; those that end with one of PITCHES are judged by it
    array: makes of a table what arrays are to be
    take: numpy's ``take_along_axis`` of them
    """

    def __init__(
        self,
        tokens: Sequence[Sequence[str]],
        array: Callable[[Any], Any] = np.asarray,
        take: Callable[..., Any] = np.take_along_axis,
    ) -> None:
        steps, fifths = _HIGHEST - _LOWEST + 1, _SHARPEST - _FLATTEST + 1
        degrees = np.arange(fifths) + _FLATTEST - np.arange(-8, 8)[:, None]
        by_key = _BY_DEGREE + np.clip(degrees, -_MOST_DEGREE, _MOST_DEGREE) + _MOST_DEGREE
        by_key[0] = NOTHING
        self.take = take
        self.steps = array(_stacked(_rows(STEP_OF, steps, _MOST_STEPS, _BY_STEP), _SIZES[0]))
        self.fifths = array(_stacked(_rows(FIFTH_OF, fifths, _MOST_FIFTHS, _BY_FIFTH), _SIZES[1]))
        self.degrees = array(by_key)  # (values of a key, fifths)
        self.fifth_of = array(np.concatenate([np.zeros(OTHER + 1, int), FIFTH_OF]))  # of each value of a pitch
        pitches = {pitch: number for number, pitch in enumerate(PITCHES)}
        ending = np.array([pitches.get(lexemes[-1], -1) for lexemes in tokens])
        self.by_step, self.by_fifth = (
            array(SHARE * ((of[ending] == np.arange(count)[:, None]) & (ending >= 0)).astype(np.float32))
            for of, count in ((STEP_OF, steps), (FIFTH_OF, fifths))
        )  # (places, tokens): SHARE where a token ends with a pitch of that place
        self.places, self.numbers = array(np.arange(fifths)), array(np.arange(len(TO)))
        self.parallels = array(_BY_PARALLEL + _SIZES[2] * np.arange(len(NEIGHBOURS)) + _MOST_FIFTHS)
        self.starts = array(np.array(list(STARTS.values())))
        number = {name: number for number, name in enumerate(FEATURES)}
        self.to, self.own, self.key = [number[name] for name in TO], [number["pitch"]], number["key"]
        self.above, self.before = ([number[f"{when}-{k}"] for k in NEIGHBOURS] for when in ("above", "before"))

    def rows(self, shown: Any) -> tuple[Any, Any, Any, Any]:
        """The rows of the intervals to what is heard; NOTHING where there is none.

        shown: (moments, FEATURES), as ``Ear.heard`` has them
        Returns intervals in steps, (moments, TO, steps), on the line of fifths, (moments, TO, fifths), what would be
        parallel, (moments, NEIGHBOURS, fifths), and the place in the key, (moments, 1, fifths). What holds for a pitch
        stands at its STEP_OF and FIFTH_OF.
        """
        values = (shown - self.starts).clip(0)  # padding hears nothing
        to = values[:, self.to]
        own, above, before = values[:, self.own], values[:, self.above], values[:, self.before]
        moved = (own > OTHER) & (above > OTHER) & (before > OTHER) & (above != before)
        interval = self.fifth_of[before] - self.fifth_of[own]
        again = self.fifth_of[above] - interval  # where the part would make the same interval with that part once more
        row = self.parallels + interval.clip(-_MOST_FIFTHS, _MOST_FIFTHS)
        is_there = moved[:, :, None] & (self.places == again[:, :, None])
        parallels = NOTHING + is_there * (row[:, :, None] - NOTHING)
        return (
            self.steps[self.numbers, to],
            self.fifths[self.numbers, to],
            parallels,
            self.degrees[values[:, [self.key]]],
        )

    def added(self, said: Any, shown: Any) -> Any:
        """What is added to the logits of tokens, (moments, tokens).

        said: logits of the rows, (moments, ROWS + 1), the last of which are 0
        """
        steps, *by_fifths = (
            self.take(said, rows.reshape(len(rows), -1), 1).reshape(rows.shape).sum(1) for rows in self.rows(shown)
        )
        return steps @ self.by_step + sum(by_fifths) @ self.by_fifth


def fingerprint() -> str:
    """Of the table: a model that has learnt another one cannot be asked for these intervals."""
    return hashlib.sha256(repr((TO, _PLACES, _SIZES, PITCHES, SHARE)).encode()).hexdigest()[:16]


def rows_behind(name: str, config: Mapping[str, Any]) -> tuple[int, int, int]:
    """How many rows of what is heard, of intervals and of what is recalled stand behind those of a model's tokens, by its
    config.

    Raises ConfigError where it was taught others than this version tells.
    """
    hears, relates, recalls = (config.get(key) for key in (HEARS, RELATES, recalled.RECALLS))
    if hears not in (None, heard.fingerprint()):
        raise ConfigError(f"{name}: was taught to hear other things ({hears}) than this version tells")
    if relates not in (None, fingerprint()):
        raise ConfigError(f"{name}: was taught other intervals ({relates}) than this version tells")
    if recalls not in (None, recalled.fingerprint()):
        raise ConfigError(f"{name}: was taught to recall otherwise ({recalls}) than this version does")
    return heard.ROWS if hears else 0, ROWS if relates else 0, recalled.ROWS if recalls else 0

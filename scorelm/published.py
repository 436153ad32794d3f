"""Published likelihoods of Bach's chorales (the JSB split at sixteenths), to stand beside a model's own.

All are nats per sixteenth step, four voices together. They count the pitches that sound on a grid of sixteenths and
no more: repeated notes are held ones, and there is no spelling, key, metre, barline, fermata, tie or end. scorelm's
figure pays for all of these too. The grid's pieces are those of the same split (229, 76 and 77 pieces; the 232, 76 and
79 scores of ``data/jsb_split.tsv`` are matched to them).
"""

from __future__ import annotations

from dataclasses import dataclass

MUSIC_TRANSFORMER = "Huang et al. 2018, Music Transformer, arXiv:1809.04281, table of JSB Chorales"
TONICNET = "Peracha 2019, TonicNet, arXiv:1911.11775, and the checkpoint of github.com/omarperacha/TonicNet"
VOICES = "a pitch for each of four voices at each step: nats per token x 4"


@dataclass(frozen=True)
class Published:
    """``pieces``: validation, test or unknown."""

    name: str
    nats_per_sixteenth: float
    pieces: str
    counts: str
    source: str


PUBLISHED = (
    Published("Transformer", 4 * 0.417, "validation", VOICES, MUSIC_TRANSFORMER),
    Published(
        "TonicNet",
        5 * 0.317,
        "validation",
        "a chord and four pitches at each step: nats per token x 5, the mean of the pieces' means; the chord is "
        "predicted too, so that this bounds the pitches' own figure from above",
        TONICNET,
    ),
    Published("Music Transformer", 4 * 0.335, "validation", VOICES, MUSIC_TRANSFORMER),
)
NOT_COMPARED = (
    "TonicNet's headline .220 nats per token: its evaluation can leave out the chord tokens while it reads the true "
    "ones, which is conditional on the chords; whether .220 was counted so is not known here.",
    "Coconet's orderless figure: each pitch given a random set of others, past and future.",
)

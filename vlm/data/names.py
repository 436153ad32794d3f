"""Other names for the parts of a score, so that names are read and not guessed from the music."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

LONGEST = 20  # letters
# as they stand in editions of choirs, of chamber music and of cantatas
USUAL = (
    "Soprano,Alto,Tenor,Bass,Baritone,Mezzo-soprano,Treble,S.,A.,T.,B.,Cantus,Altus,Tenore,Bassus,Canto,Basso,Quintus,"
    "Sextus,Superius,Contratenor,Dessus,Haute-contre,Taille,Basse,Sopran,Alt,Bass-Bariton,Voice,Violin,Viola,Violoncello,"
    "Cello,Double Bass,Violino,Violone,Violine,Bratsche,Kontrabass,Violon,Flute,Flauto,Oboe,Oboe d'amore,Oboe da caccia,"
    "Clarinet,Clarinetto,Bassoon,Fagotto,Fagott,Horn,Corno,Trumpet,Tromba,Trompete,Cornetto,Zink,Trombone,Posaune,Tuba,"
    "Timpani,Pauken,Continuo,Organ,Organo,Orgel,Cembalo,Piano,Recorder,Guitar,Lute,Viol,Viola da gamba"
).split(",")
NUMBERS = (
    (" 1", " 2", " 3", " 4"),
    (" I", " II", " III", " IV"),
    (" I.", " II.", " III.", " IV."),
    ("1", "2", "3", "4"),
)


def names(parts: int, rng: np.random.Generator) -> list[str]:
    """Names for so many parts: of instruments and voices in four languages, some of them numbered."""
    numbers = NUMBERS[int(rng.integers(len(NUMBERS)))]
    found: list[str] = []
    while len(found) < parts:
        among: Sequence[str] = USUAL if rng.random() < 0.7 else names_of_instruments()
        name = among[int(rng.integers(len(among)))]
        desks = int(rng.integers(2, len(numbers) + 1)) if rng.random() < 0.3 else 1
        found += [name + number for number in numbers[:desks]] if desks > 1 else [name]
    if rng.random() < 0.1:
        found = [name.upper() for name in found]
    return found[:parts]


@functools.cache
def names_of_instruments() -> tuple[str, ...]:
    """As music21 knows them, in English, French, German and Italian; those that sound text can hold."""
    from music21.languageExcerpts import instrumentLookup as lookup

    known = {
        name
        for names in (
            lookup.englishToClassName, lookup.frenchToClassName, lookup.germanToClassName, lookup.italianToClassName,
        )
        for name in names
        if len(name) <= LONGEST and name.isascii()
    }  # fmt: skip
    return tuple(sorted(name[0].upper() + name[1:] for name in known))

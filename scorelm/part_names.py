"""Other names for the parts of a score: for images, so that names are read and not guessed from the music, and for
texts, so that names are no surprise."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import numpy as np

from scorelm.analysis.lines import role_of

# as they stand in editions of choirs, of chamber music and of cantatas
USUAL = (
    "Soprano,Alto,Tenor,Bass,Baritone,Mezzo-soprano,Treble,S.,A.,T.,B.,Cantus,Altus,Tenore,Bassus,Canto,Basso,Quintus,"
    "Sextus,Superius,Contratenor,Dessus,Haute-contre,Taille,Basse,Sopran,Alt,Bass-Bariton,Voice,Violin,Viola,Violoncello,"
    "Cello,Double Bass,Violino,Violone,Violine,Bratsche,Kontrabass,Violon,Flute,Flauto,Oboe,Oboe d'amore,Oboe da caccia,"
    "Clarinet,Clarinetto,Bassoon,Fagotto,Fagott,Horn,Corno,Trumpet,Tromba,Trompete,Cornetto,Zink,Trombone,Posaune,Tuba,"
    "Timpani,Pauken,Continuo,Organ,Organo,Orgel,Cembalo,Piano,Recorder,Guitar,Lute,Viol,Viola da gamba"
).split(",")
SYLLABLES = (
    "ba be ci co da do el en fa fi ga go gue ha hor in ja ka kla lo lu ma mi no or pa phon qui ra ro sa si tam to tru u vi"
    " wo xi yo zin"
).split()
NUMBERS = (
    (" 1", " 2", " 3", " 4"),
    (" I", " II", " III", " IV"),
    (" I.", " II.", " III.", " IV."),
    ("1", "2", "3", "4"),
)
JOINTS = (" ", ", ", "\n", " & ", "/", " e ")  # of names that stand for one part


def names(parts: int, rng: np.random.Generator, invented: float = 0.3) -> list[str]:
    """Names for so many parts: of instruments and voices in four languages or invented, some of them numbered."""
    numbers = NUMBERS[int(rng.integers(len(NUMBERS)))]
    found: list[str] = []
    while len(found) < parts:
        name = USUAL[int(rng.integers(len(USUAL)))] if rng.random() < 1 - invented else invented_word(rng)
        desks = int(rng.integers(2, len(numbers) + 1)) if rng.random() < 0.3 else 1
        found += [name + number for number in numbers[:desks]] if desks > 1 else [name]
    if rng.random() < 0.1:
        found = [name.upper() for name in found]
    return found[:parts]


def shared_names(own: Sequence[str], rng: np.random.Generator) -> list[str]:
    """Names for parts of which some play together what a voice sings ("Soprano, Violin 1"), as scores of cantatas have
    them, or other names altogether. Singers keep theirs, and nobody else is called so: what a soprano sings is for a
    model to know. own: the names that they have"""
    joint = JOINTS[int(rng.integers(len(JOINTS)))]
    with_others = int(rng.integers(3))  # names beside the first one, at most
    of_each = [int(rng.integers(with_others + 1)) for _ in own]
    wanted = len(own) + sum(of_each)
    others = (name for name in names(8 * wanted, rng, 0.05) if not role_of(name))
    keep = rng.random() < 0.5
    first = [name if keep or role_of(name) else next(others, name) for name in own]
    return [joint.join([name, *islice(others, count)]) for name, count in zip(first, of_each)]


def invented_word(rng: np.random.Generator) -> str:
    """A name that is in no list, so that it must be spelled."""
    letters = [SYLLABLES[int(rng.integers(len(SYLLABLES)))] for _ in range(int(rng.integers(2, 5)))]
    return "".join(letters).capitalize()

"""Questions on the music of a picture, with answers in words and the facts behind them, computed from the score.

Keys are declared where the whole piece says one, else estimated (Krumhansl); chords are triads and sevenths by their
pitch classes; a phrase ends at a fermata or at the last chord.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from scorelm.analysis.lines import Line, Moment, lines, moments
from scorelm.analysis.tonality import declared, estimated, fermata_moments
from scorelm.notation.lexemes import DURATION_LETTERS
from scorelm.notation.model import STEPS, Chord, Mark, Pitch, Score, timeline
from scorelm.notation.transform import KEEP
from vlm.data.facts import View, fields_of

VALUES = dict(
    zip(
        "MLWwhqistju",
        "maxima long breve whole half quarter eighth sixteenth thirty-second sixty-fourth hundred-twenty-eighth".split(),
    )
)
CHORDS = {
    (0, 4, 7): "major triad", (0, 3, 7): "minor triad", (0, 3, 6): "diminished triad", (0, 4, 8): "augmented triad",
    (0, 4, 7, 10): "dominant seventh chord", (0, 4, 7, 11): "major seventh chord", (0, 3, 7, 10): "minor seventh chord",
    (0, 3, 6, 10): "half-diminished seventh chord", (0, 3, 6, 9): "diminished seventh chord",
}  # fmt: skip
INVERSIONS = ("in root position", "in first inversion", "in second inversion", "in third inversion")
DEGREES = ("tonic", "supertonic", "mediant", "subdominant", "dominant", "submediant", "leading note")
_SPELLED = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_FLATS = ("C", "D-flat", "D", "E-flat", "E", "F", "F-sharp", "G", "A-flat", "A", "B-flat", "B")


@dataclass(frozen=True)
class Question:
    """What is asked, the answer in words, and the facts in it."""

    topic: str
    prompt: str
    answer: str
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Heard:
    """What a view sounds like; ``drawn`` also has the marks that its answers leave out (dynamics ...)."""

    view: View
    drawn: Score
    lines: list[Line]
    chain: list[Moment]
    key: tuple[str, str] | None  # its words, and where it is from: "declared" or "estimated"
    tonic: int | None  # pitch class


def hear(view: View, drawn: Score, piece: Score) -> Heard:
    """piece: the whole score, with its modes; drawn: the measures of the view as they are engraved"""
    found = lines(view.score)
    said = declared(piece)
    if said is not None:
        step = STEPS[said.step]
        alter = (said.pitch_class - _SPELLED[step] + 6) % 12 - 6
        words = f"{_with_accidental(step, alter)} {'major' if said.major else 'minor'}"
        return Heard(view, drawn, found, moments(found), (words, "declared"), said.pitch_class)
    guess = estimated(found)
    if guess is None:
        return Heard(view, drawn, found, moments(found), None, None)
    words = f"{_FLATS[guess[0]]} {'major' if guess[1] else 'minor'}"
    return Heard(view, drawn, found, moments(found), (words, "estimated"), guess[0])


def ask(heard: Heard, rng: np.random.Generator, count: int) -> list[Question]:
    """So many questions on different topics, where there is something to say."""
    out: list[Question] = []
    for index in rng.permutation(len(TOPICS)):
        if len(out) >= count:
            break
        question = TOPICS[int(index)](heard, rng)
        if question is not None:
            out.append(question)
    return out


def _pick(rng: np.random.Generator, *wordings: str) -> str:
    return wordings[int(rng.integers(len(wordings)))]


def _key(heard: Heard, rng: np.random.Generator) -> Question | None:
    if heard.key is None:
        return None
    key, origin = heard.key
    prompt = _pick(
        rng, "What key is this music in?", "In which key does this passage stand?", "Name the key of this music.",
        "Which key is it, and how can one tell?", "Determine the tonality of the excerpt.",
    )  # fmt: skip
    signature = fields_of(heard.view)["key_signature"]
    said = "The piece is in" if origin == "declared" else "By its notes the passage is most likely in"
    answer = f"{said} {key}; the key signature has {signature}."
    last = _named(heard.chain[-1]) if heard.chain else None
    if last and rng.random() < 0.5:
        answer += f" The last chord shown is {_article(last[0])}."
    return Question("key", prompt, answer, {"key": key})


def _rhythm(heard: Heard, rng: np.random.Generator) -> Question | None:
    values: Counter[str] = Counter()
    dotted = tuplets = 0
    for measure in heard.view.score.measures:
        for part in measure.parts:
            for staff in part.staves if part else ():
                for voice in staff.voices:
                    for timed in timeline(voice, (part.length if part else None) or measure.length):
                        if isinstance(timed.event, Chord) and timed.event.grace is None:
                            values[DURATION_LETTERS[timed.event.value.kind]] += 1
                            dotted += timed.event.value.dots > 0
                            tuplets += bool(timed.tuplets)
    known = [letter for letter in values if letter in VALUES]
    if not known:
        return None
    shortest = max(known, key=list(VALUES).index)
    common = max(known, key=lambda letter: (values[letter], letter))
    prompt = _pick(
        rng, "Describe the rhythm.", "What can be said about the rhythm of this passage?",
        "Which note values does this music use?", "What are the most frequent and the shortest note values?",
    )  # fmt: skip
    answer = f"{VALUES[common].capitalize()} notes are the most frequent ({values[common]} of {sum(values.values())})"
    answer += "." if shortest == common else f"; the shortest value is the {VALUES[shortest]} note."
    if dotted:
        answer += f" {dotted} note{'s are' if dotted > 1 else ' is'} dotted."
    answer += f" {tuplets} belong to tuplets." if tuplets else " There are no tuplets."
    return Question("rhythm", prompt, answer, {"shortest": VALUES[shortest], "most_frequent": VALUES[common]})


def _harmony(heard: Heard, rng: np.random.Generator) -> Question | None:
    if len(heard.lines) < 3:
        return None
    named = [(moment, name) for moment in heard.chain if (name := _named(moment))]
    if not named:
        return None
    place = _pick(rng, "first", "last")
    moment, (chord, inversion) = named[0 if place == "first" else -1]
    if moment is not heard.chain[0 if place == "first" else -1]:
        return None
    prompt = _pick(
        rng, f"Which chord stands {place}?", f"Name the {place} chord and its inversion.",
        f"What harmony do the voices form on the {place} chord?", f"Identify the {place} chord of this passage.",
    )  # fmt: skip
    answer = f"The {place} chord is {_article(chord)} {inversion}."
    if heard.tonic is not None and heard.key is not None:
        degree = _degree(chord, heard)
        if degree:
            answer += f" In {heard.key[0]} it stands on the {degree}."
    return Question("harmony", prompt, answer, {f"{place}_chord": f"{chord} {inversion}"})


def _cadences(heard: Heard, rng: np.random.Generator) -> Question | None:
    if len(heard.lines) < 3 or heard.key is None or len(heard.chain) < 2:
        return None
    ends = fermata_moments(heard.lines, heard.chain)
    starts: list[Fraction] = []
    at = Fraction(0)
    for measure in heard.view.score.measures:
        starts.append(at)
        at += measure.length
    found = []
    for end in ends:
        index = heard.chain.index(end)
        last, before = _named(end), _named(heard.chain[index - 1]) if index else None
        if last is None:
            continue
        measure = heard.view.score.measures[max(i for i, start in enumerate(starts) if start <= end.onset)]
        found.append((measure.number, last, cadence(before, last, heard)))
    if not found:
        return None
    prompt = _pick(
        rng, "Where do the phrases end, and with which cadences?", "Name the cadences at the fermatas.",
        "Which cadences does this passage have?", "Describe the phrase endings.",
    )  # fmt: skip
    parts = [
        f"measure {number}: {kind + ', ' if kind else ''}{_article(last[0])} {last[1]}" for number, last, kind in found
    ]
    answer = f"In {heard.key[0]}, {len(found)} fermata{'s' if len(found) > 1 else ''}: {'; '.join(parts)}."
    return Question("cadences", prompt, answer, {"key": heard.key[0], "fermatas": len(found)})


def _signs(names: str, words: str) -> Callable[[Heard, np.random.Generator], Question | None]:
    def ask_signs(heard: Heard, rng: np.random.Generator) -> Question | None:
        kept = KEEP[names]
        found = Counter(mark.name.strip("()") for mark in _marks(heard.drawn) if mark.name in kept)
        for opening, closing, said in (("<", "<", "crescendo"), (">", ">", "diminuendo")):
            if found.get(opening) or found.get(closing):
                found[said] = (found.pop(opening, 0) + 1) // 2
        prompt = _pick(
            rng, f"Which {words} are marked?", f"What {words} does the score ask for?",
            f"List the {words} on this picture.", f"How is this to be played, as far as {words} are marked?",
        )  # fmt: skip
        if not found:
            if rng.random() < 0.7:  # there is little to learn from many of these
                return None
            return Question(names, prompt, f"No {words} are marked.", {names: {}})
        listed = ", ".join(f"{name.replace('-', ' ')} ({count})" for name, count in sorted(found.items()))
        return Question(names, prompt, f"The {words} marked are {listed}.", {names: dict(found)})

    return ask_signs


def _range(heard: Heard, rng: np.random.Generator) -> Question | None:
    if not heard.lines:
        return None
    line = heard.lines[int(rng.integers(len(heard.lines)))]
    name = f"the {line.name}" if line.name else _staff_name(heard.lines, line)
    low, high = min(line.notes, key=lambda n: n.midi), max(line.notes, key=lambda n: n.midi)
    prompt = _pick(
        rng, f"What is the range of {name}?", f"Which are the lowest and the highest note of {name}?",
        f"How high and how low does {name} go?",
    )  # fmt: skip
    lowest, highest = pitch_words(low.pitch), pitch_words(high.pitch)
    answer = f"{name[0].upper()}{name[1:]} goes from {lowest} to {highest}."
    return Question("range", prompt, answer, {"lowest": lowest, "highest": highest})


def _texture(heard: Heard, rng: np.random.Generator) -> Question | None:
    if len(heard.lines) < 2 or not heard.chain:
        return None
    together = sum(
        all(note is None or note.onset == moment.onset for note in moment.sounding) for moment in heard.chain
    )
    share = together / len(heard.chain)
    kind = "chordal" if share > 0.6 else "contrapuntal" if share < 0.3 else "mostly chordal with moving voices"
    prompt = _pick(
        rng,
        "Describe the texture.",
        "How do the voices relate to each other?",
        "Is the texture chordal or contrapuntal?",
    )
    answer = (
        f"There are {len(heard.lines)} voices. The texture is {kind}: in {together} of {len(heard.chain)} moments all"
        " voices that sound begin together."
    )
    return Question("texture", prompt, answer, {"voices": len(heard.lines)})


TOPICS: Sequence[Callable[[Heard, np.random.Generator], Question | None]] = (
    _key, _rhythm, _harmony, _cadences, _signs("articulations", "articulations"), _signs("dynamics", "dynamics"),
    _range, _texture,
)  # fmt: skip


def cadence(before: tuple[str, str] | None, last: tuple[str, str], heard: Heard) -> str:
    """The kind of cadence of two chords, or nothing where it has no name."""
    if before is None:
        return ""
    steps = (_degree(before[0], heard), _degree(last[0], heard))
    if steps == ("dominant", "tonic") or steps == ("leading note", "tonic"):
        perfect = before[1] == last[1] == INVERSIONS[0]
        return "authentic cadence" if perfect else "imperfect authentic cadence"
    if steps == ("subdominant", "tonic"):
        return "plagal cadence"
    if steps == ("dominant", "submediant"):
        return "deceptive cadence"
    return "half cadence" if steps[1] == "dominant" else ""


def pitch_words(pitch: Pitch) -> str:
    return f"{_with_accidental(pitch.step, int(pitch.alter))}{pitch.octave}"


def _with_accidental(step: str, alter: int) -> str:
    return step + {0: "", 1: "-sharp", -1: "-flat", 2: "-double-sharp", -2: "-double-flat"}.get(alter, "")


def _named(moment: Moment) -> tuple[str, str] | None:
    """ "G major triad", "in root position"; None where it is no triad or seventh."""
    notes = [note for note in moment.sounding if note]
    classes = {int(note.midi) % 12 for note in notes}
    for note in notes:
        root = int(note.midi) % 12
        shape = tuple(sorted((c - root) % 12 for c in classes))
        if shape in CHORDS:
            bass = (int(moment.bass.midi) - root) % 12
            name = f"{_with_accidental(note.pitch.step, int(note.pitch.alter))} {CHORDS[shape]}"
            return name, INVERSIONS[shape.index(bass)]
    return None


def _degree(chord: str, heard: Heard) -> str:
    """The degree of the key on which a chord's root stands, by letters; "" where it is altered."""
    if heard.key is None or heard.tonic is None:
        return ""
    root, tonic = chord.split()[0], heard.key[0].split()[0]
    letter = (STEPS.index(root[0]) - STEPS.index(tonic[0])) % 7
    semitones = (_class(root) - heard.tonic) % 12
    usual = ((0,), (2,), (3, 4), (5,), (7,), (8, 9), (11,))
    return DEGREES[letter] if semitones in usual[letter] else ""


def _class(name: str) -> int:
    step, *alters = name.split("-")
    sign = {"sharp": 1, "flat": -1}.get(alters[-1], 0) if alters else 0
    return (_SPELLED[step] + sign * len(alters)) % 12


def _article(words: str) -> str:
    return f"{'an' if words[0] in 'AEFaei8' and not words.startswith('eu') else 'a'} {words}"


def _staff_name(found: Sequence[Line], line: Line) -> str:
    place = found.index(line)
    if place == 0:
        return "the highest voice" if len(found) > 1 else "the melody"
    return "the lowest voice" if place == len(found) - 1 else f"voice {place + 1} from the top"


def _marks(score: Score) -> list[Mark]:
    out: list[Mark] = []
    for measure in score.measures:
        for part in measure.parts:
            for staff in part.staves if part else ():
                out += [timed.mark for timed in staff.marks if isinstance(timed.mark, Mark)]
                for voice in staff.voices:
                    for timed in timeline(voice, (part.length if part else None) or measure.length):
                        if isinstance(timed.event, Chord):
                            out += timed.event.marks
                            out += [mark for note in timed.event.notes for mark in note.marks]
    return out

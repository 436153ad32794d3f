"""The same music as the lexemes of other formats: what a bar of each costs a language model.

Every format gets the best lexemes of its own (a pitch with its accidental, a duration, a separator are one each) and
the same information: heads of measures and parts (keys, clefs, metres, names) are scorelm's own lexemes in all, so
that only the music is compared.

abc     interleaved ABC: ``[V:1]`` before each part of a measure; accidentals as the key and the measure leave them
        open; lengths as factors of the beat
kern    Humdrum: a line a moment, a column a voice, ``.`` where a note goes on
legacy  the first ScoreLM's ``n(0.5, G4)``, with parts and rests added, which it had no way to write
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from scorelm.likelihood import kinds_of
from scorelm.notation.lexemes import cut
from scorelm.notation.model import Chord, Key, Measure, Note, Rest, Score, Spacer, Timed, key_alters, timeline

SIGNS = {-2: "__", -1: "_", 0: "=", 1: "^", 2: "^^"}
SHARPS = {-2: "--", -1: "-", 0: "", 1: "#", 2: "##"}


def _voices(measure: Measure) -> list[list[list[Timed]]]:
    """Events by part and voice; the staves of a part one behind the other."""
    out = []
    for part in measure.parts:
        length = measure.length if part is None or part.length is None else part.length
        out.append([timeline(v, length) for staff in part.staves for v in staff.voices] if part else [])
    return out


def _heads(text: str, parts: int) -> list[list[list[str]]]:
    """The lexemes of heads, by measure and part (0: of the measure, or behind its last part)."""
    out: list[list[list[str]]] = [[[] for _ in range(parts + 1)]]
    for lexeme, (kind, part) in list(zip(cut(text), kinds_of(text)))[1:]:
        if lexeme == "|":
            out.append([[] for _ in range(parts + 1)])
        elif kind in ("header", "barline"):
            out[-1][part].append(lexeme)
    return out


def abc(score: Score, text: str) -> list[str]:
    return [token for token, _, _ in abc_in_time(score, text)]


Placed = tuple[str, float, tuple[Timed, float] | None]


def abc_in_time(score: Score, text: str) -> list[Placed]:
    """Each token, the moment that its voice has come to, in quarters (a note's onset, behind its length its end), and
    the event whose last token it is, with its end."""
    out: list[Placed] = [("|", 0.0, None)]
    start = 0.0  # of the measure

    def put(tokens: list[str], moment: float) -> None:
        out.extend((token, moment, None) for token in tokens)

    keys: dict[int, Key | None] = dict.fromkeys(range(len(score.parts)))
    beat = Fraction(1)
    for measure, heads in zip(score.measures, _heads(text, len(score.parts))):
        put(heads[0], start)
        for mark in measure.marks:
            if isinstance(mark, Key):
                keys = dict.fromkeys(keys, mark)
            elif getattr(mark, "terms", None):
                beat = Fraction(4, mark.terms[-1][1])  # type: ignore[union-attr]
        for number, (part, voices) in enumerate(zip(measure.parts, _voices(measure))):
            put([f"[V:{number + 1}]", *heads[number + 1]], start)
            for mark in part.marks if part else ():
                if isinstance(mark, Key):
                    keys[number] = mark
            for at, voice in enumerate(voices):
                put(["&"] if at else [], start)
                shown = {(s, o): a for s, a in key_alters(keys[number]).items() for o in range(10)}
                for timed in voice:
                    found = _abc_event(timed, shown, beat)
                    length = next((i for i, token in enumerate(found) if token[0] == "*"), len(found))
                    onset = start + float(timed.offset)
                    put(found[:length], onset)
                    put(found[length:], onset + float(timed.quarters))
                    out[-1] = (*out[-1][:2], (timed, onset + float(timed.quarters)))
        start += float(measure.length)
        put(["|"], start)
    return out


def _abc_event(timed: Timed, shown: dict[tuple[str, int], object], beat: Fraction) -> list[str]:
    out = [f"({t.actual}" for t in timed.tuplets[: timed.first_of]]
    event = timed.event
    if isinstance(event, Chord):
        out += _fermata(event.marks, "H")
        out += ["{"] if event.grace else []
        out += ["["] if len(event.notes) > 1 else []
        for note in event.notes:
            pitch = note.pitch
            known = shown.get((pitch.step, pitch.octave), 0)
            sign = "" if known == pitch.alter else SIGNS.get(pitch.alter, "%")  # type: ignore[call-overload]
            shown[pitch.step, pitch.octave] = pitch.alter
            out += [f"{sign}{pitch.step}{pitch.octave}", *(["-"] if note.tie and len(event.notes) > 1 else [])]
        out += ["]"] if len(event.notes) > 1 else []
    else:
        out += _fermata(event.marks, "H") if isinstance(event, Rest) else []
        out.append("z" if isinstance(event, Rest) else "x")
    if (factor := _written(timed) / beat) != 1:
        out.append(f"*{factor}")
    if isinstance(event, Chord) and len(event.notes) == 1 and event.notes[0].tie:
        out.append("-")
    if isinstance(event, Chord) and event.grace:
        out.append("}")
    return out


def _written(timed: Timed) -> Fraction:
    value = timed.event.value
    return timed.quarters if value is None else value.written


def _fermata(marks: tuple[object, ...], sign: str) -> list[str]:
    return [sign for mark in marks if "fermata" in getattr(mark, "name", "")]


def kern(score: Score, text: str) -> list[str]:
    out = ["|"]
    tied: dict[tuple[int, int], set[object]] = {}
    for measure, heads in zip(score.measures, _heads(text, len(score.parts))):
        for head in heads:
            out += head
        columns = [(p, v, voice) for p, voices in enumerate(_voices(measure)) for v, voice in enumerate(voices)]
        for moment in sorted({t.offset for _, _, voice in columns for t in voice}):
            most = max(sum(t.offset == moment for t in voice) for _, _, voice in columns)
            for row in range(most):  # graces stand in lines of their own before their note
                for p, v, voice in columns:
                    here = [t for t in voice if t.offset == moment]
                    at = row - most + len(here)
                    out += _kern_event(here[at], tied.setdefault((p, v), set())) if at >= 0 else ["."]
                    out.append("\t")
                out[-1] = "\n"
        out.append("=")
    return out


def _kern_event(timed: Timed, tied: set[object]) -> list[str]:
    event = timed.event
    value = event.value
    length = "measure" if value is None else f"{value.kind}{'.' * value.dots}"
    for tuplet in timed.tuplets:
        length += f"%{tuplet.actual}:{tuplet.normal}"
    if not isinstance(event, Chord):
        marks = event.marks if isinstance(event, Rest) else ()
        return [length, "r" if isinstance(event, Rest) else "ryy", *_fermata(marks, ";")]
    out = []
    for number, note in enumerate(event.notes):
        before = note.pitch in tied
        tied.discard(note.pitch)
        if note.tie:
            tied.add(note.pitch)
        tie = {(False, True): ["["], (True, True): ["_"], (True, False): ["]"]}.get((before, note.tie), [])
        out += [" "] if number else []
        out += [*tie[:1], length, _name(note), *(["q"] if event.grace else [])]
    return [*out, *_fermata(event.marks, ";")]


def _name(note: Note) -> str:
    pitch = note.pitch
    return f"{pitch.step}{SHARPS.get(pitch.alter, '?')}{pitch.octave}"  # type: ignore[call-overload]


def legacy(score: Score, text: str) -> list[str]:
    out = ["|"]
    for measure, heads in zip(score.measures, _heads(text, len(score.parts))):
        out += heads[0]
        for number, voices in enumerate(_voices(measure)):
            out += [";"] if number else []
            out += heads[number + 1]
            for at, voice in enumerate(voices):
                out += ["&"] if at else []
                for timed in voice:
                    event = timed.event
                    marks = () if isinstance(event, Spacer) else event.marks
                    grace = isinstance(event, Chord) and event.grace
                    out += [*_fermata(marks, "!fermata!"), *(["!grace!"] if grace else []), f"n({timed.quarters},"]
                    for note in event.notes if isinstance(event, Chord) else ():
                        out += [*(["T."] if note.tie else []), _name(note)]
                    out += [] if isinstance(event, Chord) else ["r" if isinstance(event, Rest) else "s"]
                    out.append(")")
        out += ["|", "_", "|"]
    return out


FORMATS: dict[str, Callable[[Score, str], list[str]]] = {"abc": abc, "kern": kern, "legacy": legacy}

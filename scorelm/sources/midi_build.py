"""What a MIDI file holds, on its grid -> a music21 score: parts, staves, voices, measures, spelled notes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from scorelm.sources.hands import needs_two_hands, split_hands
from scorelm.sources.metre import best_metre, best_pickup
from scorelm.sources.midi_events import DRUMS, Channel, Heard
from scorelm.sources.sounds import Event, Sound, voices
from scorelm.sources.spelling import spell

if TYPE_CHECKING:
    from music21 import stream

LOWEST = 12  # C0, the lowest that a text holds
PIANOS = range(8)  # General MIDI's programs from 0
# General MIDI's kit -> (place on the staff, head), as drum kits are commonly written
KIT = {
    35: ("E4", "normal"), 36: ("F4", "normal"), 37: ("C5", "x"), 38: ("C5", "normal"), 39: ("C5", "diamond"),
    40: ("D5", "diamond"), 41: ("A4", "normal"), 42: ("G5", "x"), 43: ("B4", "normal"), 44: ("D4", "x"),
    45: ("D5", "normal"), 46: ("G5", "circle-x"), 47: ("D5", "triangle"), 48: ("E5", "normal"), 49: ("A5", "x"),
    50: ("F5", "normal"), 51: ("F5", "x"), 52: ("A5", "circle-x"), 53: ("F5", "diamond"), 54: ("B4", "x"),
    55: ("B5", "x"), 56: ("E5", "x"), 57: ("B5", "circle-x"), 59: ("F5", "circle-x"),
}  # fmt: skip


def build(heard: Heard) -> stream.Score:
    """The score of what was heard, its times on the grid."""
    from music21 import metadata, stream

    notices = heard.notices
    pitched = [s for c in heard.channels if c.number != DRUMS for s in c.sounds]
    everything = [s for c in heard.channels for s in c.sounds]
    if Fraction(0) not in heard.times:
        beats = best_metre(everything) if not heard.times else (4, 4)
        heard.times = {Fraction(0): beats, **heard.times}
        notices.append(f"no time signature at the start: {beats[0]}/{beats[1]} guessed")
    _state_key(heard, pitched)
    graces = [Sound(at, at, p) for c in heard.channels for at, own in c.graces.items() for p in own]
    names = spell([*pitched, *graces], heard.keys)
    if low := sum(pitch < LOWEST for _, pitch in names):
        notices.append(f"{low} notes below C0 moved up an octave")
    end = max(s.end for s in everything)
    bars = _bars(heard, end)
    score = stream.Score()
    score.metadata = metadata.Metadata()
    if heard.title:
        score.metadata.title = heard.title
    for number, (own, hands) in enumerate(_parts(heard), 1):
        _add_staves(score, heard, own, hands, names, bars, number)
    return score


def _parts(heard: Heard) -> Iterator[tuple[Channel, list[list[Sound]]]]:
    """Each part with the notes of its staves: a piano alone on one track or on two has two."""
    pitched = [c for c in heard.channels if c.number != DRUMS]
    pianos = all(c.program in PIANOS or c.program is None for c in pitched)
    if (
        pianos
        and len(pitched) == 2
        and pitched[0].name == pitched[1].name
        and _middle(pitched[0]) > _middle(pitched[1]) + 5
    ):
        right, left = pitched
        heard.notices.append(f"two tracks ({right.name}) taken as the hands of one piano")
        for at, graces in left.graces.items():
            right.graces.setdefault(at, []).extend(graces)
        yield right, [right.sounds, left.sounds]
        pitched = []
    elif pianos and len(pitched) == 1 and needs_two_hands(pitched[0].sounds):
        hands = split_hands(pitched[0].sounds)
        heard.notices.append(f"two hands on two staves guessed ({len(hands[0])} and {len(hands[1])} notes)")
        yield pitched.pop(), list(hands)
    for own in heard.channels:
        if own in pitched or own.number == DRUMS:
            yield own, [own.sounds]


def _middle(own: Channel) -> float:
    return sum(s.pitch for s in own.sounds) / len(own.sounds)


def _state_key(heard: Heard, pitched: Sequence[Sound]) -> None:
    from music21 import note, stream

    if not pitched:
        return
    melody = stream.Stream()
    for sound in pitched:
        one = note.Note(sound.pitch)
        one.quarterLength = sound.end - sound.start
        melody.insert(sound.start, one)
    try:
        found = melody.analyze("key")
    except Exception:  # noqa: BLE001  # music21's analysis fails on a few notes
        if Fraction(0) not in heard.keys:
            heard.keys[Fraction(0)] = (0, "major")
            heard.notices.append("no key found: C major taken")
        return
    shown = f"{found.tonic.name.replace('-', 'b')} {found.mode}"
    if Fraction(0) not in heard.keys:
        heard.keys = {Fraction(0): (int(found.sharps), str(found.mode)), **heard.keys}
        heard.notices.append(f"no key signature at the start: {shown} by analysis, pitches spelled by it")
    else:
        sharps = heard.keys[Fraction(0)][0]
        if abs(sharps - found.sharps) > 2:
            heard.notices.append(f"the key signature has {sharps:+d} sharps, though analysis hears {shown}; kept")
        heard.notices.append("pitches spelled by the key signature")


def _bars(heard: Heard, end: Fraction) -> list[tuple[Fraction, Fraction]]:
    """(start, length) of each measure, a pickup first; a time signature within a measure ends it."""
    out: list[tuple[Fraction, Fraction]] = []
    changes = sorted(heard.times)
    pickup = _pickup(heard)
    at = Fraction(0)
    while at < end or not out:
        full = _quarters(heard.times[max(t for t in changes if t <= at)])
        following = next((t for t in changes if t > at), None)
        length = full if out or not pickup else pickup
        if following is not None and at + length > following:
            length = following - at
            heard.notices.append(f"measure {len(out) + 1}: cut to {length} quarters by the next time signature")
        out.append((at, length))
        at += length
    return out


def _pickup(heard: Heard) -> Fraction:
    """Quarters before the first full measure: up to the next time signature, where that fits, else by accents."""
    changes = sorted(heard.times)
    full = _quarters(heard.times[changes[0]])
    if len(changes) > 1:
        pickup = changes[1] % full
        if pickup and changes[1] > full:
            heard.notices.append(f"a pickup of {pickup} quarter(s) guessed, so that the second time signature fits")
        return pickup if changes[1] > full else Fraction(0)
    pickup = best_pickup([s for c in heard.channels for s in c.sounds], full)
    if pickup:
        heard.notices.append(f"a pickup of {pickup} quarter(s) guessed, as the notes then stress the downbeats")
    return pickup


def _quarters(time: tuple[int, int]) -> Fraction:
    return Fraction(4 * time[0], time[1])


def _add_staves(
    score: stream.Score,
    heard: Heard,
    own: Channel,
    hands: Sequence[Sequence[Sound]],
    names: dict[tuple[Fraction, int], str],
    bars: Sequence[tuple[Fraction, Fraction]],
    number: int,
) -> None:
    from music21 import instrument, layout, meter, stream

    first = not score.parts
    staves = []
    for hand, sounds in enumerate(hands):
        part = stream.PartStaff() if len(hands) > 1 else stream.Part()
        part.id = f"P{number}" + (f"-staff{hand + 1}" if len(hands) > 1 else "")
        part.partName = own.name
        plain = instrument.UnpitchedPercussion() if own.number == DRUMS else instrument.Instrument(own.name)
        plain.partName = own.name
        plain.midiProgram = own.program
        part.insert(0, plain)
        lyrics = own.lyrics if hand == 0 else {}
        graces = _graces_of(own, sounds, hands)
        cut = _measures(voices(sounds), bars)
        split = sum(len([v for v in bar.values() if v]) > 1 for bar in cut)
        if split:
            heard.notices.append(
                f"{_part_name(number, own, hand, hands)}: notes that overlap are voices ({split} measures)"
            )
        first_number = 0 if len(bars) > 1 and bars[0][1] < _quarters(heard.times[Fraction(0)]) else 1
        for index, (bar, (at, length)) in enumerate(zip(cut, bars)):
            full = _quarters(heard.times[max(t for t in heard.times if t <= at)])
            upbeat = index == 0 and length < full and len(bars) > 1
            measure = stream.Measure(number=index + first_number)
            if upbeat:
                measure.paddingLeft = full - length
            if index == 0:
                measure.clef = _clef(sounds, own, hand, len(hands))
            if at in heard.times:
                measure.timeSignature = meter.TimeSignature(f"{heard.times[at][0]}/{heard.times[at][1]}")
            if own.number != DRUMS:
                _state_keys(measure, heard, at, length)
            if first and hand == 0:
                _state_marks(measure, heard, at, length, last=index == len(bars) - 1)
            _fill(measure, bar, length, names, lyrics, graces, at, own.number == DRUMS, heard)
            if index == len(bars) - 1:
                measure.rightBarline = "final"
            part.append(measure)
        part.makeBeams(inPlace=True)
        part.makeAccidentals(inPlace=True, cautionaryNotImmediateRepeat=False, cautionaryPitchClass=False)
        score.insert(0, part)
        staves.append(part)
    if len(staves) > 1:
        score.insert(0, layout.StaffGroup(staves, symbol="brace", name=own.name))


def _graces_of(own: Channel, sounds: Sequence[Sound], hands: Sequence[Sequence[Sound]]) -> dict[Fraction, list[int]]:
    """The grace notes of one hand: those whose main notes it plays, or the upper hand where both begin."""
    here = {s.start for s in sounds}
    taken = {s.start for hand in hands for s in hand if hand is not sounds} if sounds is not hands[0] else set()
    return {at: list(pitches) for at, pitches in own.graces.items() if at in here and at not in taken}


def _part_name(number: int, own: Channel, hand: int, hands: Sequence[object]) -> str:
    staff = "" if len(hands) == 1 else f", staff {hand + 1}"
    return f"part {number} ({own.name}{staff})"


def _clef(sounds: Sequence[Sound], own: Channel, hand: int, hands: int) -> Any:
    from music21 import clef

    if own.number == DRUMS:
        return clef.PercussionClef()
    if hands > 1:
        return clef.BassClef() if hand else clef.TrebleClef()
    middle = sum(s.pitch for s in sounds) / len(sounds)
    return clef.BassClef() if middle < 57 else clef.TrebleClef()


def _state_keys(measure: Any, heard: Heard, at: Fraction, length: Fraction) -> None:
    from music21 import key

    for when, (sharps, mode) in heard.keys.items():
        if at <= when < at + length:
            measure.insert(when - at, key.KeySignature(sharps).asKey(mode))


def _state_marks(measure: Any, heard: Heard, at: Fraction, length: Fraction, last: bool) -> None:
    from music21 import expressions, tempo

    before: float | None = None
    for when, speed in sorted(heard.tempos.items()):
        shown = round(speed, 2)
        if at <= when < at + length and shown != before:
            measure.insert(when - at, tempo.MetronomeMark(number=int(shown) if shown == int(shown) else shown))
        before = shown
    for when, text in heard.words:
        if at <= when < at + length or (last and when >= at + length):
            measure.insert(min(when - at, length), expressions.TextExpression(text))


Cut = dict[int, list[tuple[Event, bool]]]  # by voice: an event's piece within the measure, whether it goes on


def _measures(parts: Sequence[Sequence[Event]], bars: Sequence[tuple[Fraction, Fraction]]) -> list[Cut]:
    """Each voice's events cut at the barlines."""
    out: list[Cut] = [defaultdict(list) for _ in bars]
    for voice, events in enumerate(parts):
        bar = 0
        for event in events:
            while bar + 1 < len(bars) and bars[bar + 1][0] <= event.start:
                bar += 1
            start, index = event.start, bar
            while start < event.end and index < len(bars):
                stop = min(event.end, bars[index][0] + bars[index][1])
                out[index][voice].append(
                    (Event(start, stop, event.pitches, start > event.start, event.start), stop < event.end)
                )
                start, index = stop, index + 1
    return out


def _fill(
    measure: Any,
    bar: Cut,
    length: Fraction,
    names: dict[tuple[Fraction, int], str],
    lyrics: dict[Fraction, str],
    graces: dict[Fraction, list[int]],
    at: Fraction,
    drums: bool,
    heard: Heard,
) -> None:
    from music21 import note, stream

    held = [events for _, events in sorted(bar.items()) if events]
    if not held:
        measure.append(note.Rest(quarterLength=length))
        measure[-1].fullMeasure = True
        return
    for number, events in enumerate(held, 1):
        into = measure if len(held) == 1 else stream.Voice(id=str(number))
        clock = Fraction(0)
        for event, goes_on in events:
            _silence(into, clock, event.start - at, number)
            clock = event.start - at
            for pitch in () if event.goes_back else graces.pop(event.start, ()):
                grace = note.Note(names[event.start, pitch], quarterLength=0.5).getGrace()
                grace.duration.slash = True
                into.insert(clock, grace)
            written = _drum(event, heard) if drums else _sounded(event, names)
            written.quarterLength = event.end - event.start
            _tie(written, event.goes_back, goes_on)
            if not event.goes_back and event.start in lyrics:
                written.lyric = lyrics[event.start]
            into.insert(clock, written)
            clock = event.end - at
        _silence(into, clock, length, number)
        if len(held) > 1:
            measure.insert(0, into)


def _silence(into: Any, start: Fraction, end: Fraction, voice: int) -> None:
    """Rests from ``start`` to ``end``; those of a second voice are not shown."""
    from music21 import note

    for length in _rests(start, end):
        rest = note.Rest(quarterLength=length)
        rest.style.hideObjectOnPrint = voice > 1
        into.insert(start, rest)
        start += length


def _rests(start: Fraction, end: Fraction) -> Iterable[Fraction]:
    """Silence as rests that do not cross a beat, where whole beats are free, they join."""
    while start < end:
        whole = Fraction(int(start) + 1)
        stop = min(end, whole) if start.denominator != 1 else start + int(end - start) or end
        if stop <= start:
            stop = end
        if start.denominator == 1 and stop - start >= 1:  # 3 quarters are a rest with a dot, 5 are not one
            size = int(stop - start)
            stop = start + max(p for p in (1, 2, 3, 4) if p <= size)
        yield stop - start
        start = stop


def _sounded(event: Event, names: dict[tuple[Fraction, int], str]) -> Any:
    from music21 import chord, note

    spelled = [names[event.onset, p] for p in event.pitches]
    return note.Note(spelled[0]) if len(spelled) == 1 else chord.Chord(spelled)


def _drum(event: Event, heard: Heard) -> Any:
    from music21 import note, percussion

    heads = []
    for pitch in event.pitches:
        place, head = KIT.get(pitch, ("E5", "diamond"))
        if pitch not in KIT:
            said = f"drum {pitch} has no place in the usual kit: written as a diamond on the fourth space"
            if said not in heard.notices:
                heard.notices.append(said)
        one = note.Unpitched(displayName=place)
        one.notehead = head
        heads.append(one)
    said = "drums are written as unpitched notes, by their usual places on the staff; which drum it was is not kept"
    if said not in heard.notices:
        heard.notices.append(said)
    return heads[0] if len(heads) == 1 else percussion.PercussionChord(heads)


def _tie(written: Any, goes_back: bool, goes_on: bool) -> None:
    from music21 import tie

    if goes_back or goes_on:
        kind = "continue" if goes_back and goes_on else "start" if goes_on else "stop"
        written.tie = tie.Tie(kind)
        for one in getattr(written, "notes", ()):
            one.tie = tie.Tie(kind)

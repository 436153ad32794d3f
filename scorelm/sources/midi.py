"""MIDI -> a music21 score. A MIDI file knows no notation: grid, spelling, metre, voices and hands are guessed, and said.

file = tracks of events in ticks -> Sound (quarters) -> grid -> parts -> staves -> voices -> measures
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from scorelm.errors import SourceError
from scorelm.sources.grid import GRIDS, beat_grids, exact_grid, nearest, snapped
from scorelm.sources.hands import needs_two_hands, split_hands
from scorelm.sources.metre import best_metre, best_pickup
from scorelm.sources.sounds import Event, Sound, close_gaps, voices
from scorelm.sources.spelling import spell

if TYPE_CHECKING:
    from music21 import stream

DRUMS = 10  # the channel of General MIDI's drum kit
LEGATO = Fraction(3, 8)  # quarters of silence before the next onset that a player means as none
PIANOS = range(8)  # General MIDI's programs from 0
# General MIDI's kit -> (place on the staff, head), as drum kits are commonly written
KIT = {
    35: ("E4", "normal"), 36: ("F4", "normal"), 37: ("C5", "x"), 38: ("C5", "normal"), 39: ("C5", "diamond"),
    40: ("D5", "diamond"), 41: ("A4", "normal"), 42: ("G5", "x"), 43: ("B4", "normal"), 44: ("D4", "x"),
    45: ("D5", "normal"), 46: ("G5", "circle-x"), 47: ("D5", "triangle"), 48: ("E5", "normal"), 49: ("A5", "x"),
    50: ("F5", "normal"), 51: ("F5", "x"), 52: ("A5", "circle-x"), 53: ("F5", "diamond"), 54: ("B4", "x"),
    55: ("B5", "x"), 56: ("E5", "x"), 57: ("B5", "circle-x"), 59: ("F5", "circle-x"),
}  # fmt: skip


@dataclass
class Channel:
    """The notes of one channel of one track, which become a part."""

    track: int
    number: int
    name: str
    program: int | None = None
    sounds: list[Sound] = field(default_factory=list)
    graces: dict[Fraction, list[int]] = field(default_factory=dict)  # pitches before what begins there
    lyrics: dict[Fraction, str] = field(default_factory=dict)


@dataclass
class Heard:
    """What a file holds, times in quarters from the start."""

    title: str = ""
    channels: list[Channel] = field(default_factory=list)
    times: dict[Fraction, tuple[int, int]] = field(default_factory=dict)
    keys: dict[Fraction, tuple[int, str]] = field(default_factory=dict)  # sharps, mode
    tempos: dict[Fraction, float] = field(default_factory=dict)  # quarters a minute
    words: list[tuple[Fraction, str]] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)


def read(data: bytes, name: str) -> tuple[stream.Score, list[str]]:
    """The score of a MIDI file, and what was guessed or left out. Raises SourceError where it is none."""
    heard = hear(data, name)
    if not heard.channels:
        raise SourceError(f"{name}: this MIDI file holds no notes")
    _quantise(heard)
    return build(heard), heard.notices


def hear(data: bytes, name: str) -> Heard:
    """The notes and marks of a MIDI file, by music21's reader of events."""
    if data[:4] == b"RIFF" and b"MThd" in data[:64]:
        data = data[data.index(b"MThd") :]
    if data[:4] != b"MThd" or len(data) < 14:
        raise SourceError(f"{name}: no MIDI file: it does not begin with a header 'MThd'")
    if data[12] & 0x80:
        raise SourceError(f"{name}: this MIDI file counts time in frames, not in quarters; no notes follow from that")
    if int.from_bytes(data[12:14], "big") == 0:
        raise SourceError(f"{name}: this MIDI file has no ticks a quarter")
    if int.from_bytes(data[8:10], "big") not in (0, 1):
        raise SourceError(f"{name}: MIDI of type {int.from_bytes(data[8:10], 'big')} holds patterns, not one score")
    ticks = int.from_bytes(data[12:14], "big")
    out = Heard()
    left: Counter[str] = Counter()
    for index, track in enumerate(_tracks(data, out.notices)):
        _hear_track(track, index, ticks, out, left)
    out.channels = [c for c in out.channels if c.sounds]
    _name_channels(out)
    out.notices += [f"left out: {what} ({count})" for what, count in sorted(left.items())]
    return out


def _tracks(data: bytes, notices: list[str]) -> Iterator[Any]:
    """The tracks as music21 reads their events, a broken one as far as it goes."""
    from music21 import midi

    promised = int.from_bytes(data[10:12], "big")
    at, number = 8 + int.from_bytes(data[4:8], "big"), 0
    while at + 8 <= len(data) and number < promised:
        end = at + 8 + int.from_bytes(data[at + 4 : at + 8], "big")
        if data[at : at + 4] == b"MTrk":
            number += 1
            if end > len(data):
                notices.append(f"track {number}: the file breaks off {end - len(data)} bytes before its end")
            track = midi.MidiTrack(number - 1)
            try:
                track.processDataToEvents(data[at + 8 : end])
            except Exception as error:  # noqa: BLE001  # music21 raises several types on broken events
                if end <= len(data):
                    notices.append(f"track {number}: broken behind event {len(track.events) // 2} ({error}); left out")
            yield track
        at = end
    if number < promised:
        notices.append(f"the file promises {promised} tracks and holds {number}")


def _hear_track(track: Any, index: int, ticks: int, out: Heard, left: Counter[str]) -> None:
    now = 0
    name = ""
    channels: dict[int, Channel] = {}
    open_notes: dict[tuple[int, int], list[tuple[Fraction, int]]] = defaultdict(list)
    lyrics: dict[Fraction, str] = {}
    velocities: set[int] = set()
    ends_before: dict[tuple[int, int], Fraction] = {}
    unclosed = lost = 0

    def channel(number: int) -> Channel:
        return channels.setdefault(number, Channel(index, number, ""))

    for event in track.events:
        if event.isDeltaTime():
            now += event.time
            continue
        kind = getattr(event.type, "name", str(event.type))
        at = Fraction(now, ticks)
        if kind in ("NOTE_ON", "NOTE_OFF") and event.pitch is not None:
            key = (event.channel, event.pitch)
            if kind == "NOTE_ON" and event.velocity:
                velocities.add(event.velocity)
                own = channel(event.channel)
                if ends_before.get(key) == at:  # a note without length, its end written before its start
                    own.sounds.append(Sound(at, at, event.pitch))
                    del ends_before[key]
                    lost -= 1
                else:
                    open_notes[key].append((at, event.velocity))
            elif open_notes[key]:
                start, _ = open_notes[key].pop(0)
                channel(event.channel).sounds.append(Sound(start, max(at, start), event.pitch))
            else:
                ends_before[key] = at
                lost += 1
        elif kind == "PROGRAM_CHANGE":
            own = channel(event.channel)
            if own.program is None:
                own.program = int(event.data)
            elif own.program != int(event.data):
                left["changes to another instrument within a part"] += 1
        elif kind == "TIME_SIGNATURE" and len(event.data) >= 2:
            out.times[at] = (event.data[0] or 4, 2 ** min(event.data[1], 7))
        elif kind == "KEY_SIGNATURE" and len(event.data) >= 2:
            sharps = event.data[0] - 256 if event.data[0] > 127 else event.data[0]
            if -7 <= sharps <= 7:
                out.keys[at] = (sharps, "minor" if event.data[1] else "major")
            else:
                left["key signatures that are none"] += 1
        elif kind == "SET_TEMPO" and len(event.data) == 3 and any(event.data):
            out.tempos[at] = 60_000_000 / int.from_bytes(event.data, "big")
        elif kind == "SEQUENCE_TRACK_NAME":
            name = name or _words(event.data)
        elif kind == "LYRIC":
            lyrics[at] = lyrics.get(at, "") + _words(event.data)
        elif kind in ("MARKER", "CUE_POINT") and _words(event.data):
            out.words.append((at, _words(event.data)))
        elif kind == "PITCH_BEND" and (event.parameter1, event.parameter2) == (0, 64):
            pass  # none
        elif kind in LEFT_OUT:
            left[LEFT_OUT[kind]] += 1
        elif kind == "CONTROLLER_CHANGE":
            left[CONTROLS.get(int(event.parameter1 or 0), "other controls")] += 1
    end = Fraction(now, ticks)
    for (number, pitch), begun in open_notes.items():
        for start, _ in begun:
            channel(number).sounds.append(Sound(start, max(end, start), pitch))
            unclosed += 1
    if lost:
        left["ends of notes that never began"] += lost
    if unclosed:
        out.notices.append(f"track {index + 1}: {unclosed} notes never end; they end with the track")
    if len(velocities) > 1:
        out.notices.append(
            f"track {index + 1}: left out: the force of notes (from {min(velocities)} to {max(velocities)})"
        )
    sounding = [c for c in channels.values() if c.sounds]
    if not sounding and name and not out.title and index == 0:
        out.title = name
    for own in sounding:
        own.name = name if len(sounding) == 1 else ""
        own.sounds.sort(key=lambda s: (s.start, s.pitch))
    if len(sounding) > 1:
        numbers = ", ".join(str(c.number) for c in sounding)
        out.notices.append(f"track {index + 1}: split by channel into {len(sounding)} parts (channels {numbers})")
    if lyrics and sounding:
        sounding[0].lyrics = lyrics
    elif lyrics:
        out.notices.append(f"track {index + 1}: left out: {len(lyrics)} syllables on a track without notes")
    out.channels += sounding


LEFT_OUT = {
    "PITCH_BEND": "bends of pitch", "TEXT_EVENT": "texts", "COPYRIGHT_NOTICE": "copyright notices",
    "CHANNEL_KEY_PRESSURE": "pressures of keys", "POLYPHONIC_KEY_PRESSURE": "pressures of keys",
    "F0_SYSEX_EVENT": "messages to one synthesizer", "F7_SYSEX_EVENT": "messages to one synthesizer",
    "SEQUENCER_SPECIFIC_META_EVENT": "messages to one sequencer", "INSTRUMENT_NAME": "names of instruments",
}  # fmt: skip
CONTROLS = {64: "pedal controls", 7: "volume controls", 10: "stereo controls", 11: "volume controls"}


def _words(data: Any) -> str:
    raw = data if isinstance(data, bytes) else str(data or "").encode()
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    return " ".join(text.replace("\0", " ").split())


def _name_channels(out: Heard) -> None:
    from music21 import instrument

    for own in out.channels:
        if not own.name and own.number == DRUMS:
            own.name = "Drums"
        elif not own.name and own.program is not None:
            try:
                own.name = str(instrument.instrumentFromMidiProgram(own.program).instrumentName or "")
            except Exception:  # noqa: BLE001  # music21 knows no instrument of this program
                own.name = ""
    if out.title:
        out.notices.append(f"the name of the first track, {out.title!r}, was taken as the title")


def _quantise(heard: Heard) -> None:
    """Everything onto the grid: one for the whole file where it stands on one, else each beat's own."""
    sounds = [s for c in heard.channels for s in c.sounds]
    divisors = exact_grid((s.start for s in sounds), (s.end for s in sounds))
    if divisors is not None:
        grid = GRIDS[divisors]
        step = Fraction(1, max(divisors))
        shown = "grid of " + " and ".join(f"1/{d}" for d in divisors) + " of a quarter, on which all onsets stand"

        def place(moment: Fraction) -> Fraction:
            return nearest(moment, grid)

        end_place = place
    else:
        beats = beat_grids([s.start for s in sounds])
        step = Fraction(1, max(beats.values()))
        counts = Counter(beats.values())
        shown = "each beat on the grid of least error: " + ", ".join(
            f"1/{divisor} in {count} beats" for divisor, count in sorted(counts.items())
        )

        def place(moment: Fraction) -> Fraction:
            return snapped(moment, beats)

        def end_place(moment: Fraction) -> Fraction:
            return snapped(moment, beats, least=2)

    moved: list[Fraction] = []
    ends: list[Fraction] = []
    for number, own in enumerate(heard.channels, 1):
        kept: dict[tuple[Fraction, int], Sound] = {}
        name = f"part {number} ({own.name})"
        _take_graces(own, place, name, heard.notices)
        for sound in own.sounds:
            start, end = place(sound.start), end_place(sound.end)
            moved.append(abs(start - sound.start))
            ends.append(abs(end - sound.end))
            if end <= start:
                end = start + step
            twin = kept.get((start, sound.pitch))
            kept[start, sound.pitch] = Sound(start, max(end, twin.end) if twin else end, sound.pitch)
        if len(kept) < len(own.sounds):
            heard.notices.append(
                f"{name}: {len(own.sounds) - len(kept)} notes begin with another of their pitch; made one"
            )
        gap = step if divisors is not None else LEGATO
        own.sounds, closed = close_gaps(sorted(kept.values(), key=lambda s: (s.start, s.pitch)), gap)
        if closed:
            heard.notices.append(f"{name}: {closed} gaps and overlaps below {gap} quarter closed")
        own.lyrics = {place(at): text for at, text in own.lyrics.items()}
    heard.notices.append(f"{shown}: {_moves(moved, 'onsets')}, {_moves(ends, 'ends')}")
    for marks in ("times", "keys", "tempos"):
        setattr(heard, marks, {place(at): value for at, value in sorted(getattr(heard, marks).items())})
    heard.words = [(place(at), text) for at, text in heard.words]


def _take_graces(own: Channel, place: Callable[[Fraction], Fraction], name: str, notices: list[str]) -> None:
    """Notes without length become grace notes of what begins then, or next."""
    lasting = [s for s in own.sounds if s.end > s.start]
    short = [s for s in own.sounds if s.end == s.start]
    if not short or not lasting or own.number == DRUMS:
        return
    onsets = sorted({place(s.start) for s in lasting})
    for sound in short:
        index = bisect_left(onsets, place(sound.start))
        if index == len(onsets):
            lasting.append(sound)  # nothing follows: it becomes as short as the grid allows
        else:
            own.graces.setdefault(onsets[index], []).append(sound.pitch)
    count = sum(map(len, own.graces.values()))
    if count:
        notices.append(f"{name}: {count} notes without length are grace notes")
    own.sounds = sorted(lasting, key=lambda s: (s.start, s.pitch))


def _moves(errors: Sequence[Fraction], what: str) -> str:
    far = [e for e in errors if e]
    if not far:
        return f"no {what} moved"
    return f"{len(far)} of {len(errors)} {what} moved, by {float(max(far)):.3f} quarters at most"


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
    end = max(s.end for s in everything)
    bars = _bars(heard, end)
    score = stream.Score()
    score.metadata = metadata.Metadata()
    if heard.title:
        score.metadata.title = heard.title
    number = 0
    for own, hands in _parts(heard):
        number += 1
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

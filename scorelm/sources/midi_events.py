"""What a MIDI file holds, in quarters: parts by track and channel, metres, keys, tempos, words.

music21's reader takes the bytes of a track apart; what its events mean is read here.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from scorelm.errors import SourceError
from scorelm.sources.sounds import Sound

DRUMS = 10  # the channel of General MIDI's drum kit


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

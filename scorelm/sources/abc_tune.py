"""ABC 2.1 as tokens: a music line becomes items, a tune the bars of its voices. Standard library alone.

line  = *( inline-field / bar / ending / tuplet / grace / chord / note / rest / decoration / text / slur / tie )
note  = [ accidental ] letter *( "," / "'" ) [ length ]
length = [ number ] *( "/" [ number ] )
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from scorelm.sources.abc_fields import Key, Voice, default_unit, read_clef, read_key, read_metre, read_tempo, read_voice
from scorelm.sources.abc_items import Bar, Item, Part, Pitch, bar_length, last_item
from scorelm.sources.abc_lengths import mend
from scorelm.sources.abc_words import sing

BAR = re.compile(r"\.?(?:\[\|\]?:*|:+\|*\]?:*|\|+\]?:*)")
ENDING = re.compile(r"\[?\s*(\d+(?:[,\-]\d+)*)")
FIELD = re.compile(r"\[([A-Za-z]):([^\]]*)\]")
TUPLET = re.compile(r"\((\d)(?::(\d*)(?::(\d*))?)?")
LENGTH = re.compile(r"(\d*)((?:/\d*)*)")
PITCH = re.compile(r"(\^{1,2}|_{1,2}|=|\^/|_/)?([A-Ga-g])([,']*)")
REST = re.compile(r"([zxZXy])")
DECORATION = re.compile(r"!([^!|\s][^!|]*?)!|\+([a-zA-Z0-9.()<>]+)\+")
TEXT = re.compile(r'"([^"]*)"')
ALTER = {None: None, "^": 1, "^^": 2, "_": -1, "__": -2, "=": 0, "^/": Fraction(1, 2), "_/": Fraction(-1, 2)}
SIGNS = {
    ".": "staccato", "~": "roll", "H": "fermata", "L": "accent", "M": "lowermordent", "O": "coda",
    "P": "uppermordent", "S": "segno", "T": "trill", "u": "upbow", "v": "downbow",
}  # fmt: skip
# p notes in the time of q, where the tune does not say; None: 2, or 3 in compound metres
TIME_OF = {2: 3, 3: 2, 4: 3, 5: None, 6: 2, 7: None, 8: 3, 9: None}

Say = Callable[[int, str], None]


class Tune:
    """Reads the lines of one tune. ``say``: takes each line's number and what was left out there."""

    def __init__(self, say: Say, carry: str, version: tuple[int, ...]) -> None:
        self.say = say
        self.carry = carry or ("pitch" if version >= (2, 0) else "octave")
        self.fields: dict[str, list[tuple[int, str]]] = {}
        self.parts: dict[str, Part] = {}
        self.voices: dict[str, Voice] = {}
        self.key = Key()
        self.unit: Fraction | None = None
        self.metre: Any = None
        self.opening: list[Item] = []  # what the header says at the first moment
        self.symbols: dict[str, str] = {}  # U: a letter for a decoration
        self.program: int | None = None
        self.current: Part | None = None
        self.in_body = False

    # fields

    def take_field(self, letter: str, text: str, line: int, inline: bool = False) -> None:
        """A field on a line of its own, or within music."""
        if letter == "V":
            self._voice(text, line)
        elif (letter in "KMLQP" and (self.in_body or letter != "P")) or letter == "K":
            self._change(letter, text, line)
        elif letter == "w":
            self._lyrics(text, line)
        elif letter == "U":
            said = re.match(r"([H-Wh-w~])\s*=\s*!?([^!]*)!?", text)
            if said:
                self.symbols[said[1]] = said[2].strip()
            else:
                self.say(line, f"left out: U:{text}, which defines no sign")
        elif letter == "T" and self.in_body:
            self._at_moment(Item(line, "words", value=text))
        elif letter == "r":
            pass  # a remark, like a comment
        elif letter == "m":
            self.say(line, "left out: a macro (m:); notes that use it stand as they are")
        elif letter == "s":
            self.say(line, "left out: a line of symbols (s:)")
        elif letter not in "TCX":
            self.say(line, f"left out: field {letter}")
        self.fields.setdefault(letter, []).append((line, text))

    def _change(self, letter: str, text: str, line: int) -> None:
        item: Item | None = None
        if letter == "K":
            base = self.current.key if self.current else self.key
            key = read_key(text, base if self.in_body else Key(), lambda said: self.say(line, said))
            if self.current:
                if key.shown and key != self.current.key:
                    item = Item(line, "key", value=key)
                self.current.key = key
                if read_clef(text)[0]:
                    self.current.lift = key.lift
                if key.clef and self.in_body and key.clef != base.clef:
                    self._at_moment(Item(line, "clef", value=key.clef))
            else:
                self.key = key
            if not self.in_body:
                self.in_body = True
                return
        elif letter == "M":
            metre = read_metre(text)
            if metre is None:
                self.say(line, f"left out: M:{text}, which is no metre")
                return
            if self.current:
                self.current.metre = metre
                item = Item(line, "time", value=metre)
            else:
                self.metre = metre
        elif letter == "L":
            said = re.match(r"\s*(\d+)\s*(?:/\s*(\d+))?", text)
            if not said or int(said[1]) == 0 or int(said[2] or 1) == 0:
                self.say(line, f"left out: L:{text}, which is no length")
                return
            unit = Fraction(4 * int(said[1]), int(said[2] or 1))
            if self.current:
                self.current.unit = unit
            else:
                self.unit = unit
        elif letter == "Q":
            unit = self.current.unit if self.current else self.unit or default_unit(self.metre)
            tempo = read_tempo(text, unit, lambda said: self.say(line, said))
            if tempo is None:
                self.say(line, f"left out: Q:{text}, which is no tempo")
                return
            item = Item(line, "tempo", value=tempo)
        elif letter == "P":
            item = Item(line, "rehearsal", value=text)
        if item is not None:
            self._at_moment(item)

    def _at_moment(self, item: Item) -> None:
        if self.current is None:
            self.opening.append(item)
        else:
            self.current.layer.append(item)

    def _voice(self, text: str, line: int) -> None:
        voice = read_voice(text, lambda said: self.say(line, said))
        known = self.voices.get(voice.id)
        if known is None:
            self.voices[voice.id] = voice
        else:
            known.update(voice)
        if self.in_body:
            part = self._enter(voice.id)
            if voice.clef:
                part.lift = voice.lift
            if known is not None and voice.clef and self.current and self.current.bars[-1].layers[-1]:
                self._at_moment(Item(line, "clef", value=voice.clef))

    def _enter(self, name: str) -> Part:
        if name not in self.parts:
            voice = self.voices.setdefault(name, Voice(name))
            unit = self.unit or default_unit(self.metre)
            lift = voice.lift if voice.clef else self.key.lift
            self.parts[name] = Part(voice, self.key, unit, self.metre, [Bar(0)], lift)
        self.current = self.parts[name]
        return self.current

    # music

    def take_music(self, text: str, line: int) -> None:
        """A line of music, its continuations joined."""
        part = self.current or self._enter(next(iter(self.voices), "1"))
        for each in self.parts.values():
            each.glued = False
        part.begin_line()
        started = {id(part)}
        at = 0
        while at < len(text):
            length = self._token(part, text, at, line)
            if self.current is not None and self.current is not part:
                part = self.current
                if id(part) not in started:
                    part.begin_line()
                    started.add(id(part))
            at += length

    def _token(self, part: Part, text: str, at: int, line: int) -> int:
        """Takes what stands at ``at``; returns how long it is."""
        sign = text[at]
        if sign.isspace():
            part.glued = False
            return 1
        if sign == "`":
            return 1
        if found := FIELD.match(text, at):
            self.take_field(found[1], found[2].strip(), line, inline=True)
            return len(found[0])
        if (found := TUPLET.match(text, at)) and int(found[1]) > 1:
            self._tuplet(part, found, line)
            return len(found[0])
        if found := BAR.match(text, at):
            if found[0] == ":":  # no bar
                self.say(line, "left out: a ':' that is no bar")
                return 1
            return len(found[0]) + self._bar(part, found[0], text, at + len(found[0]), line)
        if sign == "[" and (found := ENDING.match(text, at)):
            self._end_of(part, found[1], line)
            return len(found[0])
        if sign == "[" and (named := re.compile(r'\["([^"]*)"').match(text, at)):
            self._end_of(part, named[1], line)
            return len(named[0])
        if sign == "[":
            return self._chord(part, text, at, line)
        if sign == "{":
            return self._graces(part, text, at, line)
        if sign == "&":
            part.bar.layers.append([])
            part.accidentals = {}
            return 1
        if sign in "<>":
            run = len(text[at:]) - len(text[at:].lstrip(sign))
            self._broken(part, sign, run, line)
            return run
        if sign == "(" or text.startswith(".(", at):
            if sign == ".":
                self.say(line, "a dotted slur is written as a plain one")
            part.opened.append("start")
            part.depth += 1
            return 1 + (sign == ".")
        if sign == ")":
            last = last_item(part, graces=True)
            if last is not None and part.depth:
                last.slurs.append("stop")
                part.depth -= 1
            else:
                self.say(line, "left out: a ')' that closes nothing")
            return 1
        if sign == "-" or text.startswith(".-", at):
            self._tie(part, line)
            return 1 + (sign == ".")
        if found := TEXT.match(text, at):
            part.words.append(found[1])
            return len(found[0])
        if sign in self.symbols:
            self._mark(part, self.symbols[sign])
            return 1
        if found := DECORATION.match(text, at):
            self._mark(part, (found[1] or found[2]).strip())
            return len(found[0])
        if found := PITCH.match(text, at):
            return self._note(part, found, text, at, line)
        if found := REST.match(text, at):
            return self._rest(part, sign, text, at, line)
        if sign in SIGNS:
            self._mark(part, SIGNS[sign])
            return 1
        if sign not in "!$*\\]})":
            self.say(line, f"left out: {sign!r}, which is no sign of ABC here")
        elif sign in "*$!":
            pass  # ends of printed lines
        elif sign != "\\":
            self.say(line, f"left out: {sign!r} that closes nothing")
        return 1

    def _mark(self, part: Part, name: str) -> None:
        if name:
            part.marks.append(name)

    def _length(self, text: str, at: int, line: int) -> tuple[Fraction, int]:
        found = LENGTH.match(text, at)
        if found is None:  # it matches nothing, too
            return Fraction(1), 0
        out = Fraction(int(found[1] or 1))
        for below in found[2].split("/")[1:]:
            out /= int(below or 2) or 1
        if out == 0 or int(found[1] or 1) > 4096:
            self.say(line, f"left out: the length {found[0]}, which is none")
            out = Fraction(1)
        return out, len(found[0])

    def _pitch(self, part: Part, found: re.Match[str]) -> Pitch:
        letter, marks = found[2], found[3]
        octave = (5 if letter.islower() else 4) + marks.count("'") - marks.count(",")
        octave += part.voice.octave + part.key.octave + part.lift
        step = letter.upper()
        said = ALTER[found[1]]
        place = (step, 0 if self.carry == "pitch" else octave)
        if said is not None:
            if self.carry != "not":
                part.accidentals[place] = said
            return Pitch(step, octave, said, True)
        return Pitch(step, octave, part.accidentals.get(place, part.key.alters.get(step, 0)), False)

    def _note(self, part: Part, found: re.Match[str], text: str, at: int, line: int) -> int:
        pitch = self._pitch(part, found)
        length, used = self._length(text, at + len(found[0]), line)
        self._add(part, Item(line, "note", length * part.unit, [pitch]))
        return len(found[0]) + used

    def _chord(self, part: Part, text: str, at: int, line: int) -> int:
        end = text.find("]", at)
        if end < 0:
            self.say(line, "left out: a '[' that nothing closes")
            return 1
        item = Item(line, "note")
        inner = at + 1
        lengths: list[Fraction] = []
        while inner < end:
            if found := PITCH.match(text, inner):
                item.pitches.append(self._pitch(part, found))
                length, used = self._length(text, inner + len(found[0]), line)
                lengths.append(length)
                inner += len(found[0]) + used
            elif text[inner] == "-":
                if item.pitches:
                    item.pitches[-1].tied = True
                inner += 1
            elif found := DECORATION.match(text, inner):
                self._mark(part, found[1] or found[2])
                inner += len(found[0])
            elif found := TEXT.match(text, inner):
                part.words.append(found[1])
                inner += len(found[0])
            elif text[inner] in SIGNS:
                self._mark(part, SIGNS[text[inner]])
                inner += 1
            else:
                if not text[inner].isspace():
                    self.say(line, f"left out: {text[inner]!r} within a chord")
                inner += 1
        if not item.pitches:
            self.say(line, f"left out: {text[at : end + 1]}, which is no chord")
            return end + 1 - at
        outer, used = self._length(text, end + 1, line)
        if len(set(lengths)) > 1:
            self.say(line, "notes of one chord differ in length; the first one's was taken")
        item.length = lengths[0] * outer * part.unit
        self._add(part, item)
        return end + 1 + used - at

    def _rest(self, part: Part, sign: str, text: str, at: int, line: int) -> int:
        length, used = self._length(text, at + 1, line)
        if sign == "y":
            return 1 + used  # space, no time
        hidden = "hidden" if sign in "xX" else "rest"
        if sign in "zx":
            self._add(part, Item(line, hidden, length * part.unit))
            return 1 + used
        if part.bar.sounding:
            self.say(line, f"{sign} within a measure is read as {sign.lower()}")
            self._add(part, Item(line, hidden, length * part.unit))
            return 1 + used
        whole = bar_length(part.metre)
        for number in range(max(1, min(int(length), 999))):
            if number:
                part.bars.append(Bar(line))
            self._add(part, Item(line, hidden, whole, whole=True))
        return 1 + used

    def _add(self, part: Part, item: Item) -> None:
        if self.current is part and not part.bar.line:
            part.bar.line = item.line
        item.grace = part.grace
        item.glued = part.glued
        part.glued = True
        if part.broken is not None and not item.grace:
            item.length *= part.broken
            part.broken = None
        if part.left_in_tuplet and not item.grace:
            item.tuplet = part.ratio
            part.left_in_tuplet -= 1
            item.tuplet_edge = "start" if part.fresh else "stop" if not part.left_in_tuplet else ""
            part.fresh = False
        item.marks, part.marks = part.marks, []
        item.words, part.words = part.words, []
        item.slurs, part.opened = part.opened, []
        part.layer.append(item)
        if item.kind == "note" and not item.grace:
            part.sung.append(item)
            part.sung_bars.append(len(part.bars))

    def _tuplet(self, part: Part, found: re.Match[str], line: int) -> None:
        p = int(found[1])
        compound = part.metre is not None and part.metre.compound
        q = int(found[2]) if found[2] else TIME_OF[p] or (3 if compound else 2)
        r = int(found[3]) if found[3] else p
        if not q or not r:
            self.say(line, f"left out: {found[0]}, which is no tuplet")
            return
        part.ratio, part.left_in_tuplet, part.fresh = (p, q), r, True

    def _broken(self, part: Part, sign: str, run: int, line: int) -> None:
        last = last_item(part)
        if last is None or run > 3:
            self.say(line, f"left out: {sign * run!r}, which stands between no two notes")
            return
        short = Fraction(1, 2**run)
        last.length *= 2 - short if sign == ">" else short
        part.broken = short if sign == ">" else 2 - short

    def _tie(self, part: Part, line: int) -> None:
        last = last_item(part)
        if last is None or last.kind != "note":
            self.say(line, "left out: a '-' behind no note")
            return
        for pitch in last.pitches:
            pitch.tied = True

    def _graces(self, part: Part, text: str, at: int, line: int) -> int:
        end = text.find("}", at)
        if end < 0:
            self.say(line, "left out: a '{' that nothing closes")
            return 1
        inner = text[at + 1 : end]
        part.grace = "slash" if inner.startswith("/") else "grace"
        held = part.marks, part.words, part.glued
        part.marks, part.words = [], []
        before = part.unit
        where = 0
        inner = inner.removeprefix("/")
        while where < len(inner):
            where += self._token(part, inner, where, line)
        part.unit = before
        part.grace = ""
        part.marks, part.words = part.marks + held[0], part.words + held[1]
        part.glued = held[2]
        return end + 1 - at

    # bars

    def _bar(self, part: Part, sign: str, text: str, behind: int, line: int) -> int:
        """A barline; an ending's number may stand right behind it. Returns that one's length."""
        plain = sign.lstrip(".")
        core = plain.strip(":")
        if core:
            closes, opens = plain.index(core), plain.endswith(":")
        else:  # "::" is ":||:", one colon for either side
            closes, opens = max(1, len(plain) // 2), True
        style = {"||": "double", "|]": "final", "[|": "heavy-light", "[|]": "none"}.get(core, "")
        if sign.startswith("."):
            style = "dotted"
        if part.marks or part.words:  # "D.C." or a fermata before a barline
            self._hang(part, line)
        if part.left_in_tuplet and part.bar.sounding:
            self.say(line, f"a tuplet ends {part.left_in_tuplet} notes short, at the barline")
            part.left_in_tuplet = 0
        if part.bar.sounding:
            part.bar.right = f"repeat:{closes}" if closes else style
            part.bars.append(Bar(line))
            part.accidentals = {}
        elif closes and len(part.bars) > 1:
            part.bars[-2].right = f"repeat:{closes}"
        elif style and len(part.bars) > 1 and not part.bars[-2].right:
            part.bars[-2].right = style
        if opens:
            part.bar.left = "repeat"
        elif style == "heavy-light":
            part.bar.left = style
        part.glued = False
        found = re.compile(r"\s?(\d+(?:[,\-]\d+)*)(?![/\d])").match(text, behind)
        if found:
            self._end_of(part, found[1], line)
            return len(found[0])
        return 0

    def _end_of(self, part: Part, number: str, line: int) -> None:
        if part.bar.sounding:  # an ending begins a measure
            part.bars.append(Bar(line))
            part.accidentals = {}
        part.bar.ending = number

    def _hang(self, part: Part, line: int) -> None:
        """Marks before a barline belong to the last note; words, to the end of the measure."""
        last = last_item(part)
        if last is not None:
            last.marks += [f"behind:{m}" if m != "fermata" else m for m in part.marks]
            part.layer.extend(Item(line, "words", value=w) for w in part.words)
            part.marks, part.words = [], []

    def _lyrics(self, text: str, line: int) -> None:
        if self.current is None or not self.current.sung:
            self.say(line, "left out: a line of lyrics (w:) under no notes")
        else:
            sing(self.current, text, line, self.say)

    def finish(self) -> list[Part]:
        """The parts, ended; those that hold no music are left out."""
        number = self.fields.get("X", [(0, "")])[-1][1] or "1"
        for part in self.parts.values():
            if part.marks or part.words:
                self._hang(part, part.bar.line)
            mend(part, number, self.say)
            while part.bars and not part.bars[-1].sounding:
                rest = part.bars.pop()
                if part.bars:
                    part.bars[-1].layers[0] += [
                        i for layer in rest.layers for i in layer if i.kind in ("words", "rehearsal")
                    ]
        return [p for p in self.parts.values() if p.bars]

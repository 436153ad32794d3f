"""The parts of an ABC tune -> a music21 score."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from scorelm.sources.abc_fields import Clef, Key, Metre
from scorelm.sources.abc_items import Bar, Item, Part
from scorelm.sources.abc_lengths import pieces
from scorelm.sources.abc_tune import Tune

if TYPE_CHECKING:
    from music21 import stream

Say = Callable[[int, str], None]
ARTICULATIONS = {
    "staccato": "Staccato", "tenuto": "Tenuto", "accent": "Accent", ">": "Accent", "emphasis": "Accent",
    "marcato": "StrongAccent", "^": "StrongAccent", "wedge": "Staccatissimo", "upbow": "UpBow", "downbow": "DownBow",
    "breath": "BreathMark", "open": "OpenString", "snap": "SnapPizzicato", "thumb": "StringThumbPosition",
    "caesura": "Caesura", "doit": "Doit",
}  # fmt: skip
EXPRESSIONS = {
    "fermata": "Fermata", "trill": "Trill", "lowermordent": "Mordent", "mordent": "Mordent", "turn": "Turn",
    "uppermordent": "InvertedMordent", "pralltriller": "InvertedMordent", "invertedturn": "InvertedTurn",
    "roll": "Turn", "arpeggio": "ArpeggioMark",
}  # fmt: skip
DYNAMICS = set("pppp ppp pp p mp mf f ff fff ffff sfz sf fp fz rf rfz".split())
SIGNS = {
    "segno": "Segno", "coda": "Coda", "fine": "Fine", "d.c.": "DaCapo", "d.s.": "DalSegno", "dacapo": "DaCapo",
    "dacoda": "DaCapoAlCoda", "d.c.alcoda": "DaCapoAlCoda", "d.s.alcoda": "DalSegnoAlCoda", "d.c.alfine": "DaCapoAlFine",
    "d.s.alfine": "DalSegnoAlFine", "tocoda": "Coda",
}  # fmt: skip
WEDGES = {
    "crescendo(": "<",
    "<(": "<",
    "crescendo)": ")",
    "<)": ")",
    "diminuendo(": ">",
    ">(": ">",
    "diminuendo)": ")",
    ">)": ")",
}
STEP_NAMES = {Fraction(1, 2): "`", Fraction(-1, 2): "~"}


def build(tune: Tune, parts: list[Part], say: Say) -> stream.Score:
    """The score of a tune's parts, as long as they are, bar by bar as written."""
    from music21 import metadata, stream

    score = stream.Score()
    score.metadata = metadata.Metadata()
    titles = [text for _, text in tune.fields.get("T", ()) if text]
    if titles:
        score.metadata.title = titles[0]
    for line, text in tune.fields.get("T", [])[1:]:
        if not any(
            i.line == line for p in parts for b in p.bars for layer in b.layers for i in layer if i.kind == "words"
        ):
            say(line, f"left out: a further title, {text!r}")
    composers = [text for _, text in tune.fields.get("C", ()) if text]
    if composers:
        score.metadata.composer = ", ".join(composers)
    for part in parts:
        score.insert(0, _Builder(tune, part, say).build())
    if len({len(p.bars) for p in parts}) > 1:
        say(parts[0].bars[0].line, f"the voices have {', '.join(str(len(p.bars)) for p in parts)} measures")
    return score


class _Builder:
    def __init__(self, tune: Tune, part: Part, say: Say) -> None:
        self.tune, self.part, self.say = tune, part, say
        self.metre: Metre | None = tune.metre
        self.slurs: list[tuple[str, Any]] = []
        self.wedge: Any = None
        self.tied: dict[int, set[str]] = {}
        self.spanners: list[Any] = []

    def build(self) -> stream.Part:
        from music21 import instrument, meter, stream

        out = stream.Part()
        voice = self.part.voice
        out.partName = voice.name or (voice.id if len(self.tune.parts) > 1 else "")
        if voice.short:
            out.partAbbreviation = voice.short
        plain = instrument.Instrument(out.partName)
        plain.partName = out.partName
        program = voice.program if voice.program is not None else self.tune.program
        plain.midiProgram = program
        out.insert(0, plain)
        self.lower = self._old_bass()
        number = 1
        for index, bar in enumerate(self.part.bars):
            measure = stream.Measure(number=number)
            if index == 0:
                measure.clef = self._clef(voice.clef or self.tune.key.clef)
                if self.tune.key.shown:
                    measure.keySignature = _key(self.tune.key)
                if self.metre is not None and self.metre.quarters is not None:
                    measure.timeSignature = meter.TimeSignature(self.metre.text)
                opening = [i for i in self.tune.opening if i.kind not in ("time", "key")]
                if next(iter(self.tune.parts.values())) is self.part:
                    bar.layers[0][:0] = opening
            self._fill(measure, bar)
            held = measure.highestTime
            full = None if self.metre is None else self.metre.quarters
            if index == 0 and full is not None and held < full and len(self.part.bars) > 1:
                measure.number = 0
                measure.paddingLeft = full - held
            else:
                number += 1
            _barlines(measure, bar)
            out.append(measure)
        self._endings(out)
        for kind, _ in self.slurs:
            self.say(self.part.bars[-1].line, f"left out: a {kind} that nothing closes")
        if self.wedge is not None:
            self.say(self.part.bars[-1].line, "a hairpin that nothing closes ends with the last note")
            self.spanners.append(self.wedge)
        for spanner in self.spanners:
            out.insert(0, spanner)
        return out

    def _old_bass(self) -> int:
        """Octaves that notes under a bass clef of ABC 1 lie too high, where no octave marks are written."""
        if not self.tune.key.old_bass or self.part.voice.clef:
            return 0
        heights = [p.octave * 7 + "CDEFGAB".index(p.step) for i in _items(self.part) for p in i.pitches]
        if heights and sum(heights) / len(heights) >= 28:  # C4
            self.say(
                self.part.bars[0].line, "a bass clef over treble notes, as ABC 1 writes it: moved down two octaves"
            )
            return -2
        return 0

    def _clef(self, said: Clef | None) -> Any:
        from music21 import clef

        if said is not None:
            sign, line, octaves = said
            if sign == "percussion":
                return clef.PercussionClef()
            if sign == "none":
                return clef.NoClef()
            return clef.clefFromString(f"{sign}{line}", octaves)
        heights = [p.octave * 7 + "CDEFGAB".index(p.step) for i in _items(self.part) for p in i.pitches]
        low = heights and sum(heights) / len(heights) < 26
        return clef.BassClef() if low else clef.TrebleClef()

    def _fill(self, measure: Any, bar: Bar) -> None:
        from music21 import stream

        many = sum(any(i.kind in ("note", "rest", "hidden") for i in layer) for layer in bar.layers) > 1
        for number, layer in enumerate(bar.layers):
            into = stream.Voice(id=str(number + 1)) if many else measure
            clock = Fraction(0)
            group: list[Any] = []
            for item in layer:
                if item.kind in ("note", "rest", "hidden"):
                    made = list(self._sounded(item, number))
                    self._hang(item, made, measure, clock)
                    for element in made:
                        into.insert(clock, element) if not item.grace else into.append(element)
                        clock += Fraction(element.quarterLength)
                    _beam(group, item, made)
                else:
                    _beam(group, None, [])
                    self._state(item, measure, clock)
            _beam(group, None, [])
            if many and into:
                measure.insert(0, into)

    def _state(self, item: Item, measure: Any, clock: Fraction) -> None:
        from music21 import expressions, meter, tempo

        value = item.value
        if item.kind == "key":
            measure.insert(clock, _key(value))
        elif item.kind == "time":
            self.metre = value
            if value.quarters is not None:
                if clock == 0:
                    measure.timeSignature = meter.TimeSignature(value.text)
                else:
                    measure.insert(clock, meter.TimeSignature(value.text))
            else:
                self.say(item.line, "left out: M:none within a tune")
        elif item.kind == "clef":
            measure.insert(clock, self._clef(value))
        elif item.kind == "rehearsal":
            measure.insert(clock, expressions.RehearsalMark(value))
        elif item.kind == "words":
            measure.insert(clock, expressions.TextExpression(value))
        elif item.kind == "tempo":
            if value.number is None:
                measure.insert(clock, tempo.TempoText(value.words))
            else:
                number = int(value.number) if value.number == int(value.number) else value.number
                measure.insert(clock, tempo.MetronomeMark(value.words or None, number, _beat(value.beat)))

    def _sounded(self, item: Item, layer: int) -> Iterator[Any]:
        """A note, or several where no one note lasts so long, tied."""
        from music21 import duration, note

        values = pieces(item.length) if not item.grace and not item.whole else [item.length]
        if len(values) > 1:
            what = "note" if item.kind == "note" else "rest"
            self.say(item.line, f"a {what} that no single value lasts as long as is written as several")
        before = self.tied.get(layer, set()) if not item.grace else set()
        for index, length in enumerate(values):
            starts, ends = index == 0, index == len(values) - 1
            own = duration.Duration(quarterLength=length)
            if item.tuplet:
                ratio = duration.Tuplet(item.tuplet[0], item.tuplet[1])
                ratio.setDurationType(own.type, own.dots)
                ratio.type = _edge(item.tuplet_edge, starts, ends)  # type: ignore[assignment]
                own.appendTuplet(ratio)
            made: Any
            if item.kind == "note":
                made = self._pitched(item, before, last=ends, first=starts)
            else:
                made = note.Rest()
                made.style.hideObjectOnPrint = item.kind == "hidden"
                made.fullMeasure = item.whole
            made.duration = own
            if item.grace:
                made = made.getGrace()
                made.duration.slash = item.grace == "slash"
            yield made
        if not item.grace and item.kind == "note":
            self.tied[layer] = {_name(p, self.lower) for p in item.pitches if p.tied}
        elif not item.grace:
            self.tied[layer] = set()

    def _pitched(self, item: Item, before: set[str], first: bool, last: bool) -> Any:
        from music21 import chord, note, pitch, tie

        notes = []
        for own in item.pitches:
            name = _name(own, self.lower)
            made = note.Note(name)
            if own.shown and made.pitch.accidental is None:
                made.pitch.accidental = pitch.Accidental("natural")
            if made.pitch.accidental is not None:
                made.pitch.accidental.displayStatus = own.shown and first
            comes, goes = (name in before if first else True), (own.tied if last else True)
            if comes or goes:
                made.tie = tie.Tie("continue" if comes and goes else "start" if goes else "stop")
            notes.append(made)
        return notes[0] if len(notes) == 1 else chord.Chord(notes)

    def _hang(self, item: Item, made: list[Any], measure: Any, clock: Fraction) -> None:
        """Marks, words, lyrics and slurs on a note."""
        from music21 import note, spanner

        first, last = made[0], made[-1]
        for mark in item.marks:
            self._mark(
                mark.removeprefix("behind:"), item, first, measure, clock + item.quarters * mark.startswith("behind:")
            )
        for words in item.words:
            self._words(words, item, measure, clock)
        for verse, text, kind in item.lyrics:
            lyric = note.Lyric(text, verse, syllabic=kind)  # type: ignore[arg-type]
            lyric.text = text
            first.lyrics.append(lyric)
        for slur in item.slurs:
            if slur == "start":
                self.slurs.append(("slur", spanner.Slur([first])))
            elif self.slurs:
                _, opened = self.slurs.pop()
                if opened.isFirst(last):
                    self.say(item.line, "left out: a slur over one note")
                else:
                    opened.addSpannedElements(last)
                    self.spanners.append(opened)
        if self.wedge is not None and item.kind == "note":
            self.wedge.addSpannedElements(last)

    def _mark(self, mark: str, item: Item, first: Any, measure: Any, clock: Fraction) -> None:
        from music21 import articulations, dynamics, expressions, repeat

        plain = mark.lower().replace(" ", "")
        if plain in ARTICULATIONS and item.kind == "note":
            first.articulations.append(getattr(articulations, ARTICULATIONS[plain])())
            if plain == "snap":
                self.say(item.line, "left out: the decoration 'snap', which music21 has but does not write")
        elif plain in ("fermata", "invertedfermata"):
            fermata = expressions.Fermata()
            fermata.type = "inverted" if plain == "invertedfermata" else "upright"
            first.expressions.append(fermata)
        elif plain in EXPRESSIONS and item.kind == "note":
            if plain == "roll":
                self.say(item.line, "a roll (~) is written as a turn")
            first.expressions.append(getattr(expressions, EXPRESSIONS[plain])())
        elif re.fullmatch("/{1,4}", plain) and item.kind == "note":
            tremolo = expressions.Tremolo()
            tremolo.numberOfMarks = len(plain)
            first.expressions.append(tremolo)
        elif re.fullmatch(r"[0-5]", plain) and item.kind == "note":
            first.articulations.append(articulations.Fingering(int(plain)))
        elif plain in DYNAMICS:
            measure.insert(clock, dynamics.Dynamic(plain))
        elif plain in WEDGES:
            self._wedge(WEDGES[plain], item)
        elif plain in SIGNS:
            measure.insert(clock, getattr(repeat, SIGNS[plain])())
            if plain not in ("segno", "coda"):  # a <sound dacapo="yes"> is what music21 does not write
                self.say(item.line, f"the jump {mark!r} is kept as words or a sign, which a player does not follow")
        else:
            self.say(item.line, f"left out: the decoration {mark!r}")

    def _wedge(self, sign: str, item: Item) -> None:
        from music21 import dynamics

        if sign == ")":
            if self.wedge is None:
                self.say(item.line, "left out: the end of a hairpin that never began")
            else:
                self.spanners.append(self.wedge)
                self.wedge = None
            return
        if self.wedge is not None:
            self.spanners.append(self.wedge)
        self.wedge = dynamics.Crescendo() if sign == "<" else dynamics.Diminuendo()

    def _words(self, words: str, item: Item, measure: Any, clock: Fraction) -> None:
        from music21 import expressions, harmony

        from scorelm.sources.abc import text_of

        if words[:1] in ("^", "_", "<", ">", "@"):
            text = expressions.TextExpression(text_of(re.sub(r"^@[-\d.]+,[-\d.]+\s*", "", words).lstrip("^_<>@")))
            text.placement = "below" if words[0] == "_" else "above"
            measure.insert(clock, text)
            return
        if not words.strip():
            return
        name = re.sub(r"[()]", "", words.strip())
        if re.fullmatch(r"N\.?C\.?", name):
            measure.insert(clock, harmony.NoChord())
            return
        found = re.fullmatch(r"([A-G])([#b]?)([^/\s]*)(?:/([A-Ga-g])([#b+]?))?", name)
        try:
            if not found:
                raise ValueError(name)
            root = found[1] + found[2].replace("b", "-")
            bass = f"/{found[4].upper()}{found[5].replace('b', '-').replace('+', '#')}" if found[4] else ""
            symbol = harmony.ChordSymbol(root + _kind(found[3]) + bass)
            if not symbol.pitches:
                raise ValueError(name)
        except Exception:  # noqa: BLE001  # music21 raises several types on a name that it does not know
            text = expressions.TextExpression(text_of(words))
            text.placement = "above"
            measure.insert(clock, text)
            self.say(item.line, f"{words!r} is no chord symbol; kept as words")
            return
        measure.insert(clock, symbol)

    def _endings(self, out: Any) -> None:
        from music21 import spanner, stream

        measures = list(out.getElementsByClass(stream.Measure))
        index = 0
        bars = self.part.bars
        while index < len(bars):
            if not bars[index].ending:
                index += 1
                continue
            last = index
            while (
                last + 1 < len(bars) and not bars[last].right and not bars[last + 1].ending and not bars[last + 1].left
            ):
                last += 1
            if bars[last].right == "" and last == len(bars) - 1 and last - index > 3:
                last = index  # an ending that nothing closes
            bracket = spanner.RepeatBracket(measures[index : last + 1])
            try:
                bracket.number = bars[index].ending
            except Exception:  # noqa: BLE001  # music21 takes numbers alone
                self.say(bars[index].line, f"the ending {bars[index].ending!r} is no number; written as 1")
                bracket.number = 1
            out.insert(0, bracket)
            index = last + 1


def _items(part: Part) -> Iterator[Item]:
    for bar in part.bars:
        for layer in bar.layers:
            yield from layer


def _name(pitch: Any, lower: int) -> str:
    alter = pitch.alter
    sign = STEP_NAMES.get(alter)
    if sign is None:
        sign = "#" * int(alter) if alter > 0 else "-" * int(-alter)
    return f"{pitch.step}{sign}{pitch.octave + lower}"


def _key(key: Key) -> Any:
    from music21 import key as keys

    if key.odd:
        out = keys.KeySignature(None)
        names = []
        for step, alter in key.alters.items():
            names.append(step + ("#" * alter if alter > 0 else "-" * -alter))
        out.alteredPitches = names
        return out
    out = keys.KeySignature(key.sharps)
    return out.asKey(key.mode) if key.mode else out


def _beat(quarters: Fraction) -> Any:
    from music21 import duration

    return duration.Duration(quarterLength=quarters)


def _kind(written: str) -> str:
    """A chord's kind as music21 says it; "m7b5" would be a minor seventh to it, with a fifth added."""
    written = re.sub(r"^(?:mi(?!n)|-)", "m", written)
    written = re.sub(r"^m(?:in)?7[b-]5", "ø7", written)
    return re.sub(r"^7[#+]5", "7+", written)


def _edge(edge: str, starts: bool, ends: bool) -> str | None:
    """What a note says of its tuplet, where it is one of several for one of ABC."""
    begins, closes = starts and edge in ("start", "startStop"), ends and edge in ("stop", "startStop")
    return "startStop" if begins and closes else "start" if begins else "stop" if closes else None


def _barlines(measure: Any, bar: Bar) -> None:
    from music21 import bar as bars

    if bar.left == "repeat":
        measure.leftBarline = bars.Repeat("start")
    elif bar.left:
        measure.leftBarline = bars.Barline(bar.left)
    if bar.right.startswith("repeat"):
        times = int(bar.right.split(":")[1])
        measure.rightBarline = bars.Repeat("end", times=times + 1 if times > 1 else None)
    elif bar.right:
        measure.rightBarline = bars.Barline(bar.right)


def _beam(group: list[Any], item: Item | None, made: list[Any]) -> None:
    """Notes without space between them share a beam; at anything else the group ends."""
    if item is not None and item.grace:
        return
    flags = [_flags(m) for m in made]
    joins = item is not None and item.kind == "note" and len(made) == 1 and flags[0] > 0
    if not joins or not item.glued:  # type: ignore[union-attr]
        if len(group) > 1:
            _state_beams(group)
        group.clear()
    if joins:
        group.append(made[0])


def _flags(element: Any) -> int:
    kinds = ("eighth", "16th", "32nd", "64th", "128th", "256th")
    return kinds.index(element.duration.type) + 1 if element.duration.type in kinds else 0


def _state_beams(group: list[Any]) -> None:
    flags = [_flags(n) for n in group]
    for index, note in enumerate(group):
        for level in range(1, flags[index] + 1):
            before = index > 0 and flags[index - 1] >= level
            after = index + 1 < len(group) and flags[index + 1] >= level
            if before and after:
                note.beams.append("continue")
            elif after:
                note.beams.append("start")
            elif before:
                note.beams.append("stop")
            else:
                note.beams.append("partial", "left" if index > 0 else "right")

"""The fields of an ABC tune: key, metre, tempo, voice. Standard library alone."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction

from scorelm.sources.abc_lengths import single

FIFTHS = {"F": -1, "C": 0, "G": 1, "D": 2, "A": 3, "E": 4, "B": 5}
SHARPS = "FCGDAEB"
MODES = {
    "maj": 0, "ion": 0, "min": -3, "m": -3, "aeo": -3, "mix": -1, "dor": -2, "phr": -4, "lyd": 1, "loc": -5,
}  # fmt: skip
NAMES = {
    "maj": "major", "ion": "ionian", "min": "minor", "m": "minor", "aeo": "aeolian", "mix": "mixolydian",
    "dor": "dorian", "phr": "phrygian", "lyd": "lydian", "loc": "locrian",
}  # fmt: skip
CLEF = re.compile(
    r"(?:clef\s*=\s*)?\"?(treble|bass|alto|tenor|soprano|mezzosoprano|mezzo|baritone|perc(?:ussion)?|(?<=clef=)none|[GFC](?=[1-58])|"
    r"(?<=clef=)[GFCP])([1-5]?)\s*([+\-^_]?8)?(?:va|vb)?\"?(?=\s|$)"
)
LINES = {
    "treble": ("G", 2), "bass": ("F", 4), "alto": ("C", 3), "tenor": ("C", 4), "soprano": ("C", 1), "mezzosoprano": ("C", 2),
    "mezzo": ("C", 2), "baritone": ("C", 5), "perc": ("percussion", 0), "percussion": ("percussion", 0), "P": ("percussion", 0),
    "none": ("none", 0), "G": ("G", 2), "F": ("F", 4), "C": ("C", 3),
}  # fmt: skip
Clef = tuple[str, int, int]  # sign, line, octaves
Say = Callable[[str], None]


@dataclass(frozen=True)
class Key:
    """A key and the clef that its field names. ``alters``: semitones of each step; ``shown``: it has a signature."""

    sharps: int = 0
    mode: str = ""
    alters: dict[str, int] = field(default_factory=dict)
    shown: bool = False
    odd: bool = False  # other accidentals than a circle of fifths gives
    clef: Clef | None = None
    lift: int = 0  # octaves by which the clef moves the notes
    octave: int = 0
    old_bass: bool = False  # a clef without `clef=`, as ABC 1 writes it


@dataclass(frozen=True)
class Metre:
    text: str  # music21's: "6/8", "common", "cut", "2+3/8"
    quarters: Fraction | None  # None: free

    @property
    def compound(self) -> bool:
        beats = self.text.split("/")[0]
        return beats.isdigit() and int(beats) in (6, 9, 12)


@dataclass
class Voice:
    id: str
    name: str = ""
    short: str = ""
    clef: Clef | None = None
    lift: int = 0
    octave: int = 0
    program: int | None = None

    def update(self, other: Voice) -> None:
        self.name, self.short = other.name or self.name, other.short or self.short
        if other.clef:
            self.clef, self.lift = other.clef, other.lift
        self.octave = other.octave or self.octave


def _signature(sharps: int) -> dict[str, int]:
    sharp = SHARPS[: max(0, sharps)]
    flat = SHARPS[::-1][: max(0, -sharps)]
    return {**dict.fromkeys(sharp, 1), **dict.fromkeys(flat, -1)}


def read_clef(text: str) -> tuple[Clef | None, bool]:
    """(clef, whether it stands there without ``clef=``)."""
    found = CLEF.search(text)
    if not found:
        return None, False
    sign, line = LINES[found[1]]
    shift = {"+8": 1, "^8": 1, "-8": -1, "_8": -1, "8": -1}.get(found[3] or "", 0)
    return (sign, int(found[2] or line), shift), "clef" not in found[0]


def read_lift(text: str) -> int:
    """Octaves by which a clef moves the notes.

    ABC 2.1, 4.6: "+8" and "-8" draw an 8, and the player transposes the notes by an octave. So ``c`` under
    ``treble-8`` stands where ``c`` stands under ``treble`` and sounds as C4, which is also how MusicXML counts
    pitches under such a clef, and how abc2xml reads and xml2abc writes them. "^8", "_8" and "8" are not of the
    standard; abc2xml only draws them, so the notes stay.
    """
    found = CLEF.search(text)
    return {"+8": 1, "-8": -1}.get(found[3] or "", 0) if found else 0


def read_key(text: str, before: Key, say: Say) -> Key:
    """K:, with mode, accidentals of its own, clef and octave. ``before``: what holds where only a clef is named."""
    clef, bare = read_clef(text)
    rest = CLEF.sub(" ", text)
    octave = before.octave if not text.strip() else 0
    if found := re.search(r"octave\s*=\s*(-?\d)", rest):
        octave = int(found[1])
        rest = rest.replace(found[0], " ")
    if found := re.search(r"-8va|-8vb", rest):
        octave -= 1
        clef = clef or ("G", 2, -1)
        rest = rest.replace(found[0], " ")
        say("the notes sound an octave lower, as '-8va' says")
    for other in re.findall(r"\b(?:middle|m|transpose|t|stafflines|staffscale|score|sound|shift)\s*=\s*\S+", rest):
        say(f"left out: {other} in K:")
        rest = rest.replace(other, " ")
    extra = re.findall(r"(\^{1,2}|_{1,2}|=)([A-Ga-g])", rest)
    rest = re.sub(r"(\^{1,2}|_{1,2}|=)[A-Ga-g]", " ", rest)
    explicit = re.search(r"\bexp\b", rest)
    rest = re.sub(r"\bexp\b", " ", rest).strip()
    placed = {
        "clef": clef or before.clef,
        "lift": read_lift(text) if clef else before.lift,
        "octave": octave,
        "old_bass": bare and clef is not None and clef[0] == "F",
    }
    if not rest and not extra and clef and before.shown:
        return replace(before, **placed)  # type: ignore[arg-type]
    if rest.startswith("HP"):
        return Key(0, "", {}, True, **placed)  # type: ignore[arg-type]
    if rest.startswith("Hp"):
        return Key(2, "", {"F": 1, "C": 1}, True, **placed)  # type: ignore[arg-type]
    if (not rest and not extra) or rest.lower() == "none":
        return Key(0, "", {}, bool(rest), **placed)  # type: ignore[arg-type]
    if german := re.match(r"(Es|As|H)(?![a-z])", rest):
        rest = {"Es": "Eb", "As": "Ab", "H": "B"}[german[1]] + rest[german.end() :]
        say(f"K:{text}: {german[1]} is the German name of {rest}")
    found = re.match(r"([A-G])([#b]?)\s*([A-Za-z]*)", rest)
    sharps, mode = 0, ""
    if not found:
        if rest:
            say(f"K:{text} is no key; no sharps or flats taken")
    else:
        word = found[3]
        short = "m" if word == "m" or (word.lower() == "m" and word != "M") else word.lower()[:3]
        if word == "M":
            short = "maj"
        if short in ("", "nat"):
            short = "maj"
        if short not in MODES:
            say(f"K:{text}: {word!r} is no mode; major taken")
            short = "maj"
        if rest[found.end() :].strip():
            say(f"left out: {rest[found.end() :].strip()!r} in K:")
        sharps = FIFTHS[found[1]] + 7 * ({"#": 1, "b": -1}.get(found[2], 0)) + MODES[short]
        mode = NAMES[short]
        if abs(sharps) > 7:
            say(f"K:{text} has {abs(sharps)} accidentals, more than seven; seven taken")
            sharps = max(-7, min(7, sharps))
    alters = {} if explicit else _signature(sharps)
    for sign, step in extra:
        alters[step.upper()] = {"^": 1, "^^": 2, "_": -1, "__": -2, "=": 0}[sign]
    alters = {step: alter for step, alter in alters.items() if alter}
    odd = alters != _signature(sharps)
    for regular in range(-7, 8):
        if odd and alters == _signature(regular):
            sharps, mode, odd = regular, "" if regular != sharps else mode, False
    return Key(sharps, "" if odd else mode, alters, True, odd, **placed)  # type: ignore[arg-type]


def read_metre(text: str) -> Metre | None:
    """M:, None where it is none."""
    plain = re.sub(r"[()\s\]]", "", text.split('"')[0])
    if plain in ("C", "c"):
        return Metre("common", Fraction(4))
    if plain in ("C|", "c|"):
        return Metre("cut", Fraction(4))
    if plain.lower() in ("none", ""):
        return Metre("", None)
    found = re.fullmatch(r"(\d+(?:\+\d+)*)(?:/(\d+))?", plain)
    if not found:
        return None
    kind = int(found[2] or 4)
    beats = [int(b) for b in found[1].split("+")]
    if kind not in (1, 2, 4, 8, 16, 32, 64, 128) or not all(beats):
        return None
    return Metre(f"{found[1]}/{kind}", Fraction(4 * sum(beats), kind))


def default_unit(metre: Metre | None) -> Fraction:
    """Quarters of a note without length where no L: says it: a sixteenth below 3/4, else an eighth."""
    short = metre is not None and metre.quarters is not None and metre.quarters < 3
    return Fraction(1, 4) if short else Fraction(1, 2)


@dataclass(frozen=True)
class Tempo:
    words: str
    number: float | None  # beats a minute
    beat: Fraction  # quarters


def read_tempo(text: str, unit: Fraction, say: Say) -> Tempo | None:
    """Q:, None where it says nothing. A beat that no one note lasts is counted in quarters."""
    words = " ".join(re.findall(r'"([^"]*)"', text)).strip()
    rest = re.sub(r'"[^"]*"', " ", text).strip()
    beat = Fraction(0)
    if found := re.fullmatch(r"([\d/\s]+)=\s*(\d{1,9}(?:\.\d+)?)", rest):
        beats = [Fraction(*(int(n) for n in b.split("/"))) for b in re.findall(r"\d{1,9}/[1-9]\d{0,8}", found[1])]
        beat = 4 * sum(beats, Fraction(0))
    elif found := re.fullmatch(r"C(\d{0,9})\s*=\s*(\d{1,9}(?:\.\d+)?)", rest):  # old: of the unit length
        beat = unit * int(found[1] or 1)
    elif found := re.fullmatch(r"((\d{1,9}(?:\.\d+)?))", rest):
        beat = unit
    if found is None or not beat or not float(found[2]):
        return Tempo(words, None, Fraction(1)) if words and not rest else None
    number = Fraction(found[2])
    if not single(beat):
        say(f"Q:{text}: no one note lasts {beat} quarters; written as 1/4={float(number * beat):.6g}")
        number, beat = number * beat, Fraction(1)
    return Tempo(words, float(number), beat)


def read_voice(text: str, say: Say) -> Voice:
    """V: with its properties."""
    words = text.split(None, 1)
    out = Voice(words[0] if words else "1")
    rest = words[1] if len(words) > 1 else ""
    clef, _ = read_clef(rest)
    out.clef, out.lift = clef, read_lift(rest)
    rest = CLEF.sub(" ", rest)
    for name, quoted, plain in re.findall(r"([A-Za-z]+)\s*=\s*(?:\"([^\"]*)\"|(\S+))", rest):
        value = quoted or plain
        if name in ("name", "nm"):
            out.name = value.replace("\\n", " ")
        elif name in ("subname", "snm", "sname"):
            out.short = value
        elif name == "octave" and re.fullmatch(r"-?\d", value):
            out.octave = int(value)
        else:
            say(f"left out: {name}={value} in V:")
    left = re.sub(r"[A-Za-z]+\s*=\s*(?:\"[^\"]*\"|\S+)", " ", rest).strip()
    if left:
        say(f"left out: {left!r} in V:")
    return out

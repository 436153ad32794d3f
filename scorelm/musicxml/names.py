"""MusicXML's names and the format's, in both directions.

Each table maps an element's tag or text to the name of a mark; ``inverse`` turns it round for the writer.
"""

from __future__ import annotations

from fractions import Fraction

KIND_OF = {
    name: kind
    for kind, name in enumerate(
        "maxima long breve whole half quarter eighth 16th 32nd 64th 128th 256th 512th 1024th".split()
    )
}
MODES = frozenset("major minor dorian phrygian lydian mixolydian aeolian locrian ionian none".split())
SIGNS = frozenset(("G", "F", "C", "percussion", "TAB", "jianpu", "none"))
SYMBOLS = {
    "common": "common", "cut": "cut", "single-number": "single-number", "note": "note-time",
    "dotted-note": "dotted-note-time",
}  # fmt: skip

FERMATAS = {
    "angled": "fermata-angled", "square": "fermata-square", "double-angled": "fermata-double-angled",
    "double-square": "fermata-double-square", "double-dot": "fermata-double-dot", "half-curve": "fermata-half-curve",
    "curlew": "fermata-curlew",
}  # fmt: skip
RIGHT_STYLES = {
    "light-heavy": "end", "light-light": "double", "dashed": "dashed", "dotted": "dotted", "heavy": "heavy",
    "heavy-light": "heavy-light", "heavy-heavy": "heavy-heavy", "none": "none", "tick": "tick", "short": "short",
}  # fmt: skip


def _same(names: str) -> dict[str, str]:
    return {name: name for name in names.split()}


ARTICULATIONS = {
    **_same("accent strong-accent staccato tenuto detached-legato staccatissimo spiccato scoop plop doit falloff"),
    "breath-mark": "breath",
    **_same("caesura stress unstress soft-accent other-articulation"),
}
ORNAMENTS = {
    "trill-mark": "trill",
    **_same("turn delayed-turn inverted-turn delayed-inverted-turn vertical-turn inverted-vertical-turn shake"),
    **_same("mordent inverted-mordent schleifer haydn other-ornament"),
}
ORNAMENT_ACCIDENTALS = {
    name: f"ornament-{name}" for name in ("sharp", "flat", "natural", "double-sharp")
} | {"flat-flat": "ornament-double-flat"}  # fmt: skip
TECHNICAL = {
    **_same("up-bow down-bow open-string double-tongue triple-tongue stopped snap-pizzicato heel toe fingernails"),
    **_same("golpe smear flip brass-bend half-muted harmon-mute open"),
    "thumb-position": "thumb",
}  # those without content
TECHNICAL_TEXTS = {
    **_same("fingering pluck fret string tap handbell other-technical"),
    "arrow": "arrow",
    "hole": "hole",
}
TECHNICAL_LINES = ("hammer-on", "pull-off")  # they start and stop
NOTEHEADS = {
    **_same("triangle diamond square cross x circle-x inverted-triangle circled slashed cluster circle-dot"),
    **_same("left-triangle rectangle do re mi fa so la ti"),
    "slash": "slash-head", "arrow down": "arrow-down", "arrow up": "arrow-up", "back slashed": "back-slashed",
    "none": "no-head", "fa up": "fa-up", "left triangle": "left-triangle", "inverted triangle": "inverted-triangle",
    "circle dot": "circle-dot", "other": "other-head",
}  # fmt: skip
ACCIDENTALS = {
    **{
        n: f"show-{n}"
        for n in "sharp flat natural double-sharp sharp-sharp flat-flat natural-sharp natural-flat".split()
    },
    **{n: f"show-{n}" for n in "quarter-flat quarter-sharp three-quarters-flat three-quarters-sharp".split()},
    **{n: f"show-{n}" for n in "triple-sharp triple-flat".split()},
}
ACCIDENTAL_MANNERS = ("cautionary", "editorial", "parentheses", "bracket")

DYNAMICS = frozenset(
    "pppppp ppppp pppp ppp pp p mp mf f ff fff ffff fffff ffffff sf sfp sfpp fp rf rfz sfz sffz fz n pf sfzp".split()
)
OTTAVAS = {("down", 8): "8va(", ("up", 8): "8vb(", ("down", 15): "15ma(", ("up", 15): "15mb(", ("down", 22): "22ma(",
           ("up", 22): "22mb("}  # fmt: skip
PEDALS = {
    "start": "ped(", "stop": "ped)", "change": "ped-change", "continue": "ped-continue",
    "sostenuto": "ped-sostenuto(", "resume": "ped-resume", "discontinue": "ped-discontinue",
}  # fmt: skip
JUMPS = {"dacapo": "da-capo", "dalsegno": "dal-segno", "fine": "fine", "tocoda": "to-coda"}
BARE_DIRECTIONS = {**_same("segno coda damp eyeglasses"), "damp-all": "damp-all"}
CREATORS = frozenset("composer lyricist arranger poet translator".split())
TITLES = {
    "work/work-title": "title", "movement-title": "movement", "work/work-number": "work-number",
    "movement-number": "movement-number",
}  # fmt: skip

SHOWN_BY_ALTER: dict[Fraction | int, str] = {
    -2: "flat-flat", -1: "flat", 0: "natural", 1: "sharp", 2: "double-sharp", -3: "triple-flat", 3: "triple-sharp",
    Fraction(1, 2): "quarter-sharp", Fraction(-1, 2): "quarter-flat",
    Fraction(3, 2): "three-quarters-sharp", Fraction(-3, 2): "three-quarters-flat",
}  # fmt: skip


def inverse(table: dict[str, str]) -> dict[str, str]:
    """Mark -> element; of several elements the first."""
    out: dict[str, str] = {}
    for element, mark in table.items():
        out.setdefault(mark, element)
    return out

"""Named marks: where each stands, its short spelling, and its arguments.

mark     = ( "!name!" / short ) [ argument *( [","] argument ) ]
argument = number / string          ; a "," stands between two numbers
number   = ["-"] 1*digit [ ":" 1*digit ]
string   = '"' *char '"'            ; \\q is '"', \\p is "|", \\n a new line, \\\\ a backslash
"""

from __future__ import annotations

import re
from fractions import Fraction

from scorelm.errors import ScoreError
from scorelm.notation.lexemes import (
    CLEFS,
    END_MARKS,
    EVENT_MARKS,
    IDS,
    LATER_END_MARKS,
    LATER_EVENT_MARKS,
    LATER_TIME_MARKS,
    MEASURE_MARKS,
    NOTE_MARKS,
    PART_MARKS,
    SCORE_MARKS,
    TIME_MARKS,
    name_lexeme,
)
from scorelm.notation.model import Argument, Attribute, Clef, Key, Mark, Time

MAX_STRING_BYTES = 4096
MAX_NUMBER = 10**9

# Marks frequent enough for a sign of their own. Those that have a lexeme of their name too are read by either.
SHORT = {
    "fermata": "H", "staccato": ".", "accent": ">", "tenuto": "N", "strong-accent": "V", "slur(": "(", "slur)": ")",
    "lyric": "l", "arpeggio": "R", "on-staff": "O", "beam(": "I", "beam-continue": "J", "cautionary": "U",
    "show-accidental": "*", "tuplet-number-none": "Q", "<(": "<", ">(": "\\", "<)": "S", "staff-shown": "Y",
    "p": "p", "f": "r", "words-above": "^", "words-below": "~",
}  # fmt: skip

TUPLET_MARKS = tuple(name for name in EVENT_MARKS if name.startswith("tuplet-"))
SCOPES: dict[str, str] = {}
for _scope, _names in (
    ("note", NOTE_MARKS),
    ("event", ["fermata", "staccato", "accent", "tenuto", "slur(", "slur)", "lyric", *EVENT_MARKS, *LATER_EVENT_MARKS]),
    ("time", [*TIME_MARKS, *LATER_TIME_MARKS]),
    ("end", [*END_MARKS, *LATER_END_MARKS]),
    ("measure", [*SCORE_MARKS, *MEASURE_MARKS]),
    ("part", PART_MARKS),
    ("tuplet", TUPLET_MARKS),
):
    SCOPES.update(dict.fromkeys(_names, _scope))

_LEXEMES = {name: SHORT.get(name, name_lexeme(name)) for name in SCOPES}
_RANK = {name: IDS[lexeme] for name, lexeme in _LEXEMES.items()} | {
    "lyric": -1
}  # before all marks, where it needs no "l"

_ESCAPES = {"\\": "\\\\", '"': "\\q", "|": "\\p", "\n": "\\n"}
UNESCAPES = {escaped: char for char, escaped in _ESCAPES.items()}
_ESCAPED = re.compile("|".join(map(re.escape, UNESCAPES)))
_FORBIDDEN = re.compile("[\x00-\x09\x0b-\x1f\x7f\ud800-\udfff]")


def rank(mark: Attribute) -> int:
    """The published order of things at one moment: clef, key, time, then marks by the id of their lexeme."""
    if isinstance(mark, Mark):
        return _RANK[mark.name]
    return {Clef: -3, Key: -2, Time: -1}[type(mark)]


def mark_lexeme(name: str) -> str:
    """``mark_lexeme("fermata") == "H"``; ScoreError for a name that the format does not have."""
    try:
        return _LEXEMES[name]
    except KeyError:
        raise ScoreError(f"the format has no mark named {name!r}") from None


def spell_string(text: str) -> str:
    """Free text in quotes; ScoreError where it is too long or holds control characters."""
    if len(text.encode(errors="replace")) > MAX_STRING_BYTES:
        raise ScoreError(f"free text is bound to {MAX_STRING_BYTES} bytes: {text[:40]!r}...")
    if _FORBIDDEN.search(text):
        raise ScoreError(f"free text cannot hold control characters: {text[:40]!r}")
    return '"' + "".join(_ESCAPES.get(c, c) for c in text) + '"'


def read_string(spelled: str) -> str | None:
    """The inverse of spell_string; None for what it never writes: no closing quote, an unknown escape, a control."""
    text = _ESCAPED.sub(lambda match: UNESCAPES[match.group()], spelled[1:-1])
    try:
        return text if spell_string(text) == spelled else None
    except ScoreError:
        return None


def spell_number(number: Fraction | int) -> str:
    """``3``, ``-1`` or ``7:2``."""
    if abs(number.numerator) > MAX_NUMBER or number.denominator > MAX_NUMBER:
        raise ScoreError(f"the number {number} is out of bounds")
    if number.denominator == 1:
        return str(number.numerator)
    return f"{number.numerator}:{number.denominator}"


def spell_arguments(args: tuple[Argument, ...]) -> str:
    out = ""
    for i, arg in enumerate(args):
        if isinstance(arg, str):
            out += spell_string(arg)
        else:
            out += ("," if i and not isinstance(args[i - 1], str) else "") + spell_number(arg)
    return out


# What marks take, as a pattern of n (a number) and s (a string); those that are not named take nothing.
_TAKES = {
    "n": "on-staff instrument sound-tempo staff-lines staff-size capo multirest midi-channel midi-bank volume pan "
    "unpitched-sound group-end instrument-id tremolo( tremolo) empty-time",
    "n?": "slur( slur) slur-continue wavy( wavy) wavy-continue 15ma( 15mb( 22ma( 22mb( ottava) "
    "ottava-continue dashes( dashes) dashes-continue bracket-continue wedge-continue slash( slash) measure-repeat( "
    "measure-repeat) beat-repeat( beat-repeat) beam( repeat( repeat) bend",
    "n{1,3}": "transpose staff-transpose",
    "n?s?": "<( <) >( 8va( 8vb( gliss( gliss) slide( slide) hammer-on( hammer-on) pull-off( pull-off)",
    "n?s{0,2}": "bracket( bracket)",
    "n?s?n?": "arpeggio-number",
    "(n|s)?": "fingering string fret",
    "s": "words words-above words-below rehearsal dynamic symbol other-direction abbreviation sound title "
    "movement work-number movement-number composer lyricist arranger poet translator rights source staff-type "
    "harp-pedals scordatura accordion",
    "s?": "ped( ped) ped-change ped-continue ped-sostenuto( ped-resume ped-discontinue da-capo dal-segno fine to-coda "
    "strong-accent breath caesura other-articulation other-ornament trill mordent inverted-mordent turn inverted-turn "
    "delayed-turn delayed-inverted-turn vertical-turn inverted-vertical-turn shake schleifer haydn pluck tap handbell "
    "other-technical with-bar harmonic inverted-fermata ornament-sharp ornament-flat ornament-natural "
    "ornament-double-sharp ornament-double-flat show-accidental other-head other-notation principal-voice( "
    "principal-voice) staff-divide left-fermata bar-fermata head-text hole colour",
    "s{1,2}": "creator credit ending image percussion-picture ornament-accidental",
    "s{0,2}": "arrow",
    "s{1,4}": "second-time",
    "s(n|s)?s?": "metronome",
    "s(sn?)?": "mid-bar",
    "ss": "metric-modulation",
    "s+": "chord",
    "snn?": "frame",
    "s*n?": "figured-bass",
    "ns{0,4}": "group",
    "nsnn?": "tuning",
    "snns": "instrument-name",
}  # fmt: skip
_PATTERNS = {name: re.compile(pattern) for pattern, names in _TAKES.items() for name in names.split()}

TAKING = frozenset(_PATTERNS)  # marks that have, or may have, arguments


def check_arguments(mark: Mark) -> None:
    """ScoreError where a mark has other arguments than it takes."""
    pattern = _PATTERNS.get(mark.name)
    if pattern is None:
        if mark.args:
            raise ScoreError(f"{mark_lexeme(mark.name)} takes no argument")
    elif not pattern.fullmatch("".join("s" if isinstance(arg, str) else "n" for arg in mark.args)):
        raise ScoreError(f"{mark_lexeme(mark.name)} takes other arguments")


def spell_mark(mark: Mark) -> str:
    if mark.name == "lyric":
        return spell_lyric(mark, True)
    if mark.args or mark.name in _PATTERNS:
        check_arguments(mark)
    return mark_lexeme(mark.name) + spell_arguments(mark.args)


# A lyric's arguments: its verse (a number, or a name), its text, how its syllable stands in the word, then
# pairs of an elision and the next text, last how an extender begins or ends.
SYLLABICS = {"single": ("", ""), "begin": ("", "-"), "middle": ("-", "-"), "end": ("-", "")}
EXTENDS = {
    "extend": "=", "extend-start": "!extend-start!", "extend-stop": "!extend-stop!",
    "extend-continue": "!extend-continue!",
}  # fmt: skip


def spell_lyric(mark: Mark, behind_mark: bool) -> str:
    """``"bless"``, ``2"Hal-"``, ``"-le-"=``, ``"a"!elision!"‿""b"``; behind a mark, which could take it for its
    argument, with an ``l`` before it, and so where its verse has a name: ``l:"chorus""lu"``."""
    try:
        verse, text, syllabic, *more = mark.args
        before, behind = SYLLABICS[str(syllabic)]
        extend = EXTENDS[str(more.pop())] if len(more) % 2 else ""
        texts = [str(text), *map(str, more)]
    except (ValueError, KeyError):
        raise ScoreError(f"a lyric of {mark.args}") from None
    if texts == [""] and syllabic == "begin":  # its hyphen would be read as one that leads to it
        raise ScoreError("a word cannot begin with a syllable without text")
    strings = [_syllable(t, i == 0, 2 * i == len(texts) - 1) for i, t in enumerate(texts[::2])]
    strings[0] = before + strings[0]
    strings[-1] += behind
    out = f'"{strings[0]}"' + "".join(
        f'!elision!{spell_string(elision)}"{string}"' for elision, string in zip(texts[1::2], strings[1:])
    )
    return ("l" if behind_mark or isinstance(verse, str) else "") + spell_verse(verse) + out + extend


def spell_verse(verse: Argument) -> str:
    """Nothing for the first, ``2``, ``:"chorus"``."""
    if isinstance(verse, str):
        return ":" + spell_string(verse)
    return "" if verse == 1 else spell_number(verse)


def _syllable(text: str, first: bool, last: bool) -> str:
    """A syllable as it stands in quotes: hyphens of its own at the ends are ``\\h``."""
    spelled = spell_string(text)[1:-1]
    if first and spelled.startswith("-"):
        spelled = "\\h" + spelled[1:]
    if last and spelled.endswith("-"):
        spelled = spelled[:-1] + "\\h"
    return spelled


def read_syllable(spelled: str, first: bool, last: bool) -> tuple[str | None, bool, bool]:
    """A quoted syllable -> its text (None where it is misspelled), whether a hyphen leads to it and away from it.

    first, last: of the syllables that elisions join, which alone have these hyphens
    """
    inner = spelled[1:-1]
    before = first and inner.startswith("-")
    inner = inner[before:]
    behind = last and inner.endswith("-")
    inner = inner[: len(inner) - behind]
    text = re.sub(r"\\.", lambda match: {**UNESCAPES, "\\h": "-"}.get(match.group(), match.group()), inner)
    try:
        same = f'"{"-" * before}{_syllable(text, first, last)}{"-" * behind}"' == spelled
    except ScoreError:
        same = False
    return text if same else None, before, behind


def spell_key(key: Key) -> str:
    """``K2``, ``K-3!minor!``, ``K!9`` beyond seven, ``K!_B^F:`` for a non-traditional key."""
    if key.alters:
        from scorelm.notation.pitches import accidental

        spelled = "K!" + "".join(accidental(alter) + step for step, alter in key.alters) + ":"
    elif -7 <= key.fifths <= 7:
        spelled = f"K{key.fifths}"
    else:
        spelled = "K!" + spell_number(key.fifths)
    return spelled + (mark_name("mode-none" if key.mode == "none" else key.mode) if key.mode else "")


def mark_name(name: str) -> str:
    lexeme = name_lexeme(name)
    if lexeme not in IDS:
        raise ScoreError(f"the format has no {name!r}")
    return lexeme


def spell_time(time: Time) -> str:
    """``T3:4``, ``T3+2:8``, ``T2:4,3:8``, ``T4:4!common!``; ``Tx`` is senza misura."""
    if not time.terms:
        body = "x"
    else:
        body = ",".join("+".join(map(str, beats)) + f":{unit}" for beats, unit in time.terms)
    return "T" + body + (mark_name(time.symbol) if time.symbol else "")


def spell_clef(clef: Clef) -> str:
    """``!clef-G2!``; ``!clef-G!3,-1`` for one without a lexeme of its own."""
    line = "" if clef.line is None else str(clef.line)
    whole = name_lexeme(f"clef-{clef.sign}{line}" + _octave(clef.octave))
    if whole in CLEFS:
        return whole
    base = name_lexeme(f"clef-{clef.sign}")
    if base not in CLEFS:
        raise ScoreError(f"the format has no clef sign {clef.sign!r}")
    args: tuple[Argument, ...] = (Fraction(clef.line or 0),)
    if clef.octave:
        args += (Fraction(clef.octave),)
    return base + spell_arguments(args)


def _octave(octave: int) -> str:
    return {0: "", -1: "-8", 1: "+8", -2: "-15", 2: "+15"}.get(octave, "?")


CLEF_OF: dict[str, Clef] = {}
for _sign in ("G", "F", "C"):
    for _line in range(1, 6):
        for _shift in (0, -1, 1, -2, 2):
            _clef = Clef(_sign, _line, _shift)
            if spell_clef(_clef) in CLEFS:
                CLEF_OF[spell_clef(_clef)] = _clef
for _sign in ("percussion", "TAB", "jianpu", "none", "G", "F", "C"):
    CLEF_OF[name_lexeme(f"clef-{_sign}")] = Clef(_sign)


def spell_attribute(attribute: Attribute) -> str:
    if isinstance(attribute, Mark):
        return spell_mark(attribute)
    if isinstance(attribute, Key):
        return spell_key(attribute)
    if isinstance(attribute, Time):
        return spell_time(attribute)
    return spell_clef(attribute)

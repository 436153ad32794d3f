"""The closed list of lexemes: the vocabulary of score text, with its final ids.

    LEXEMES[id] is the lexeme's spelling; an id never changes, new lexemes go to the end.

A text is cut by longest match; white space outside quotes means nothing. Inside quotes each
character is a lexeme of its own (each UTF-8 byte, spelled ``<0xC3>``, where it is not ASCII).
No lexeme but ``|`` holds the delimiter.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

END_OF_TEXT = "<|endoftext|>"
FINAL = "!end!"  # the barline behind the last measure
PADDING = "<|padding|>"

# name: letter, longest first; `kind` k of value.py lasts 2 ** (5 - k) quarters
DURATION_LETTERS = "M L W w h q i s t j u v k m".split()
MAX_DOTS = 4
DURATIONS = tuple(letter + "." * dots for letter in DURATION_LETTERS for dots in range(MAX_DOTS + 1))

# ABC's pitches: C,,,, is C0, C is C4, c is C5, b'''' is B9
OCTAVES = range(10)


def pitch_lexeme(step: str, octave: int) -> str:
    """The spelling of a white key: ``pitch_lexeme("C", 4) == "C"``."""
    if octave <= 4:
        return step + "," * (4 - octave)
    return step.lower() + "'" * (octave - 5)


NATURALS = tuple(pitch_lexeme(step, octave) for octave in OCTAVES for step in "CDEFGAB")
PITCHES = (*NATURALS, *(sign + natural for sign in "^_" for natural in NATURALS))
ACCIDENTALS = ("__", "^^")  # before a natural; and "%" with an exact number
SIMPLE_TUPLETS = {
    "[3": (3, 2), "[2": (2, 3), "[4": (4, 3), "[5": (5, 4), "[6": (6, 4), "[7": (7, 4),
    "[9": (9, 8), "[4:6": (4, 6), "[10": (10, 8), "[7:8": (7, 8), "[5:6": (5, 6), "[5:3": (5, 3),
}  # fmt: skip

CLEFS = tuple(
    "!clef-" + name + "!"
    for name in "G2 F4 C3 C4 G2-8 C1 C2 C5 F3 F5 G1 G2+8 F4-8 F4+8 G2-15 G2+15 F4-15 F4+15 "
    "percussion TAB jianpu none G F C".split()
)

# Named marks. The groups say where they stand (see marks.py); within a group the order is the
# canonical order of marks on one thing.
PART_MARKS = """abbreviation instrument sound transpose group group-end group-name group-abbreviation
    bracket-group brace-group line-group square-group group-barline name-hidden
    midi-channel midi-bank volume pan unpitched-sound part-id number-of-staves concert instrument-name solo ensemble""".split()
SCORE_MARKS = """title movement work-number movement-number composer lyricist arranger poet translator
    creator rights software encoding-date source relation miscellaneous credit credit-type subtitle
    dedication copyright""".split()
MEASURE_MARKS = """repeat( ending ending-text times after-jump no-number left-dashed left-dotted left-heavy left-double
    left-heavy-light left-heavy-heavy left-none left-tick left-short left-light-heavy left-regular left-fermata
    left-segno left-coda new-system new-page non-controlling""".split()
END_MARKS = """repeat) end double dashed dotted heavy heavy-light heavy-heavy none tick short regular
    ending) ending-open) winged bar-fermata bar-segno bar-coda""".split()
TIME_MARKS = """tempo tempo-text metronome metric-modulation beat-unit swing rehearsal segno coda fine to-coda da-capo
    dal-segno da-capo-al-fine da-capo-al-coda dal-segno-al-fine dal-segno-al-coda
    pppppp ppppp pppp ppp pp p mp mf f ff fff ffff fffff ffffff sf sfp sfpp fp rf rfz sfz sffz fz n pf sfzp dynamic
    <( <) >( >) niente words words-above words-below italic bold font enclosure
    dashes( dashes) bracket( bracket) line-shape 8va( 8vb( 15ma( 15mb( 22ma( 22mb( ottava)
    ped( ped) ped-change ped-continue ped-sostenuto( ped-line chord root bass kind degree figured-bass figure
    figure-extend frame frame-note barre function numeral no-chord mid-bar breath-mark caesura-mark
    string-mute string-mute-off scordatura damp damp-all eyeglasses accordion percussion-picture principal-voice(
    principal-voice) harp-pedals image staff-divide other-direction above below placed-at symbol staff-change
    sound-tempo sound-dynamics print-off staff-lines staff-type staff-hidden staff-shown tuning capo staff-size
    cue-staff staff-transpose multirest slash( slash) measure-repeat( measure-repeat) beat-repeat( beat-repeat)
    key-hidden time-hidden clef-hidden wedge-continue ottava-continue dashes-continue bracket-continue ped-resume
    ped-discontinue""".split()
EVENT_MARKS = """on-staff inverted-fermata fermata-angled fermata-square fermata-double-angled fermata-double-square
    fermata-double-dot fermata-half-curve fermata-curlew fermata-shape
    strong-accent detached-legato staccatissimo spiccato scoop plop doit falloff breath caesura stress unstress
    soft-accent other-articulation
    trill turn delayed-turn inverted-turn delayed-inverted-turn vertical-turn inverted-vertical-turn shake
    mordent inverted-mordent schleifer haydn other-ornament wavy( wavy) wavy-continue
    ornament-sharp ornament-flat ornament-natural ornament-double-sharp ornament-double-flat ornament-accidental
    tremolo1 tremolo2 tremolo3 tremolo4 tremolo5 tremolo6 tremolo8 tremolo( tremolo) tremolo-unmeasured
    up-bow down-bow harmonic artificial-harmonic base-pitch touching-pitch sounding-pitch open-string thumb fingering
    pluck double-tongue triple-tongue stopped snap-pizzicato fret string hammer-on( hammer-on) pull-off( pull-off)
    bend pre-bend release with-bar tap heel toe fingernails hole arrow handbell brass-bend flip smear open
    half-muted harmon-mute golpe other-technical substitution alternate
    arpeggio arpeggio-up arpeggio-down non-arpeggio( non-arpeggio) arpeggio-number
    gliss( gliss) slide( slide) line-solid line-dashed line-dotted line-wavy
    slur-continue slur-above slur-below slur-dotted slur-dashed
    stem-up stem-down stem-none stem-double
    beam-none beam( beam-continue beam) beam-hook beam-back-hook beam-fan
    tie-above tie-below small large cue grace-cue grace-steal-previous grace-steal-following grace-make-time
    elision extend-start extend-stop extend-continue laughing humming end-line end-paragraph lyric-name
    tuplet-ratio tuplet-none tuplet-bracket tuplet-no-bracket tuplet-number-none tuplet-number-both
    tuplet-type measure-rest-typed invisible dot-none velocity attack other-notation above-mark below-mark""".split()
NOTE_MARKS = """drawn-tie unplaced tie-end-missing let-ring tie-stop-only
    show-sharp show-flat show-natural show-double-sharp show-double-flat show-sharp-sharp show-flat-flat
    show-natural-sharp show-natural-flat show-quarter-flat show-quarter-sharp show-three-quarters-flat
    show-three-quarters-sharp show-triple-sharp show-triple-flat show-accidental show-none cautionary editorial
    parentheses bracket
    slash-head triangle diamond square cross x circle-x inverted-triangle arrow-down arrow-up circled slashed
    back-slashed cluster circle-dot left-triangle rectangle no-head do re mi fa fa-up so la ti head-filled head-open
    head-parentheses other-head hidden instrument-id colour unison string-number note-fingering tie-continue head-text""".split()
OTHER_MARKS = "absent common cut major minor dorian phrygian lydian mixolydian aeolian locrian ionian single-number note-time dotted-note-time senza-misura no-bracket interchangeable key-octave cancel unpitched mode-none".split()

NAMES = tuple(
    dict.fromkeys(
        OTHER_MARKS + PART_MARKS + SCORE_MARKS + MEASURE_MARKS + END_MARKS + TIME_MARKS + EVENT_MARKS + NOTE_MARKS
    )
)


def name_lexeme(name: str) -> str:
    """``name_lexeme("trill") == "!trill!"``"""
    return f"!{name}!"


# parts so common that number of staves and name are one lexeme
COMMON_PARTS = {
    f'P{staves if staves > 1 else ""}"{name}"': (name, staves)
    for name, staves in (
        ("Soprano", 1), ("Alto", 1), ("Tenor", 1), ("Bass", 1), ("Voice", 1), ("Piano", 2), ("Piano", 1), ("Organ", 2),
        ("Violin", 1), ("Violin I", 1), ("Violin II", 1), ("Viola", 1), ("Violoncello", 1), ("Contrabass", 1),
        ("Flute", 1), ("Oboe", 1), ("Clarinet in Bb", 1), ("Bassoon", 1), ("Horn in F", 1), ("Trumpet", 1),
        ("Trombone", 1), ("Tuba", 1), ("Timpani", 1), ("Harp", 2), ("Guitar", 1), ("Drumset", 1), ("", 1),
    )
}  # fmt: skip

_ASCII = tuple(chr(c) for c in range(0x20, 0x7F) if chr(c) != "|")
_CONTINUED = ("+:", "]+")  # a tuplet that came over, or goes over, a barline

# Marks that came after the list was first trained on: new lexemes go to its end.
LATER_EVENT_MARKS = ["untyped"]
LATER_END_MARKS = ["empty-time"]
LATER_TIME_MARKS = ["second-time"]

LEXEMES: tuple[str, ...] = tuple(
    dict.fromkeys(
        (
            END_OF_TEXT,
            PADDING,
            "|",
            *PITCHES,
            *ACCIDENTALS,
            *DURATIONS,
            *tuple(SIMPLE_TUPLETS),
            "[:",
            *_CONTINUED,
            *tuple(COMMON_PARTS),
            *tuple(f"K{fifths}" for fifths in range(-7, 8)),
            "K!",
            *CLEFS,
            *tuple(name_lexeme(name) for name in NAMES),
            *_ASCII,
            *tuple(f"<0x{byte:02X}>" for byte in range(128, 256)),
            *tuple(name_lexeme(name) for name in LATER_EVENT_MARKS + LATER_END_MARKS + LATER_TIME_MARKS),
        )
    )
)
IDS: dict[str, int] = {lexeme: i for i, lexeme in enumerate(LEXEMES)}


def vocabulary_hash(size: int = len(LEXEMES)) -> str:
    """A fingerprint of the first ``size`` lexemes: the list grows at its end, so an older model knows a prefix of it."""
    return hashlib.sha256("\n".join(LEXEMES[:size]).encode()).hexdigest()[:16]


_outside = sorted((x for x in LEXEMES[2:] if not x.startswith("<0x") and x not in ' "'), key=len, reverse=True)
STRING_PATTERN = r'"[^"|]*"?'
LEXEME_PATTERN = "|".join(re.escape(x) for x in _outside)
"""Longest match first; strings are cut apart by STRING_PATTERN before it is tried."""

# one match is a whole string, a lexeme, white space, or a character that no lexeme starts with
SCANNER = re.compile(rf"({STRING_PATTERN})|({LEXEME_PATTERN})|\s+|(.)", re.DOTALL)

TOKENS = re.compile(rf"{STRING_PATTERN}|{LEXEME_PATTERN}|\S", re.DOTALL)  # the same without the white space


def cut(text: str) -> list[str]:
    """Text -> its lexemes, strings cut into characters and bytes. Unknown characters stay whole."""
    out: list[str] = []
    for string, lexeme, unknown in SCANNER.findall(text):
        if string:
            for char in string:
                if char.isascii():
                    out.append(char)
                else:
                    out.extend(f"<0x{byte:02X}>" for byte in char.encode())
        elif lexeme or unknown:
            out.append(lexeme or unknown)
    return out


_BYTES = re.compile("(?:<0x[0-9A-F]{2}>)+")


def joined(lexemes: Iterable[str]) -> str:
    """The text of lexemes: the inverse of ``cut``. Bytes that are no UTF-8 become U+FFFD."""

    def characters(match: re.Match[str]) -> str:
        return bytes(int(byte, 16) for byte in match.group()[3:-1].split("><0x")).decode(errors="replace")

    return _BYTES.sub(characters, "".join(lexemes))


def listing(lexemes: tuple[str, ...] = LEXEMES, width: int = 110) -> str:
    """The lexemes in lines that begin with the id of their first one, as FORMAT.md prints them."""
    lines: list[str] = []
    for i, lexeme in enumerate(lexemes):
        shown = lexeme.replace(" ", "␠")
        if not lines or len(lines[-1]) + len(shown) >= width:
            lines.append(str(i))
        lines[-1] += " " + shown
    return "\n".join(lines)

"""Text -> lexemes with their places, and the small readers that all elements share.

number = ["-"] 1*digit [ ":" 1*digit ]
string = '"' *char '"'
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache, cached_property

from scorelm.errors import FormatError, ScoreError
from scorelm.notation.lexemes import IDS, TOKENS, name_lexeme
from scorelm.notation.lyrics import Slot, read_line
from scorelm.notation.marks import (
    CLEF_OF,
    EXTENDS,
    SCOPES,
    SYLLABICS,
    TAKING,
    check_arguments,
    mark_lexeme,
    read_string,
    read_syllable,
)
from scorelm.notation.model import MAX_QUARTERS, Argument, Clef, Key, Mark, Time
from scorelm.notation.pitches import ALTER_OF, MAX_ALTER, PITCH_OF, SIGN_OF

MAX_DIGITS = 9
MAX_CLEF_LINE = 9
MAX_CLEF_OCTAVE = 3
EXTEND_OF = {sign: extend for extend, sign in EXTENDS.items()}
# by their sign, or by their name where both are lexemes
NAME_OF = {
    lexeme: name for name in SCOPES for lexeme in (name_lexeme(name), mark_lexeme(name)) if lexeme in IDS
}  # fmt: skip
SCOPE_OF = {lexeme: SCOPES[name] for lexeme, name in NAME_OF.items()}
SYMBOLS = frozenset(
    f"!{name}!" for name in ("common", "cut", "single-number", "note-time", "dotted-note-time", "interchangeable")
)
MODES = frozenset(
    f"!{name}!" for name in "major minor dorian phrygian lydian mixolydian aeolian locrian ionian mode-none".split()
)
END = ""  # what stands after the last lexeme


class Scanner:
    """A cursor over the lexemes of a text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[str] = [*TOKENS.findall(text), END]
        self.i = 0

    @cached_property
    def places(self) -> list[int]:
        """Where in the text each lexeme begins; looked for when it is asked for, which is where something is wrong."""
        return [*(match.start() for match in TOKENS.finditer(self.text)), len(self.text)]

    def error(self, expected: str, i: int | None = None) -> FormatError:
        """``expected a pitch, found 'R'`` at the lexeme ``i`` (the current one)."""
        i = self.i if i is None else i
        found = self.tokens[i]
        shown = "the end of the text" if found == END else repr(found if len(found) < 40 else found[:40] + "...")
        return FormatError(f"expected {expected}, found {shown}", self.text, self.places[i])

    def fault(self, message: str, i: int) -> FormatError:
        return FormatError(message, self.text, self.places[i])

    def take(self, token: str) -> bool:
        if self.tokens[self.i] == token:
            self.i += 1
            return True
        return False

    def digits(self, what: str = "a number") -> int:
        start = self.i
        while "0" <= self.tokens[self.i] <= "9" and len(self.tokens[self.i]) == 1:
            self.i += 1
        text = "".join(self.tokens[start : self.i])
        if not text:
            raise self.error(what)
        if len(text) > MAX_DIGITS or (text[0] == "0" and text != "0"):
            raise self.fault(f"{text!r} is no number: at most {MAX_DIGITS} digits, no leading zero", start)
        return int(text)

    def number(self, what: str = "a number") -> Fraction:
        """[-] digits [: digits], in lowest terms."""
        start = self.i
        sign = -1 if self.take("-") else 1
        top, bottom = self.digits(what), 1
        if self.take(":"):
            bottom = self.digits(what)
        if bottom == 0 or (bottom == 1 and self.tokens[self.i - 2] == ":") or Fraction(top, bottom).numerator != top:
            raise self.fault(f"{top}:{bottom} is not in lowest terms", start)
        return Fraction(sign * top, bottom)

    def length(self) -> Fraction:
        """A length in quarters after its "@"."""
        start = self.i
        length = self.number("a length in quarters")
        if length < 0:
            raise self.fault("a length cannot be negative", start)
        if length > MAX_QUARTERS:
            raise self.fault(f"a measure lasts at most {MAX_QUARTERS} quarters", start)
        return length

    def string(self, what: str = "a quoted text") -> str:
        token = self.tokens[self.i]
        if not token.startswith('"'):
            raise self.error(what)
        value = read_string(token)
        if value is None:
            raise self.error("a closed quote of text with the escapes \\\\ \\q \\p \\n")
        self.i += 1
        return value

    def arguments(self) -> tuple[Argument, ...]:
        args: list[Argument] = []
        while True:
            token = self.tokens[self.i]
            if token.startswith('"'):
                args.append(self.string())
            elif token == "," and args and not isinstance(args[-1], str):
                self.i += 1
                args.append(self.number())
            elif (token == "-" or (len(token) == 1 and "0" <= token <= "9")) and (
                not args or isinstance(args[-1], str)
            ):
                args.append(self.number())
            else:
                return tuple(args)

    def mark(self) -> Mark:
        """A named mark, the cursor on its name."""
        start = self.i
        name = NAME_OF[self.tokens[start]]
        if name == "lyric":
            return self.lyric()
        self.i += 1
        token = self.tokens[self.i]
        bare = not (token[:1] in ('"', "-") or (len(token) == 1 and token.isdigit()))
        if bare and name not in TAKING:
            return _plain_mark(name)
        mark = Mark(name, () if bare else self.arguments())
        try:
            check_arguments(mark)
        except ScoreError as error:
            raise self.fault(str(error), start) from None
        return mark

    def lyric(self) -> Mark:
        """A lyric; its arguments as in marks.py."""
        self.take("l")
        verse = self._verse()
        at = self.i
        spelled = [self._quoted("a syllable in quotes")]
        elisions: list[str] = []
        while self.take("!elision!"):
            elisions.append(self.string("the sign of an elision"))
            spelled.append(self._quoted("the syllable behind an elision"))
        read = [read_syllable(s, i == 0, i == len(spelled) - 1) for i, s in enumerate(spelled)]
        texts = [text for text, _, _ in read if text is not None]
        if len(texts) < len(read):
            raise self.error("a closed quote of text with the escapes \\\\ \\q \\p \\n \\h", at)
        hyphens = "-" * read[0][1], "-" * read[-1][2]
        syllabic = next(name for name, signs in SYLLABICS.items() if signs == hyphens)
        extend = EXTEND_OF.get(self.tokens[self.i])
        if extend:
            self.i += 1
        more = [x for pair in zip(elisions, texts[1:]) for x in pair]
        return Mark("lyric", (verse, texts[0], syllabic, *more, *([extend] if extend else [])))

    def lyric_line(self) -> tuple[Argument, list[Slot]]:
        """A lyric line: its verse and what it holds for each chord; grammar in lyrics.py."""
        self.i += 1
        verse = self._verse()
        at = self.i
        slots = read_line(self._quoted("a line of syllables in quotes"), verse)
        if slots is None:
            raise self.error("a closed quote of syllables with the escapes \\\\ \\q \\p \\n \\h \\s \\u \\e", at)
        return verse, slots

    def _verse(self) -> Argument:
        if self.take(":"):
            return self.string("the name of a verse")
        return Fraction(self.digits()) if self.tokens[self.i].isdigit() else Fraction(1)

    def _quoted(self, what: str) -> str:
        token = self.tokens[self.i]
        if not token.startswith('"'):
            raise self.error(what)
        self.i += 1
        return token

    def key_or_time(self) -> Key | Time | None:
        """A key or a time if one stands here."""
        token = self.tokens[self.i]
        if token == "T":
            return self.time()
        return self.key() if token[:1] == "K" and len(token) > 1 else None

    def key(self) -> Key:
        token = self.tokens[self.i]
        self.i += 1
        fifths = 0
        alters: list[tuple[str, Fraction | int]] = []
        if token != "K!":
            fifths = int(token[1:])
        elif self.tokens[self.i] == "-" or self.tokens[self.i].isdigit():
            start = self.i
            exact = self.number()
            if exact.denominator != 1 or not 7 < abs(exact) <= 14:
                raise self.fault("K! takes a number of fifths beyond 7", start)
            fifths = int(exact)
        else:
            while not alters or not self.take(":"):
                start = self.i
                expected = "':' behind the steps of the key" if alters else "a step or a number of fifths"
                step, octave, alter = self.pitch(expected)
                if octave != 4:
                    raise self.fault("a step of a key is C D E F G A B", start)
                alters.append((step, alter))
        mode = None
        if self.tokens[self.i] in MODES:
            mode = self.tokens[self.i][1:-1].removeprefix("mode-")
            self.i += 1
        return Key(fifths, mode, tuple(alters))

    def pitch(self, expected: str = "a note or a rest") -> tuple[str, int, Fraction | int]:
        """Step, octave, alteration in semitones."""
        found = PITCH_OF.get(self.tokens[self.i])
        if found is not None:
            self.i += 1
            return found
        start = self.i
        alter: Fraction | int | None = ALTER_OF.get(self.tokens[start])
        if alter is None and self.tokens[start] != "%":
            raise self.error(expected)
        self.i += 1
        if alter is None:
            alter = self.number("a number of semitones")
            if alter in SIGN_OF or abs(alter) > MAX_ALTER:
                raise self.fault(f"%{alter} is out of bounds or has a sign of its own", start)
        return (*self.place("the letter of a natural"), alter)

    def place(self, expected: str) -> tuple[str, int]:
        """Step and octave of a place on the staff: the letter of a natural."""
        step, octave, alter = PITCH_OF.get(self.tokens[self.i], ("", 0, 1))
        if alter:
            raise self.error(expected)
        self.i += 1
        return step, octave

    def time(self) -> Time:
        at = self.i
        self.i += 1
        terms: list[tuple[tuple[int, ...], int]] = []
        if not self.take("x"):
            while True:
                start = self.i
                beats = [self.digits("the beats of a time signature")]
                while self.take("+"):
                    beats.append(self.digits())
                if not self.take(":"):
                    raise self.error("':' and the beat unit")
                unit = self.digits()
                if unit not in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024) or not 0 < sum(beats) < 1000:
                    raise self.fault("no such time signature", start)
                terms.append((tuple(beats), unit))
                if not self.take(","):
                    break
        symbol = None
        if self.tokens[self.i] in SYMBOLS:
            symbol = self.tokens[self.i][1:-1]
            self.i += 1
        time = Time(tuple(terms), symbol)
        if time.quarters is not None and time.quarters > MAX_QUARTERS:
            raise self.fault(f"a measure lasts at most {MAX_QUARTERS} quarters", at)
        return time

    def clef(self) -> Clef:
        start = self.i
        clef = CLEF_OF[self.tokens[start]]
        self.i += 1
        if clef.line is None and self.tokens[self.i].isdigit():
            args = self.arguments()
            if len(args) > 2 or any(isinstance(a, str) or a.denominator != 1 for a in args):
                raise self.fault("a clef takes a line and an octave change", start)
            line, octave = int(args[0]), int(args[1]) if len(args) > 1 else 0
            if line > MAX_CLEF_LINE or abs(octave) > MAX_CLEF_OCTAVE:
                raise self.fault("a clef stands on line 1 to 9, at most 3 octaves off", start)
            clef = Clef(clef.sign, line or None, octave)
        return clef


@cache
def _plain_mark(name: str) -> Mark:
    return Mark(name)

"""Texts under way: what may come next in each, what a model is shown of it, and the several ways that it may take."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from scorelm.analysis.lines import lines
from scorelm.bound.lexemes import LexemeTokens
from scorelm.bound.strict import PATIENCE
from scorelm.bound.strict import strict as strictly
from scorelm.bound.walk import Ids, meant
from scorelm.errors import ConfigError, FormatError
from scorelm.guidance import Guidance, are_parallel
from scorelm.notation.canonical import Canonical
from scorelm.notation.heard import Ear
from scorelm.notation.lexemes import FINAL, cut, joined
from scorelm.notation.limits import ENOUGH, limits_of
from scorelm.notation.model import Part
from scorelm.notation.plan import Plan
from scorelm.notation.planned import lead, tail, walk_of
from scorelm.notation.reader import parse
from scorelm.notation.sound import Sound
from scorelm.notation.transform import extract, strip
from scorelm.notation.writer import write
from scorelm.readers import Logits, Shown
from scorelm.recalled import Recall, shown_of
from scorelm.sampling import Sampling
from scorelm.ways import log_sum, successors

if TYPE_CHECKING:
    from scorelm.generation import Student

MOST_MEASURES = 120  # that a continuation adds
MOST_GUIDED = 64  # that one adds which is led
MOST_TOKENS = 8192  # behind so many, a text that is asked for no length has one more measure
CONTEXT = 1024  # tokens that the model looks back at most when a measure begins
MOST_AGAIN = 20  # times that a measure is begun anew
MOST_LOST = 3.0  # nats: what the grammar may turn a measure from, at its first time
LENIENCY = 1.2  # by which that grows each time
AGAINST = 20.0  # nats: what a note counts that breaks the rule of strict voice leading, which left no other
FITS = 8  # given measures behind the last that is written, which tell how well it fits; the model reads no others
LONGER = 3  # times the longest given measure, in lexemes: no real one was so long; it is begun anew, or soon full
SHORT = 24  # lexemes in each staff, which any measure may have
MORE = frozenset("+-&{")  # makes it longer still
TO_AN_END = 0.5  # nats by which a final barline is likelier with each new measure behind PATIENCE of them
FEW = 8  # more tokens than these may come wherever music may


class Context:
    """What the model is shown: ids, with what is heard behind each where it hears, and where each stands in the music,
    or in the row; and what it is told of given music, where it recalls."""

    def __init__(self, student: Student) -> None:
        self.student = student
        self.ids: list[Shown] = []
        self.positions: list[float] = []
        self.clock = student.clock()
        self.recall: Recall | None = None
        self.told: tuple[int, ...] = ()  # behind the last id, to be shown with it

    def read(self, text: str) -> None:
        """Only this from now on. What was given before is told of as it was."""
        self.ids, self.positions, self.clock = [], [], self.student.clock()
        for token, lexemes in self.student.tokens.encode(text):
            self._append(token, lexemes)

    def give(self, text: str, later: str = "") -> None:
        """Read a text that is told of from now on. later: one that is told of, too, and is not read, for it comes later"""
        self.recall = self.student.recall() if max(text.count("|"), later.count("|")) > 1 else None
        if self.recall:
            self._give(later)
            self.recall.begin_anew()
        self._give(text)

    def _give(self, text: str) -> None:
        self.ids, self.positions, self.clock = [], [], self.student.clock()
        for token, lexemes in self.student.tokens.encode(text):
            self.append(token, lexemes, given=True)

    def append(self, token: int | None, lexemes: Sequence[str], given: bool = False) -> None:
        """A token, and the lexemes that it writes; it is None where the model knows none for them."""
        part = self.clock.here if isinstance(self.clock, Ear) else 0
        self._append(token, lexemes)
        if self.recall and token is not None:
            assert isinstance(self.clock, Ear) and self.student.recalled_from
            self.recall.push(token, part, given)
            self.told = shown_of(self.recall.recalled(self.clock.here), self.student.recalled_from)

    def last(self) -> Shown:
        """The last id, and what the model is told there."""
        last = self.ids[-1]
        return last if isinstance(last, int) else (*last, *self.told)

    def _append(self, token: int | None, lexemes: Sequence[str]) -> None:
        moment = 0.0
        for lexeme in lexemes if self.clock else ():
            moment = self.clock.push(lexeme)
        if token is not None:
            heard = self.clock.heard() if isinstance(self.clock, Ear) else ()
            self.ids.append((token, *(self.student.heard_from + row for row in heard)) if heard else token)
            self.positions.append(moment if self.student.timed else float(len(self.positions)))

    def shorten(self) -> None:
        """Half of what may be read at most."""
        self.ids, self.positions = self.ids[-CONTEXT // 2 :], self.positions[-CONTEXT // 2 :]
        if not self.student.timed:
            self.positions = [float(i) for i in range(len(self.ids))]

    def copy(self) -> Context:
        out = copy.copy(self)
        out.clock = self.clock and self.clock.copy()
        out.recall = self.recall and self.recall.copy()
        out.ids, out.positions = list(self.ids), list(self.positions)
        return out


class Ways:
    """The ways of one text, written beside each other. They wait for each other at barlines and behind given music."""

    def __init__(self, texts: list[Text], seed: int) -> None:
        self.texts = texts
        for way, text in enumerate(texts):
            text.chance = np.random.default_rng((seed, way) if way else seed)
        self.chance = np.random.default_rng((seed, len(texts)))
        self.sent = 0  # pieces

    def choose(self) -> list[tuple[int, int]]:
        """Which ways go on in the place of others: (the place, the way that stands there too from now on)."""
        found = successors([text.weight for text in self.texts], self.chance)
        moved = [(way, successor) for way, successor in enumerate(found) if way != successor]
        for way, successor in moved:
            chance = self.texts[way].chance
            self.texts[way] = self.texts[successor].another()
            self.texts[way].chance = chance
        for text in self.texts:
            text.waits = text.ended
            text.weight = 0.0 if moved else text.weight
        return moved

    def come(self) -> str:
        """What comes behind the pieces that came before: those that all ways have, at the end the likeliest's."""
        if all(text.ended for text in self.texts):
            best = min(self.texts, key=Text.nats_a_quarter) if len(self.texts) > 1 else self.texts[0]
            return "".join(best.pieces[self.sent :])
        start = self.sent
        for alike in zip(*(text.pieces[start:] for text in self.texts)):
            if len(set(alike)) > 1:
                break
            self.sent += 1
        return "".join(self.texts[0].pieces[start : self.sent])


class Text:
    """One text under way: what may come next, what its reader has read, and how likely it is."""

    def __init__(
        self,
        student: Student,
        prompt: str | Plan,
        measures: int | None,
        at_least: int,
        sampling: Sampling,
        strict: bool,
        again: int = 0,
        guidance: float = 0.0,
    ) -> None:
        """again: how many times a measure may be begun anew
        guidance: how firmly the text is held to the key that it says, and its singers apart
        """
        self.student = student
        self.sampling = sampling
        self.chance = np.random.default_rng()
        self.plan = prompt if isinstance(prompt, Plan) else Plan()
        text = lead(prompt) if isinstance(prompt, Plan) else prompt
        at = text.rfind("|") + 1
        begun = text[at:].strip()
        score = parse(text[:at])
        given = write(score)
        present = given.count("|") - 1
        if measures is not None and measures <= present:
            raise ConfigError(f"the prompt has {present} measures already, {measures} were asked for")
        least = max(at_least, present + 1)
        bounds = measures, least, max(least, present + (MOST_GUIDED if guidance else MOST_MEASURES))
        tokens = student.tokens
        plan = prompt if isinstance(prompt, Plan) else None
        self.limits = {} if begun else limits_of(plan.score if plan else score)  # the measure that is begun is sound
        sound = walk_of(plan, *bounds) if plan else Sound(text[:at], *bounds, orderly=True, limits=self.limits)
        self.strict = strict
        self.guide = self._guide(given + begun, guidance)
        self.given = present
        led_to_an_end = guidance and measures is None and not self.plan.closed and isinstance(tokens, LexemeTokens)
        self.final = tokens.single.get(FINAL) if led_to_an_end else None
        if strict or self.guide:
            known = tuple(lines(strip(plan.score) if plan else score))
            self.apart = not (strict or are_parallel(known))
            sound = strictly(sound, text[:at], known if plan else (), bool(begun), strict)
        try:
            self.walk = tokens.walk(sound, begun)
        except ValueError as error:
            Sound(text, *bounds)  # says where
            raise FormatError(f"{error} in sound text", text, at) from None
        self.canonical, self.full = Canonical(), Canonical()
        self.most_again = again
        self.closes = measures is not None
        self.again = 0  # times that this measure was begun anew
        self.lost = 0.0  # nats: -log of the share that the grammar left of what the model meant in this measure
        self.against = 0  # notes of this measure that break a rule
        self.barline: Text | None = None  # as the text was when this measure began
        self.whole = "|\n"  # as the model is shown it
        later = tail(self.plan)
        self.longest = self._longest((given, later), (plan.score if plan else score).parts)  # lexemes of a measure
        self.plain = np.array([MORE.isdisjoint(x) for x in tokens.tokens] if isinstance(tokens, LexemeTokens) else [])
        self.pieces = ["|\n"]  # as they come, with all that was given; those of the prompt are one
        for measure in given.split("|")[1:-1]:
            self._close(measure + "|")
        self.pieces = ["".join(self.pieces)]
        self.piece = cut(begun)  # what is written of the next measure
        if tokens.spells_lines and begun:
            self.piece.insert(0, "\n")
        self.weight = 0.0  # log of how likely all that had to come was, since the ways were last chosen
        self.nats = 0.0  # -log p of all that was written
        self.waits = self.ended = False
        self.left: float = MOST_TOKENS if measures is None and not self.plan.closed else float("inf")  # tokens
        self.context = Context(student)
        self.context.give(self._shown(self.whole, begun), later)
        if len(self.context.ids) >= CONTEXT and present:
            self.context.read(self._shown(self._last_measures(), begun))
        if len(self.context.ids) >= 2 * CONTEXT:
            self.context.shorten()

    def _longest(self, given: Sequence[str], parts: Sequence[Part]) -> int | None:
        """How many lexemes a measure may have, by the given ones; None where they are few."""
        sizes = [len(cut(measure)) for text in given for measure in text.split("|")[2:-1]]  # a first one has a head
        if len(sizes) < ENOUGH or not isinstance(self.student.tokens, LexemeTokens):
            return None
        return max(LONGER * max(sizes), SHORT * sum(part.staves for part in parts))

    def _guide(self, before: str, strength: float) -> Guidance | None:
        """What leads a text to the key that it says; none where what is given is in another one."""
        tokens = self.student.tokens
        if not strength or not isinstance(tokens, LexemeTokens):
            return None
        guide = Guidance(tokens.tokens, strength)
        given = guide.behind(write(strip(self.plan.score)) if self.plan.score.measures else before)
        guide.assumed = given.likeliest()
        return guide.behind(before) if given.keeps_home() else None

    def another(self) -> Text:
        """A text that goes on from here by itself."""
        out = copy.copy(self)
        out.walk = self.walk.copy()
        out.context = self.context.copy()
        out.guide = self.guide and self.guide.copy()
        out.canonical, out.full = copy.deepcopy(self.canonical), copy.deepcopy(self.full)
        out.pieces, out.piece = list(self.pieces), list(self.piece)
        return out

    def nats_a_quarter(self) -> float:
        return self.nats / max(1.0, float(parse(self.whole).quarters))

    def take(self, logits: Logits) -> bool:
        """Go on by the next token, or not, where this measure is better begun anew (see ``back``); whether it went on.

        What is left to a model that means what may not come is unlikely, and one such token leads to the next. To throw
        such measures away draws nearer to what the model would write if it wrote only what is sound.
        """
        if self.barline is None and self.most_again:
            self.barline = self.another()
        self._judge()
        ids = self.walk.choices()
        if self.longest is not None and len(self.piece) > self.longest:
            if self.again < self.most_again:
                return False
            fewer = ids[self.plain[ids]]
            ids = fewer if len(fewer) else ids
        found = meant(logits, ids, self.walk.line_end())
        forbidden = self.walk.forbidden if self.guide and self.apart else ()
        chosen = self.sampling.choose(self._led(found, ids, forbidden), self.chance) if len(ids) > 1 else 0
        everything = log_sum(logits)
        left = log_sum(found) - everything
        if not self._asked_for(ids):
            self.lost -= left
        if self.again < self.most_again and self.lost > MOST_LOST * LENIENCY**self.again:
            return False
        self.weight += left
        self.nats += everything - float(found[chosen])
        self.push(int(ids[chosen]))
        if self.guide:
            self.guide.broken += int(ids[chosen]) in forbidden
        return True

    def _led(self, logits: Logits, ids: Ids, forbidden: Sequence[int]) -> Logits:
        """By guidance. A text that goes on and on, as a model does that hardly knows such music, is drawn to its end."""
        if self.guide:
            logits = self.guide.guided(logits, ids, forbidden)
        beyond = self.whole.count("|") - 1 - self.given - PATIENCE
        if self.final is None or beyond <= 0:
            return logits
        out: Logits = logits + (TO_AN_END * beyond) * (ids == self.final)
        return out

    def _judge(self) -> None:
        """Let notes count that break a rule: their measure is rather begun anew, and other ways are rather gone on with."""
        broken = AGAINST * (self.walk.against - self.against)
        self.against = self.walk.against
        self.lost += broken
        self.weight -= broken
        self.nats += broken

    def back(self) -> Text:
        """This text where its measure began, to go on by other chance."""
        assert self.barline is not None
        out = self.barline.another()
        out.barline, out.chance, out.again = self.barline, self.chance, self.again + 1
        return out

    def _asked_for(self, ids: Ids) -> bool:
        """Whether what may come was asked for, so that other chance brings nothing else: key and time, or the end
        behind so many measures."""
        if self.whole == "|\n":
            return len(ids) == 1
        return self.closes and len(ids) < FEW and FINAL in (self.student.tokens.text([int(i)]) for i in ids)

    def push(self, token: int) -> None:
        """Go on by a token that may stand here."""
        lexemes = self.walk.push(token)
        self.ended = self.walk.ended
        self.waits = self.ended or self.walk.fits
        if self.ended:
            return
        self.left -= 1
        self.context.append(token, lexemes)
        for lexeme in lexemes if self.guide else ():
            self.guide.push(lexeme)
        self.piece += lexemes
        if any("|" in lexeme for lexeme in lexemes):
            self.waits = True
            *measures, rest = joined(self.piece).split("|")
            for measure in measures:
                self._close(measure + "|")
            self.piece = [rest] if rest else []
            self._take_the_rest()

    def _take_the_rest(self) -> None:
        """Where nothing is to be written any more, and enough of what is given has been read: the text is whole."""
        done = self.whole.count("|") - 1
        if not self.plan.closed or done <= FITS + max((measure for measure, _ in self.plan.free), default=done):
            return
        for measure in write(strip(self.plan.score)).split("|")[done + 1 : -1]:
            self._close(measure + "|")
        self.ended = self.waits = True

    def _close(self, measure: str) -> None:
        """A measure is whole."""
        self.again, self.lost, self.against, self.barline = 0, 0.0, 0, None
        number = self.whole.count("|") - 1
        shown = self.canonical.measure(measure)
        self.whole += shown
        if self.plan.score.measures:
            shown = self.full.measure(measure, lambda written: self.plan.whole(number, written))
        self.pieces.append(shown)

    def shorten(self) -> bool:
        """Where the text has become too long, let it end; where the context is full, go on from the last measures, with
        what is in force said again. Whether either was."""
        if self.left > 0 and len(self.context.ids) < CONTEXT:
            return False
        closed = joined(self.piece) == ("\n" if self.student.tokens.spells_lines else "")
        ending = closed and self.left <= 0 and self.whole.count("|") > len(self.plan.score.measures)
        if ending:
            self._end()
        if len(self.context.ids) < CONTEXT:
            return ending
        if closed:
            self.context.read(self._last_measures())
        full = len(self.context.ids) >= 2 * CONTEXT - 1  # by one measure alone: only its end is seen
        if full:
            self.context.shorten()
        return closed or full

    def _end(self) -> None:
        """One measure is still to come, or more where ties lead into them."""
        measures = self.whole.count("|") - 1
        sound = Sound(self.whole, measures + 1, orderly=True, limits=self.limits)
        if self.strict or self.guide:
            sound = strictly(sound, self.whole, (), False, self.strict)
        self.walk = self.student.tokens.walk(sound, joined(self.piece))
        self.closes = True
        self.left = float("inf")

    def _shown(self, measures: str, begun: str) -> str:
        """Whole measures and what is written of the next one, as a prompt that tokens go on from."""
        return measures + begun if begun or not self.student.tokens.spells_lines else measures.rstrip("\n")

    def _last_measures(self) -> str:
        """So many whole measures as half of the context holds, one at least, as a text of its own."""
        sizes = [len(self.student.tokens.encode(measure + "|")) for measure in self.whole.split("|")[1:-1]]
        kept = len(sizes)
        while kept > 1 and sum(sizes[kept - 1 :]) < CONTEXT // 2:
            kept -= 1
        return write(extract(parse(self.whole), (min(kept + 1, len(sizes)), len(sizes))))

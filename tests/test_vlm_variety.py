"""Training pieces in other names, values, signatures, clefs and notes are as whole as they were."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from scorelm import extract
from scorelm.notation.model import Score, Time, chords
from scorelm.notation.normal import normalise
from scorelm.notation.reader import parse
from scorelm.notation.sound import sound_problems
from scorelm.notation.writer import write
from vlm.data.config import DataConfig
from vlm.data.facts import start_marks
from vlm.data.pieces import Piece
from vlm.data.rendered import engraving
from vlm.data.variety import rescaled, varied

pytest.importorskip("resvg_py", reason='pictures need resvg: pip install "scorelm[vlm]"')


def times_of(score: Score) -> list[Time]:
    return [mark for measure in score.measures for mark in start_marks(measure) if isinstance(mark, Time)]


def test_other_names_values_and_clefs_are_given_to_pieces_of_train_alone(chorales: list[str]) -> None:
    hymn = Piece(extract(chorales[0], measures=(1, 6)), "hymn", "train")
    settings = DataConfig(
        engravers={"verovio": 1}, varied=1.0, transpose=False, worn=0.0, pages=0, fields=0, questions=0
    )
    plain = replace(settings, varied=0.0)
    texts = [{r.answer for r in engraving(hymn, settings, epoch)} for epoch in range(6)]
    assert sum(text != {r.answer for r in engraving(hymn, plain, epoch)} for epoch, text in enumerate(texts)) >= 4
    held_out = replace(hymn, split="test")
    assert engraving(held_out, settings) == engraving(held_out, plain)


def test_varied_scores_are_whole_and_follow_their_seed(chorales: list[str]) -> None:
    seen: Counter[str] = Counter()
    for number, text in enumerate(chorales * 4):
        score = parse(text)
        other = varied(score, np.random.default_rng(number))
        assert other == varied(score, np.random.default_rng(number))
        assert sound_problems(write(other)) == []
        seen["names"] += [p.name for p in other.parts] != [p.name for p in score.parts]
        seen["start"] += len(other.measures) < len(score.measures)
        seen["values"] += other.quarters * 2 == score.quarters
        seen["signatures"] += times_of(other) != times_of(score)
        seen["clefs"] += write(other).count("!clef-C") > write(score).count("!clef-C")
        seen["notes"] += [n.pitch for c in chords(other) for n in c.notes] != [
            n.pitch for c in chords(score) for n in c.notes
        ]
    assert set(seen) == {"names", "start", "values", "signatures", "clefs", "notes"} and min(seen.values()) > 0
    assert seen["start"] < len(chorales) * 4 / 2


def test_halved_values_last_half_as_long_and_come_back(chorales: list[str]) -> None:
    score = parse(chorales[0])
    half = rescaled(score, 1)
    assert half.quarters * 2 == score.quarters and sound_problems(write(normalise(half))) == []
    assert times_of(score)[0].quarters == 2 * times_of(half)[0].quarters
    back = rescaled(half, -1)
    assert [c.value for c in chords(back)] == [c.value for c in chords(score)]

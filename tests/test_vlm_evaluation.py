"""What a reader gets wrong is counted as it is by hand, what cannot be read is wrong, and nothing is left out."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

pytest.importorskip("resvg_py", reason="pictures need resvg")
pytest.importorskip("rapidfuzz")
pytest.importorskip("nltk")
pytest.importorskip("rouge_score")

from scorelm.errors import SourceError
from scorelm.notation.reader import parse
from scorelm.notation.writer import write
from vlm import evaluate
from vlm.data.config import DataConfig
from vlm.data.pieces import Piece
from vlm.data.record import ALIGNMENT, ANALYSIS, EXTRACTION, Record, write_records
from vlm.data.rendered import engraving
from vlm.evaluation import examples
from vlm.evaluation.figures import figures, interval, rate
from vlm.evaluation.report import table
from vlm.evaluation.rows import NO_STAFF, NOT_READ, Answered, Examiner, Extracted, Row, Transcribed
from vlm.evaluation.sample import sample
from vlm.evaluation.transcriptions import Edits, edits, omr_ned, unopened
from vlm.evaluation.words import meteor, rouge_l
from vlm.reading.staff_texts import apart
from vlm.reading.staves import strips
from vlm.student import transcribe
from vlm.student.model import Shape, new_reader, save_reader
from vlm.student.transcribe import Transcription

TEXT = '|\nK1T4:4P""!clef-G2!GABc|\nhdB|\n'  # K1 T 4 : 4 P"" !clef-G2! G A B c | h d B |
CONFIG = DataConfig(engravers={"verovio": 1.0}, staff_px=20.0, transpose=False, worn=0.0, pages=0, staves=1, systems=1)


@pytest.fixture(scope="module")
def records(chorales: list[str]) -> list[Record]:
    """A clean system and a staff of two chorales, with questions, of which the reader finds all staves."""
    found = [r for i, text in enumerate(chorales[:2]) for r in engraving(Piece(text, f"piece{i}", "test"), CONFIG)]
    good = [r for r in found if sum(map(len, strips(r.picture().convert("L")))) == len(parse(r.score).parts)]
    assert {r.phase for r in good} == {ALIGNMENT, EXTRACTION, ANALYSIS}
    return good


class Knowing:
    """A reader that says what it is told to."""

    def __init__(self) -> None:
        self.text, self.words, self.whole = "", "", True

    def system(self, some: Sequence[Any]) -> list[Transcription]:
        return [Transcription(write(staff), (1.0,), self.whole) for staff in apart(parse(self.text))]

    def answer(self, some: Sequence[Any], prompt: str) -> str:
        return self.words


def examined(record: Record, text: str, words: str = "", whole: bool = True) -> Row:
    reader = Knowing()
    reader.text, reader.words, reader.whole = text, words, whole
    return Examiner(reader)(record)  # type: ignore[arg-type]


# Text


def test_edits_are_those_counted_by_hand() -> None:
    units = edits(TEXT, TEXT)
    assert {name: (e.count, e.of) for name, e in units.items()} == {
        "symbols": (0, 16), "characters": (0, 27), "lines": (0, 2)
    }  # fmt: skip
    other = edits(TEXT.replace("GABc", "G^ABc"), TEXT)
    assert [other[name].count for name in ("symbols", "characters", "lines")] == [1, 1, 1]
    shorter = edits('|\nK1T4:4P""!clef-G2!GABc|\n', TEXT)
    assert [shorter[name].count for name in ("symbols", "characters", "lines")] == [4, 4, 1]


@pytest.mark.parametrize("text", ["", None, "no score", "|\nGAB"])
def test_what_does_not_parse_is_wrong_in_every_unit(text: str | None) -> None:
    assert all(e.count == e.of > 0 for e in edits(text, TEXT).values())
    assert omr_ned(text, TEXT) in (None, Edits(1, 1)) or rate([omr_ned(text, TEXT)]) == 1.0  # type: ignore[list-item]


def test_a_text_opens_where_every_measure_is_full() -> None:
    assert unopened(TEXT) == ""
    assert unopened('|\n@4K1P""!clef-G2!GABc|\n@4hdB-|\n') == ""  # tied into what the picture does not show
    assert "measure 1" in unopened('|\nK1T4:4P""!clef-G2!GAB|\n')
    assert "no measures" in unopened("|")
    assert "expected" in unopened("|\nhello|\n")


def test_omr_ned_is_nought_of_the_same_and_small_of_nearly_the_same() -> None:
    pytest.importorskip("musicdiff")
    same, near = omr_ned(TEXT, TEXT), omr_ned(TEXT.replace("GABc", "GAAc"), TEXT)
    assert same is not None and same.count == 0 < same.of
    assert near is not None and 0 < near.count / near.of < 0.3


# Words


def test_rouge_and_meteor_are_those_of_their_papers() -> None:
    known = "the key is D major"
    assert rouge_l(known, known) == 1.0
    assert rouge_l("the key is G major", known) == pytest.approx(0.8)  # 4 of 5 words in order
    assert rouge_l("", known) == meteor("", known) == 0.0
    assert meteor(known, known) == pytest.approx(1 - 0.5 * (1 / 5) ** 3)
    assert meteor("the key is G major", known) == pytest.approx(0.8 * (1 - 0.5 * (2 / 4) ** 3))
    assert meteor("keys", "key") == pytest.approx(0.5)  # by its stem, in one chunk


# Records


def test_who_says_all_that_is_there_has_no_errors(records: list[Record]) -> None:
    rows = [examined(r, r.score, r.answer) for r in records]
    for row in rows:
        if isinstance(row, Transcribed):
            assert (row.exact, row.staves, row.fails, row.symbols.count) == (True, True, "", 0)
            assert all(right for name, right in row.fields.items() if name not in ("tempo", "title", "composer"))
        elif isinstance(row, Extracted):
            assert all(row.by_words.values())
        else:
            assert isinstance(row, Answered)
            assert (row.exact, row.rouge_l, row.wrong) == (True, 1.0, "")
    found = figures(rows)
    assert found["transcription"]["all"]["ser_95"] == [0.0, 0.0]
    assert found["fields"]["of_pictures"]["system"]["clefs"] == {"right": 1.0, "shown": 2, "right_where_shown": 1.0}
    assert "100.0" in table({"model": "m", "dataset": "d", "split": "test", **found})


def test_a_picture_without_staves_is_all_wrong(records: list[Record]) -> None:
    out = io.BytesIO()
    Image.new("L", (300, 200), 255).save(out, "PNG")
    rows = [examined(replace(r, image=out.getvalue()), r.score, r.answer) for r in records]
    found = figures(rows)
    assert found["records"] == len(records)
    assert (found["transcription"]["all"]["ser"], found["transcription"]["all"]["converts"]) == (1.0, 0.0)
    assert found["transcription"]["all"]["fails"] == {NO_STAFF: sum(r.phase == ALIGNMENT for r in records)}
    asked = found["fields"]["of_questions"]["all"]
    assert all(row["by_words"] == row["by_transcription"] == 0.0 for name, row in asked.items() if name != "pictures")
    assert found["words"]["all"]["facts_right"] == found["words"]["all"]["rouge_l"] == 0.0


def test_a_staff_that_was_not_read_does_not_convert(records: list[Record]) -> None:
    record = next(r for r in records if r.phase == ALIGNMENT)
    row = examined(record, record.answer, whole=False)
    assert isinstance(row, Transcribed)
    assert (row.exact, row.fails) == (True, NOT_READ)


def test_fields_that_are_missing_or_no_json_are_wrong(records: list[Record]) -> None:
    record = next(r for r in records if r.phase == EXTRACTION)
    clefs = record.known["clefs"]
    asked = replace(record, answer=json.dumps({"clefs": clefs, "key_signature": record.known["key_signature"]}))
    for words, right in (
        (json.dumps({"clefs": clefs}), {"clefs": True, "key_signature": False}),
        ("the clefs are " + " ".join(clefs), {"clefs": False, "key_signature": False}),
    ):
        row = examined(asked, record.score, words)
        assert isinstance(row, Extracted)
        assert row.by_words == right
        assert row.by_transcription == {"clefs": True, "key_signature": True}


def test_words_with_another_fact_are_wrong(records: list[Record]) -> None:
    record = Record(
        records[0].image, "Which key?", "The piece is in D major.", ANALYSIS, "key", "x", facts='{"key": "D major"}'
    )
    right, wrong = (examined(record, TEXT, said) for said in ("It is in D major.", "It is in G major."))
    assert isinstance(right, Answered) and isinstance(wrong, Answered)
    assert right.wrong == ""
    assert wrong.wrong == "words that do not name the key"


def test_figures_are_told_apart_by_condition_and_engraver(records: list[Record]) -> None:
    record = next(r for r in records if r.task == "system")
    rows = [
        examined(record, record.score),
        examined(replace(record, condition="worn", engraver="musescore"), TEXT),
        examined(replace(record, condition="", engraver=""), "|"),
    ]
    found = figures(rows)["transcription"]
    assert found["by_condition"]["clean"]["ser"] == 0.0
    assert found["by_condition"]["worn"]["ser"] > 0.5
    assert found["by_condition"]["unknown"]["ser"] == 1.0
    assert set(found["by_engraver"]) == {"verovio", "musescore", "unknown"}
    assert set(found["by_task_and_condition"]) == {"system, clean", "system, worn", "system, unknown"}


def test_an_interval_holds_the_rate_and_is_a_point_where_all_are_alike() -> None:
    assert interval([Edits(1, 10)] * 5, 0) == [0.1, 0.1]
    some = [Edits(0, 10)] * 9 + [Edits(10, 10)]
    low, high = interval(some, 0)
    assert 0.0 == low < rate(some) == 0.1 < high <= 0.4


def test_a_record_without_score_text_is_refused(records: list[Record]) -> None:
    with pytest.raises(SourceError, match="no score text"):
        examined(replace(records[0], phase=ALIGNMENT, answer="words"), TEXT)


# Examples and the command


def test_the_examples_are_small_and_of_pieces_that_no_training_saw() -> None:
    found = examples.read_examples()
    assert 20 <= len(found) <= 30
    assert sum(file.stat().st_size for file in examples.FOLDER.iterdir()) < 1_000_000
    table = (Path(evaluate.__file__).parents[1] / "scorelm" / "data" / "jsb_split.tsv").read_text().splitlines()[1:]
    test = {line.split("\t")[0] for line in table if line.split("\t")[1] == "test"}
    assert {record.source.split("#")[0] for record in found} <= test
    assert {record.condition for record in found} == {"clean", "worn"}
    assert {record.engraver for record in found} == {"verovio", "musescore", "lilypond"}
    assert {record.phase for record in found} == {ALIGNMENT, EXTRACTION, ANALYSIS}


def test_examples_are_read_as_they_were_written(records: list[Record], tmp_path: Path) -> None:
    examples.write_examples(records, tmp_path)
    assert examples.read_examples(tmp_path) == records
    with pytest.raises(SourceError, match="no examples"):
        examples.read_examples(tmp_path / "none")


def test_a_sample_is_the_same_each_time(records: list[Record], tmp_path: Path) -> None:
    (tmp_path / "test").mkdir()
    write_records(tmp_path / "test" / "0.parquet", records)
    assert sorted(sample(tmp_path, "test", 0), key=repr) == sorted(records, key=repr)
    some = sample(tmp_path, "test", 1)
    assert [r.phase for r in some] == [ALIGNMENT, EXTRACTION, ANALYSIS]
    write_records(tmp_path / "test" / "0.parquet", records[::-1])
    assert sample(tmp_path, "test", 1) == some


def test_the_command(
    records: list[Record], tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(transcribe, "MOST_TOKENS", 40)  # it has learnt nothing and comes to no end
    reader = new_reader(str(tiny_model), Shape(4, 1, 0.0))
    reader.ctc_head.bias.data[0] = 9.0  # it hears nothing, which is read at once
    save_reader(reader, tmp_path / "reader", {}, "")
    (tmp_path / "data" / "test").mkdir(parents=True)
    write_records(tmp_path / "data" / "test" / "0.parquet", records)
    asked = ["-m", str(tmp_path / "reader"), "--dataset", str(tmp_path / "data"), "-n", "2"]
    assert evaluate.main([*asked, "--json", str(tmp_path / "found.json")]) == 0
    assert "SER" in capsys.readouterr().out
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["records"] == len(found["by_record"]) == 6
    assert found["transcription"]["all"]["pictures"] == 2
    assert found["transcription"]["all"]["ser"] > 0.5
    assert evaluate.main([*asked, "--split", "validation"]) == 2
    assert evaluate.main([*asked, "--json", str(tmp_path / "none" / "found.json")]) == 2
    assert evaluate.main(["-m", str(tmp_path), "--quick"]) == 2
    assert "holds no reader" in capsys.readouterr().err

"""Scores become a dataset: the published split, own scores, failures that cost only themselves."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from scorelm.dataset import Journal, Work, gather, make, read_one
from scorelm.dataset import chorales as works_of_the_split
from scorelm.errors import SourceError
from scorelm.musicxml.writer import write_musicxml
from scorelm.notation.doubling import doubled
from scorelm.notation.model import Score, chords
from scorelm.notation.reader import parse
from scorelm.notation.sound import sound_problems
from scorelm.notation.transform import extract

FIELDS = ["text", "source", "title", "composer", "parts", "measures", "notes", "quarters"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four scores of one's own, one of them broken."""
    out = tmp_path / "scores"
    (out / "more").mkdir(parents=True)
    for number, name in enumerate(("a.musicxml", "b.musicxml", "more/c.musicxml")):
        score = parse(f'|\nT4:4P"A"!clef-G2!{"CDEFG"[number]}hDqC!end!|')
        (out / name).write_bytes(write_musicxml(score, f"Piece {number}"))
    (out / "broken.musicxml").write_text("<score-partwise><part>")
    (out / "notes.txt").write_text("no score")
    return out


def rows_of(folder: Path) -> dict[str, list[dict]]:  # type: ignore[type-arg]
    return {
        split: [json.loads(line) for line in (folder / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()]
        for split in ("train", "validation", "test")
    }


def test_the_published_split_is_kept() -> None:
    works = works_of_the_split()
    counts = {split: sum(work.split == split for work in works) for split in ("train", "validation", "test")}
    assert counts == {"train": 232, "validation": 76, "test": 79}
    assert all(work.path.is_file() for work in works)
    assert len(works_of_the_split(extra=True)) > len(works)
    assert {w.source for w in works_of_the_split(extra=True) if w.split != "train"} == {
        w.source for w in works if w.split != "train"
    }


def test_own_scores_become_rows_and_a_broken_one_is_named(folder: Path, tmp_path: Path) -> None:
    report = make(gather([str(folder)]), tmp_path / "out")
    rows = rows_of(tmp_path / "out")
    found = [row for split in rows.values() for row in split]
    assert sorted(row["source"] for row in found) == ["a.musicxml", "b.musicxml", "more/c.musicxml"]
    assert all(list(row) == FIELDS for row in found)
    assert rows["train"] and rows["validation"]
    first = next(row for row in found if row["source"] == "a.musicxml")
    assert first["text"] == '|\nT4:4P"A"!clef-G2!ChDqC!end!|\n'
    assert (first["title"], first["parts"], first["measures"], first["notes"], first["quarters"]) == (
        "Piece 0",
        1,
        1,
        3,
        4,
    )
    assert [failed["source"] for failed in report.failed] == ["broken.musicxml"]
    assert "broken.musicxml" in (tmp_path / "out" / "failed.jsonl").read_text()


def test_the_bytes_do_not_depend_on_the_number_of_workers(folder: Path, tmp_path: Path) -> None:
    works = gather([str(folder)])
    for workers in (1, 2):
        make(works, tmp_path / str(workers), workers=workers)
    for name in ("train.jsonl", "validation.jsonl", "test.jsonl", "failed.jsonl"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()


def test_instruments_play_with_the_voices_of_some_training_texts(tmp_path: Path) -> None:
    works = works_of_the_split()[:8] + [work for work in works_of_the_split() if work.split != "train"][:2]
    make(works, tmp_path / "plain")
    report = make(works, tmp_path / "doubled", doubled=2.0)
    plain, doubled = rows_of(tmp_path / "plain"), rows_of(tmp_path / "doubled")
    assert (plain["validation"], plain["test"]) == (doubled["validation"], doubled["test"])
    added = [row for row in doubled["train"] if row not in plain["train"]]
    assert len(added) > len(plain["train"])
    assert len({row["text"] for row in added}) == len(added)
    assert report.works["train"] == len(plain["train"]) + len(added)
    of = {row["source"]: parse(row["text"]) for row in plain["train"]}
    for row in added:
        assert sound_problems(row["text"]) == []
        score, before = parse(row["text"]), of[row["source"]]
        names = {part.name for part in before.parts}
        assert [part for part in score.parts if part.name in names] == list(before.parts)
        sung = [heard(before, i) for i in range(len(before.parts))]
        for i, part in enumerate(score.parts):
            if part.name not in names:
                assert heard(score, i) in sung, (row["source"], part.name)


def heard(score: Score, part: int) -> list[tuple[str, int]]:
    """Steps and alterations of the notes of a part."""
    return [(n.pitch.step, n.pitch.alter) for chord in chords(extract(score, parts=[part + 1])) for n in chord.notes]


@pytest.mark.parametrize("text", ['|\nT4:4P"A"!clef-G2!w_E|\n', '|\nT4:4P2"Piano"!clef-G2!wC/!clef-F4!wC,|\n'])
def test_a_score_of_one_part_or_of_a_piano_is_not_doubled(text: str) -> None:
    assert doubled(parse(text), random.Random(1)) is None


def test_the_rows_load_as_a_dataset(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    make(gather([str(folder)]), tmp_path / "out", test=0.0)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    files = {split: str(tmp_path / "out" / f"{split}.jsonl") for split in ("train", "validation")}
    loaded = datasets.load_dataset("json", data_files=files)
    assert loaded["train"].column_names == FIELDS
    assert loaded["validation"][0]["text"].startswith("|\n")


def test_files_folders_globs_and_composers_are_found(folder: Path, tmp_path: Path) -> None:
    assert [w.source for w in gather([str(folder / "a.musicxml")])] == ["a.musicxml"]
    assert len(gather([str(folder / "*.musicxml")])) == 3
    assert len(gather([str(folder), str(folder / "a.musicxml")])) == 4
    assert len(gather(["schumann_clara"])) >= 1
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="holds no scores"):
        gather([str(tmp_path / "empty")])
    with pytest.raises(SourceError, match="nobody: no such file or folder"):
        gather(["nobody"])


def test_a_chorale_that_is_asked_for_by_composer_stays_in_its_split() -> None:
    by_split = {work.source: work.split for work in works_of_the_split(extra=True)}
    found = [work for work in gather(["bach"]) if work.source in by_split]
    assert found
    assert all(work.split == by_split[work.source] for work in found)


def test_a_job_that_was_stopped_goes_on_where_it_was(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    works = gather([str(folder)])
    whole, out = tmp_path / "whole", tmp_path / "out"
    make(works, whole)
    read: list[str] = []

    def read_two(task: tuple[Work, str]) -> object:
        if len(read) == 2:
            raise KeyboardInterrupt
        read.append(task[0].source)
        return read_one(task)

    monkeypatch.setattr("scorelm.dataset.read_one", read_two)
    with pytest.raises(KeyboardInterrupt):
        make(works, out)
    assert [file.name for file in out.iterdir()] == [".unfinished.jsonl"]
    with (out / ".unfinished.jsonl").open("a") as journal:
        journal.write('[[{"text": "half a li')
    monkeypatch.setattr("scorelm.dataset.read_one", lambda task: read.append(task[0].source) or read_one(task))
    make(works, out)
    assert sorted(read) == sorted(work.source for work in works)
    assert "behind 2 of 4 files" in capsys.readouterr().err
    for name in ("train.jsonl", "validation.jsonl", "test.jsonl", "failed.jsonl"):
        assert (out / name).read_bytes() == (whole / name).read_bytes()
    assert not (out / ".unfinished.jsonl").exists()


def test_a_journal_of_another_job_is_begun_anew(folder: Path, tmp_path: Path) -> None:
    works = gather([str(folder)])
    with Journal(tmp_path / "j", works, "core") as journal:
        journal.add(([], "why"))
    assert Journal(tmp_path / "j", works, "core").done == 1
    assert Journal(tmp_path / "j", works, "full").done == 0
    assert Journal(tmp_path / "j", works, "core").done == 0

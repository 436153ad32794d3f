"""Scores and datasets at URLs: the bytes are those of local ones."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from scorelm import remote
from scorelm.dataset import Work, gather, make, read_one
from scorelm.errors import SourceError
from scorelm.musicxml.writer import write_musicxml
from scorelm.notation.reader import parse

NAMES = ("train.jsonl", "validation.jsonl", "test.jsonl", "failed.jsonl")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Scores of one's own in the order of their names, some of them broken."""
    out = tmp_path / "scores"
    (out / "b").mkdir(parents=True)
    for number, name in enumerate(("a.musicxml", "b/c.musicxml", "b-d.xml", "e.mxl", "f.musicxml")):
        score = parse(f'|\nT4:4P"A"!clef-G2!{"CDEFG"[number]}hDqC!end!|')
        (out / name).write_bytes(write_musicxml(score, f"Piece\u2028{number}"))
    (out / "broken.musicxml").write_text("<score-partwise><part>")
    (out / "bad.mxl").write_bytes(b"PK no archive")
    (out / "book.abc").write_text("".join(f"X:{n}\nT:Tune {n}\nM:4/4\nL:1/8\nK:G\nGAB2c4|]\n\n" for n in (1, 2)))
    (out / "broken.sclm").write_text("|\nH4|")
    (out / "notes.txt").write_text("no score")
    return out


@pytest.fixture
def memory(folder: Path) -> Iterator[fsspec.AbstractFileSystem]:
    """The same scores at memory://scores."""
    files = fsspec.filesystem("memory")
    files.put(str(folder), "/scores", recursive=True)
    yield files
    files.store.clear()
    files.pseudo_dirs[:] = [""]


def test_urls_are_told_from_paths() -> None:
    assert all(map(remote.is_url, ("s3://bucket/a.mxl", "memory://a", "zip://a.mxl::/tmp/a.zip")))
    assert not any(map(remote.is_url, ("a.mxl", "/a/b", "C:\\a.mxl", "bach/bwv66.6", "file:///a", Path("a"))))


def test_a_folder_a_file_and_a_glob_are_found_as_local_ones_are(
    folder: Path, memory: fsspec.AbstractFileSystem
) -> None:
    here, there = gather([str(folder)]), gather(["memory://scores"])
    assert [work.source for work in there] == [work.source for work in here]
    assert [work.source for work in gather(["memory://scores/a.musicxml"])] == ["a.musicxml"]
    assert [str(work.path) for work in gather(["memory://scores/*.mxl"])] == [
        "memory:///scores/bad.mxl",
        "memory:///scores/e.mxl",
    ]
    assert gather([f"file://{folder}"]) == here
    for name, said in (("memory://nowhere", "nowhere: no such"), ("nosuch://a", "nosuch://a: ")):
        with pytest.raises(SourceError, match=said):
            gather([name])


def test_an_archive_is_a_folder(folder: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.write(folder / "a.musicxml", "deep/a.musicxml")
    (work,) = gather([f"zip://::{tmp_path / 'all.zip'}"])
    assert work.source == "deep/a.musicxml"
    found, reason = read_one((work, "core"))
    assert not reason and found == read_one((Work(folder / "a.musicxml", work.source), "core"))[0]


def test_a_dataset_from_and_to_urls_has_the_bytes_of_a_local_one(
    folder: Path, memory: fsspec.AbstractFileSystem, tmp_path: Path
) -> None:
    make(gather([str(folder)]), tmp_path / "out")
    memory.pipe_file("/out/train.jsonl", b"old")
    make(gather(["memory://scores"]), "memory://out")
    for name in NAMES:
        assert memory.cat_file(f"/out/{name}") == (tmp_path / "out" / name).read_bytes()
    assert sorted(memory.find("/out")) == sorted(f"/out/{name}" for name in NAMES)
    make(gather(["memory://scores/a.musicxml"]), "memory://out")
    assert not memory.exists("/out/failed.jsonl")
    make(gather(["memory://scores"]), f"file://{tmp_path}/again")
    assert (tmp_path / "again" / "train.jsonl").read_bytes() == (tmp_path / "out" / "train.jsonl").read_bytes()


def test_reasons_do_not_name_where_a_file_lay(folder: Path, memory: fsspec.AbstractFileSystem, tmp_path: Path) -> None:
    make(gather(["memory://scores"]), tmp_path / "out")
    failed = (tmp_path / "out" / "failed.jsonl").read_text()
    assert failed.count("\n") == 3
    assert "memory" not in failed and "tmp" not in failed


def test_a_job_to_a_url_goes_on_where_it_was(
    folder: Path, memory: fsspec.AbstractFileSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(remote, "RESULTS_A_SHARD", 2)
    works = gather([str(folder)])
    make(works, tmp_path / "whole")
    read: list[str] = []

    def read_five(task: tuple[Work, str]) -> object:
        if len(read) == 5:
            raise KeyboardInterrupt
        read.append(task[0].source)
        return read_one(task)

    monkeypatch.setattr("scorelm.dataset.read_one", read_five)
    with pytest.raises(KeyboardInterrupt):
        make(works, "memory://out")
    assert [path.rpartition("/")[2] for path in sorted(memory.find("/out"))] == [
        "00000000-00000002.jsonl",
        "00000002-00000004.jsonl",
        "00000004-00000005.jsonl",
    ]
    monkeypatch.setattr("scorelm.dataset.read_one", lambda task: read.append(task[0].source) or read_one(task))
    make(works, "memory://out")
    assert sorted(read) == sorted(work.source for work in works)
    assert "behind 5 of 9 files" in capsys.readouterr().err
    for name in NAMES:
        assert memory.cat_file(f"/out/{name}") == (tmp_path / "whole" / name).read_bytes()


def test_a_file_that_is_too_large_is_not_fetched(
    memory: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "MAX_FILE_BYTES", 20)
    _, reason = read_one((Work("memory://scores/broken.musicxml", "broken.musicxml"), "core"))
    assert reason == "22 bytes, more than the limit of 20"

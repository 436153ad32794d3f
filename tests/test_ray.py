"""A dataset made on a Ray cluster (a new one on this machine) has the bytes of one that is made without."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import fsspec
import pytest

from scorelm.dataset import Work, gather, make
from scorelm.musicxml.writer import write_musicxml
from scorelm.notation.reader import parse

ROOT = Path(__file__).resolve().parents[1]
NAMES = ("train.jsonl", "validation.jsonl", "test.jsonl", "failed.jsonl")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scores that are read directly, scores that music21 reads, broken ones."""
    out = tmp_path_factory.mktemp("scores")
    (out / "more").mkdir()
    for number in range(30):
        score = parse(f'|\nT4:4P"A"!clef-G2!{"CDEFG"[number % 5]}hDqC!end!|')
        (out / "more" / f"{number}.musicxml").write_bytes(write_musicxml(score, f"Piece {number}"))
    (out / "book.abc").write_text("".join(f"X:{n}\nT:Tune {n}\nM:4/4\nL:1/8\nK:G\nGAB2c4|]\n\n" for n in (1, 2)))
    (out / "no.mid").write_text("no MIDI")
    (out / "more" / "broken.musicxml").write_text("<score-partwise><part>")
    (out / "bad.mxl").write_bytes(b"PK no archive")
    return out


def needs_ray() -> None:
    if find_spec("ray") is None:  # looked for, not imported: ray_job sets Ray's environment first
        pytest.skip('needs Ray: pip install -e ".[ray]"')
    if os.getloadavg()[0] > 4 * (os.cpu_count() or 1):
        pytest.skip("Ray gives its own start 20 seconds, which are too few on a machine that is as busy as this one")


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    needs_ray()
    from scorelm import ray_job

    with ray_job.cluster("local", workers=1):
        yield


def test_a_cluster_writes_the_bytes_that_one_machine_writes(cluster: None, folder: Path, tmp_path: Path) -> None:
    from scorelm import ray_job

    files = fsspec.filesystem("memory")
    files.put(str(folder), "/ray-scores", recursive=True)
    works = gather([str(folder)])
    make(works, tmp_path / "here")
    make(works, tmp_path / "there", read=ray_job.read)
    make(gather(["memory://ray-scores"]), "memory://ray-out", read=ray_job.read)
    by_url = [Work(f"local://{work.path}", work.source) for work in works]  # fetched by the workers
    make(by_url, tmp_path / "fetched", read=ray_job.read)
    for name in NAMES:
        whole = (tmp_path / "here" / name).read_bytes()
        assert (tmp_path / "there" / name).read_bytes() == whole
        assert (tmp_path / "fetched" / name).read_bytes() == whole
        assert files.cat_file(f"/ray-out/{name}") == whole
    assert whole.count(b"\n") == 3


def test_a_lost_worker_and_a_file_without_end_cost_only_themselves(
    cluster: None, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from scorelm import ray_job

    def answer(item: ray_job.Item, profile: str, file_timeout_s: float) -> dict[str, object]:
        import os

        from scorelm import ray_job

        if item["source"] == "kill":
            os.kill(os.getpid(), 9)  # the worker itself, not the process that it reads by
        return ray_job.answer(item, profile, 0.001 if item["source"] == "slow" else file_timeout_s)

    monkeypatch.setattr(ray_job, "answer", answer)
    good = folder / "book.abc"
    works = [Work(good, name) for name in ("a", "b", "kill", "c", "slow", "d")]
    missing = Work(tmp_path / "missing.mxl", "missing")
    answers = list(ray_job.read([*works, missing], "core", file_timeout_s=300))
    assert [len(rows) for rows, _ in answers] == [2, 2, 0, 2, 0, 2, 0]
    assert [reason for _, reason in answers if reason] == [
        "its Ray worker was lost 3 times, as when memory runs out",
        "took longer than 0.001 seconds and was stopped",
        "No such file or directory",
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--ray", "s3://bucket/scores"), "--ray takes auto, local or HOST:PORT"),
        (("--ray", "127.0.0.1:1"), "no Ray cluster answers at 127.0.0.1:1"),
        (("--ray", "--workers", "0"), "--workers 1 or more"),
        (("--file-timeout", "-1"), "--file-timeout is 0 or more"),
    ],
)
def test_the_script_refuses_what_makes_no_sense(words: tuple[str, ...], said: str, tmp_path: Path) -> None:
    ended = script(*words, cwd=tmp_path)
    assert ended.returncode == 2, ended.stderr
    assert said in ended.stderr and "Traceback" not in ended.stderr


def test_without_ray_the_script_says_what_to_install(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "ray.py").write_text('raise ModuleNotFoundError("no Ray here")')
    ended = script(str(folder), "--ray", cwd=tmp_path, path=str(tmp_path))
    assert ended.returncode == 2
    assert 'pip install "scorelm[ray]"' in ended.stderr and "Traceback" not in ended.stderr
    assert [file.name for file in tmp_path.iterdir() if file.name != "__pycache__"] == ["ray.py"]


def test_the_script_runs_on_a_cluster_of_its_own(folder: Path, tmp_path: Path) -> None:
    needs_ray()
    ended = script(str(folder), "--ray", "local", "--workers", "1", "-o", "out", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert "3 files could not be read" in ended.stderr and "32 scores" in ended.stderr
    assert "Traceback" not in ended.stderr and "WARNING" not in ended.stderr
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == sorted(NAMES)


def script(*words: str, cwd: Path, path: str = "") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [path, os.environ.get("PYTHONPATH", "")]))}
    environment.pop("RAY_ADDRESS", None)
    command = [sys.executable, str(ROOT / "generate_data.py"), *words]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300, check=False)

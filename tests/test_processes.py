"""A file that kills or stalls the process that reads it costs only itself."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scorelm import dataset, processes
from scorelm.dataset import gather, make, read_one
from scorelm.errors import ScorelmError

TEXT = '|\nT4:4P"A"!clef-G2!ChDqC!end!|\n'


def behave(task: str) -> str:
    """What a task asks for."""
    if task == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if task == "leave":
        os._exit(3)
    if task == "hang":
        time.sleep(600)
    if task.startswith("once "):  # the first time only
        with open(task.removeprefix("once "), "x"):
            os.kill(os.getpid(), signal.SIGKILL)
    return f"{task} by {os.getpid()}"


def behave_once(task: str) -> str:
    try:
        return behave(task)
    except FileExistsError:
        return "at last"


def read_or_behave(task: tuple[dataset.Work, str]) -> dataset.Result:
    behave(task[0].source.removesuffix(".sclm"))
    return read_one(task)


def test_answers_come_in_order_and_what_ends_or_stalls_a_process_is_told() -> None:
    tasks = ["a", "die", "b", "hang", "c", "leave", "d"]
    answers = list(processes.each(behave, tasks, 2, limit_s=2))
    assert [str(answer).partition(" by ")[0] for answer, reason in answers if not reason] == ["a", "b", "c", "d"]
    assert [reason for _, reason in answers if reason] == [
        "its process ended 2 times: killed by SIGKILL, as when memory runs out",
        "took longer than 2 seconds and was stopped",
        "its process ended 2 times: exit code 3",
    ]


def test_a_process_that_was_killed_by_chance_is_asked_again(tmp_path: Path) -> None:
    assert list(processes.each(behave_once, [f"once {tmp_path / 'mark'}"], 1)) == [("at last", "")]


def test_a_process_makes_room_for_a_new_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "TASKS_A_PROCESS", 2)
    answers = [answer for answer, _ in processes.each(behave, ["a", "b", "c", "d", "e"], 1)]
    assert len({answer.rpartition(" ")[2] for answer in answers}) == 3


def test_tasks_are_not_taken_long_before_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "AHEAD", 2)
    taken: list[str] = []
    answers = processes.each(behave, (taken.append(name) or name for name in "abcdefgh"), 1)
    next(answers)
    assert taken == ["a", "b"]
    answers.close()


def test_who_stops_asking_need_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "AHEAD", 1)
    answers = processes.each(behave, ["a", "hang", "hang", "hang"], 2)
    assert next(answers)[1] == ""
    began = time.monotonic()
    answers.close()
    assert time.monotonic() - began < 60


def test_a_process_that_cannot_be_started_is_an_error_and_no_answer() -> None:
    with pytest.raises(ScorelmError, match="could not be started: exit code 1"):
        list(processes.each(Unreadable(), ["a"], 1))


class Unreadable:
    """Can be sent to a process, but not be received there."""

    def __call__(self, task: str) -> str:
        return task

    def __reduce__(self) -> tuple[type, tuple[str]]:
        return int, ("no number",)


def test_a_process_ends_when_the_one_that_asks_is_killed(tmp_path: Path) -> None:
    asking = """
import sys
from scorelm.processes import Process
from test_processes import behave
if __name__ == "__main__":
    process = Process(behave)
    print(process.ask("a")[0].rpartition(" ")[2], flush=True)
    process.ask("hang")
"""
    (tmp_path / "asking.py").write_text(asking)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    with subprocess.Popen([sys.executable, tmp_path / "asking.py"], stdout=subprocess.PIPE, env=environment) as asks:
        assert asks.stdout is not None
        child = int(asks.stdout.readline())
        asks.kill()
    for _ in range(100):
        if not alive(child):
            return
        time.sleep(0.1)
    raise AssertionError(f"process {child} lives on")


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{process}/stat")
    return not (status.exists() and status.read_text().rpartition(")")[2].split()[0] == "Z")


def test_a_dataset_is_made_of_the_files_that_do_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in").mkdir()
    for name in ("a", "b", "c", "die", "hang"):
        (tmp_path / "in" / f"{name}.sclm").write_text(TEXT)
    monkeypatch.setattr(dataset, "read_one", read_or_behave)
    report = make(gather([str(tmp_path / "in")]), tmp_path / "out", workers=2, file_timeout_s=3)
    assert sum(report.works.values()) == 3
    failed = [json.loads(line) for line in (tmp_path / "out" / "failed.jsonl").read_text().splitlines()]
    assert [(row["source"], row["reason"][:16]) for row in failed] == [
        ("die.sclm", "its process ende"),
        ("hang.sclm", "took longer than"),
    ]


def test_a_fault_of_the_reader_costs_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fault(work: dataset.Work, profile: str) -> list[dict]:  # type: ignore[type-arg]
        raise KeyError(profile)

    monkeypatch.setattr(dataset, "rows", fault)
    assert read_one((dataset.Work(tmp_path / "a.sclm", "a.sclm"), "core")) == (
        [],
        "a fault of scorelm: KeyError: 'core'",
    )

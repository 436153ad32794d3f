"""A teacher is asked once, behind a real server or in this process; only what the score does not contradict is kept."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("resvg_py", reason="pictures need resvg")

from tiny_vlm import llava, with_own_code

from scorelm.errors import ConfigError, ScorelmError, SourceError
from scorelm.notation.reader import parse
from scorelm.notation.sound import sound_problems
from vlm.ask_teacher import main
from vlm.data.answers import Replies, Taught, key, read_good
from vlm.data.config import DataConfig
from vlm.data.pieces import Piece
from vlm.data.record import ALIGNMENT, ANALYSIS, EXTRACTION, Record, read_split, write_records
from vlm.data.rendered import engraving
from vlm.teacher.config import TeacherConfig
from vlm.teacher.endpoint import Pace
from vlm.teacher.judge import Refused, judged
from vlm.teacher.prompts import asked
from vlm.teacher.work import ask_all

TEXT = '|\nK1T2:4P"A"!clef-G2!GA|\n^FG|\n'


def record(phase: str, answer: str, **facts: object) -> Record:
    return Record(b"", "What?", answer, phase, "x", "piece#1", "train", "", TEXT, json.dumps(facts))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, chorales: list[str]) -> str:
    folder = tmp_path_factory.mktemp("data")
    config = DataConfig(engravers={"verovio": 1.0}, worn=0.0, pages=1, staves=1, systems=2, questions=6)
    records = [r for n, t in enumerate(chorales[:2]) for r in engraving(Piece(t, str(n), "train"), config)]
    write_records(folder / "train" / "0.parquet", records)
    return str(folder)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return llava(tmp_path_factory.mktemp("models") / "llava")


@pytest.fixture(scope="module")
def server(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of `transformers serve`."""
    for package in ("openai", "fastapi", "uvicorn"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"`transformers serve` and its client need {package}")
    command = Path(sys.executable).with_name("transformers")
    if not command.is_file():
        pytest.skip("there is no command `transformers` beside python")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("server") / "log"
    with log.open("w") as out:
        process = subprocess.Popen(
            [str(command), "serve", str(model), "--host", "127.0.0.1", "--port", str(port), "--device", "cpu",
             "--dtype", "float32"],
            env={**os.environ, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}, stdout=out, stderr=out,
        )  # fmt: skip
    try:
        for _ in range(120):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2).read()
                break
            except OSError:
                if process.poll() is not None:
                    pytest.skip(f"`transformers serve` does not run here: {log.read_text()[-300:]}")
                time.sleep(0.5)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()


# What is good


def test_what_the_scores_say_themselves_is_good(data: str, tmp_path: Path) -> None:
    report = ask_all(TeacherConfig(data, str(tmp_path), phases="alignment,extraction,analysis"))
    assert not report.refused
    records = list(read_split(data, "train"))
    good = read_good(tmp_path, "train")
    assert {key(r.source, r.prompt, r.answer): r.answer for r in records} == good
    assert {phase for _, phase, _ in report.good} == {ALIGNMENT, EXTRACTION, ANALYSIS}


@pytest.mark.parametrize(
    ("reply", "cause"),
    [
        ("I see two bars.", "no score text"),
        ("|", "without measures"),
        ('|\nK1T2:4P"A"!clef-G2!G|\n^FG|\n', "no score text|not full"),
        ('|\nK1T2:4P"A"!clef-G2!GA|\n', "another measures"),
        ('|\nK2T2:4P"A"!clef-G2!GA|\nFG|\n', "another key_signature"),
    ],
)
def test_a_transcription_must_be_readable_full_and_of_this_picture(reply: str, cause: str) -> None:
    asked_for = record(ALIGNMENT, TEXT, key_signature="1 sharp", measures=2, staves=1)
    assert judged(asked_for, f"Here it is:\n```text\n{TEXT}```") == TEXT
    with pytest.raises(Refused, match=cause):
        judged(asked_for, reply)


def test_fields_must_be_as_they_are_known_and_those_unknown_are_believed() -> None:
    asked_for = record(EXTRACTION, '{"staves": 1, "title": null}', staves=1)
    assert (
        judged(asked_for, '```json\n{"title": "Air", "staves": "1", "more": 2}\n```') == '{"staves": 1, "title": "Air"}'
    )
    for reply, cause in (
        ("no", "no JSON"),
        ('{"staves": 1}', "missing"),
        ('{"staves": 2, "title": ""}', "another staves"),
    ):
        with pytest.raises(Refused, match=cause):
            judged(asked_for, reply)


@pytest.mark.parametrize(
    ("reply", "cause"),
    [
        ("It is in G major, with one sharp.", ""),
        ("G major: the F♯4 in measure 2 leads to it.", ""),
        ("It ends on a D major chord, in G major.", ""),
        ("It has one sharp.", "do not name the key"),
        ("It is in G major or E minor.", "another key"),
        ("G major, with two sharps.", "another key signature"),
        ("G major, from measure 9 on.", "a measure that is not there"),
        ("G major, up to B5.", "a pitch that is not there"),
        (" ", "no words"),
    ],
)
def test_words_name_what_is_true_and_nothing_that_is_not_there(reply: str, cause: str) -> None:
    asked_for = record(ANALYSIS, "The piece is in G major.", key="G major", key_signature="1 sharp")
    if not cause:
        assert judged(asked_for, reply) == reply
    else:
        with pytest.raises(Refused, match=cause):
            judged(asked_for, reply)


def test_the_example_that_a_teacher_is_given_is_sound() -> None:
    words = asked(record(ALIGNMENT, TEXT), True)
    example = words.partition("Example: ")[2].splitlines()[0]
    assert len(parse(example).measures) == 1
    assert sound_problems(example) == []


# Replies


def test_a_line_that_was_cut_off_is_asked_again_and_the_others_are_not(data: str, tmp_path: Path) -> None:
    config = TeacherConfig(data, str(tmp_path))
    first = ask_all(config)
    assert ask_all(config).new == 0
    path = tmp_path / "replies.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    again = ask_all(config)
    assert (again.new, again.good) == (1, first.good)
    assert len(Replies(tmp_path).known) == first.new


def test_questions_keep_their_pace() -> None:
    pace, start = Pace(1200), time.monotonic()
    for _ in range(4):
        pace.wait()
    assert time.monotonic() - start >= 0.15


def test_a_share_of_the_records_gets_the_teachers_words_by_the_seed(data: str, tmp_path: Path) -> None:
    rows = [{"key": key(str(n), "p", "own"), "answer": "taught"} for n in range(400)]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    said = [Taught(tmp_path, 0.25, 1).answer(str(n), "p", "own") for n in range(400)]
    assert said == [Taught(tmp_path, 0.25, 1).answer(str(n), "p", "own") for n in range(400)]
    assert said != [Taught(tmp_path, 0.25, 2).answer(str(n), "p", "own") for n in range(400)]
    assert 60 < said.count("taught") < 140
    assert Taught(tmp_path, 1.0, 1).answer("0", "p", "another") == "another"
    assert Taught(None, 1.0, 1).answer("0", "p", "own") == "own"
    with pytest.raises(SourceError, match=r"vlm\.ask_teacher"):
        Taught(tmp_path / "nowhere", 1.0, 1)


def test_the_student_learns_the_teachers_words(data: str, tmp_path: Path) -> None:
    from vlm.student.samples import Batches, Place, kept

    mine = [r for r in read_split(data, "train") if r.phase == ANALYSIS]
    rows = [{"key": key(r.source, r.prompt, r.answer), "answer": "In other words."} for r in mine]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    files = kept(data, "train")
    for share, expected in ((0.0, False), (1.0, True)):
        batches = Batches(files, ANALYSIS, 2, lambda _: True, 1, Place(), Taught(tmp_path, share, 1))
        assert all((s.answer == "In other words.") is expected for s in next(iter(batches)))


# Doors


def test_a_server_is_asked_once_and_what_it_says_is_judged(data: str, model: Path, server: str, tmp_path: Path) -> None:
    config = TeacherConfig(
        data, str(tmp_path), limit=3, teacher="endpoint", endpoint=server, model=str(model), max_tokens=8, parallel=2,
        show_score=False, retries=1,
    )  # fmt: skip
    report = ask_all(config)
    assert sum(report.good.values()) + sum(report.refused.values()) == 3
    assert all(
        "token" in cause or "words" in cause or "fields" in cause or "empty" in cause for cause in report.refused
    )
    for row in Replies(tmp_path).known.values():
        assert {"model", "prompt", "image", "settings", "reply"} <= row.keys()
    with pytest.raises(ScorelmError, match="HTTP 4"):
        ask_all(replace(config, model="another", output_dir=str(tmp_path / "other")))


def test_a_server_that_is_not_there_ends_the_work_with_its_address(
    data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openai", reason="the client is missing")
    monkeypatch.chdir(tmp_path)
    options = "--teacher endpoint --endpoint http://127.0.0.1:9/v1 --retries 1 --limit 2 --output-dir out --dataset-dir"
    assert main([*options.split(), data]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("vlm.ask_teacher: http://127.0.0.1:9/v1: ")


@pytest.mark.parametrize("own", [False, True], ids=["transformers", "code of its own"])
def test_a_model_in_this_process_replies(own: bool, data: str, model: Path, tmp_path: Path) -> None:
    from vlm.teacher.local import Local

    folder = with_own_code(tmp_path / "own") if own else model
    config = TeacherConfig(data, str(tmp_path), teacher="transformers", model=str(folder), max_tokens=6)
    if own:
        with pytest.raises(ConfigError, match="set trust_remote_code"):
            Local(config)
        config = replace(config, trust_remote_code=True)
    one = next(read_split(data, "train", ANALYSIS))
    teacher = Local(config)
    say = teacher._chat if own else teacher._generate
    said, cut = say(one, "What?")
    assert (said, cut) == say(one, "What?")
    assert isinstance(said, str)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--teacher", "parrot"], "teacher is none, transformers, endpoint"),
        (["--phases", "song"], "phases are alignment, extraction, analysis"),
        (["--dataset-dir", "nowhere"], "nowhere: holds no records of train"),
    ],
)
def test_bad_settings_are_one_line_and_exit_code_2(
    options: list[str], said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(options) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1

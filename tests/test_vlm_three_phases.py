"""From an empty folder to a reader by one command, with a teacher that has learnt nothing."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from vlm.student.transcribe import Transcriber

ROOT = Path(__file__).parents[1]


def test_one_command_goes_through_all_phases(tmp_path: Path) -> None:
    pytest.importorskip("peft")
    ended = subprocess.run(
        ["scripts/three_phases", str(tmp_path), "3"], cwd=ROOT, capture_output=True, text=True, timeout=900
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert {"alignment", "extraction", "analysis"} <= {folder.name for folder in (tmp_path / "adapter").iterdir()}
    assert "the reply was cut off" in ended.stdout  # the teacher was asked, and judged
    Transcriber(tmp_path / "reader")
    assert "What cannot be read counts as wrong" in ended.stdout

    found = tmp_path / "distilled.json"
    command = ["benchmarks/distillation.py", "--start", tmp_path / "reader", "--dataset", tmp_path / "pictures"]
    command += [
        "--answers",
        tmp_path / "facts",
        "--steps",
        "2",
        "--batch-size",
        "2",
        "-n",
        "1",
        "--split",
        "validation",
    ]
    command += ["-o", tmp_path / "distilled", "--json", found]
    ended = subprocess.run([sys.executable, *map(str, command)], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr[-2000:]
    ways = json.loads(found.read_text())["ways"]
    assert list(ways) == ["facts", "teacher", "both"]
    assert all(0 <= way["METEOR"] <= 1 and way["SER"] > 0 for way in ways.values())

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

    budget = {"batch_size": 2, "extraction_steps": 2, "analysis_steps": 2, "eval_records": 2}
    (tmp_path / "budget.json").write_text(json.dumps(budget))
    command = ["benchmarks/distillation.py", "--dataset-dir", tmp_path / "pictures", "--reader", tmp_path / "reader"]
    command += ["--student", tmp_path / "budget.json", "--limit", "3", "-n", "1", "-o", tmp_path / "distilled"]
    ended = subprocess.run([sys.executable, *map(str, command)], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr[-2000:]
    found = json.loads((tmp_path / "distilled" / "figures.json").read_text())
    assert list(found) == ["score", "teacher", "both"]
    assert all(way["transcription"]["all"]["ser"] > 0 and way["words"] for way in found.values())

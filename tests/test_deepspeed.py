"""accelerate launch with the accel_config.yaml that ships, on the CPU: two processes, a checkpoint, a resume."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scorelm.notation.reader import parse
from scorelm.training.extensions import JUST_BEGUN, PATIENCE, release_abandoned_builds

pytest.importorskip("deepspeed")
ROOT = Path(__file__).parent.parent
OVERRIDES = "--num_processes 2 --mixed_precision no --offload_optimizer_device none".split()
SETTINGS = (
    "--hidden-size 32 --num-layers 1 --num-heads 2 --intermediate-size 32 --batch-size 2 --max-length 200 "
    "--max-steps 6 --eval-steps 3 --save-steps 2 --warmup-steps 2 --mixed-precision no --threads 1 --transpose false"
).split()


def _launch(folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "TORCH_EXTENSIONS_DIR": str(folder / "built"),
    }
    command = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", "accel_config.yaml", *OVERRIDES]
    data = ["--config", "train_cfg.json", "--dataset-dir", str(folder), "--output-dir", str(folder / "model")]
    return subprocess.run(
        [*command, "train.py", *data, *SETTINGS, *more], cwd=ROOT, env=environment, capture_output=True, text=True,
        timeout=600, check=False,
    )  # fmt: skip


def _losses(folder: Path) -> list[dict[str, float]]:
    lines = (folder / "model-checkpoints" / "log.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_two_processes_train_and_go_on_from_a_checkpoint_with_the_same_losses(
    tmp_path: Path, chorales: list[str]
) -> None:
    for split, texts in (("train", chorales[:5]), ("validation", chorales[5:6])):
        rows = [json.dumps({"text": text, "quarters": float(parse(text).quarters)}) for text in texts]
        (tmp_path / f"{split}.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    lock = tmp_path / "built" / "deepspeed_shm_comm" / "lock"  # of a build that was killed
    lock.parent.mkdir(parents=True)
    lock.touch()
    os.utime(lock, (0, 0))
    first = _launch(tmp_path)
    assert first.returncode == 0, first.stderr[-3000:]
    assert "2 process(es)" in first.stderr and "DeepSpeed ZeRO-2" in first.stderr
    whole = _losses(tmp_path)
    assert [row["step"] for row in whole if "loss" in row] == [1, 2, 3, 4, 5, 6]
    shutil.rmtree(tmp_path / "model-checkpoints" / "step-0000006")  # as if it had been killed behind step 4
    again = _launch(tmp_path, "--resume")
    assert again.returncode == 0, again.stderr[-3000:]
    assert "step-0000004" in again.stderr
    assert _losses(tmp_path) == whole
    alone = subprocess.run(
        [sys.executable, "train.py", "--dataset-dir", str(tmp_path), "--output-dir", str(tmp_path / "model"), *SETTINGS,
         "--resume"], cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=300,
        check=False,
    )  # fmt: skip
    assert alone.returncode == 2
    assert "2 process(es) with DeepSpeed" in alone.stderr


def test_a_build_that_was_killed_does_not_stop_every_later_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path))
    abandoned, under_way = tmp_path / "py311_cpu" / "fused_adam" / "lock", tmp_path / "cpu_adam" / "lock"
    begun = tmp_path / "shm_comm" / "lock"
    for lock, age in ((abandoned, PATIENCE + 60), (under_way, JUST_BEGUN + 10), (begun, 0)):
        lock.parent.mkdir(parents=True)
        lock.touch()
        os.utime(lock, (time.time() - age,) * 2)
    assert release_abandoned_builds() == [abandoned]
    assert under_way.exists() and begun.exists() and not abandoned.exists()
    said = capsys.readouterr().err
    assert f"delete {under_way}" in said and "fused_adam" not in said and "shm_comm" not in said

"""The four scripts as people call them: what they print, what they write, how they end."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from scorelm.generation import SHIPPED, Student
from scorelm.musicxml.writer import write_musicxml
from scorelm.notation.reader import parse
from scorelm.notation.sound import sound_problems

ROOT = Path(__file__).resolve().parents[1]
TEXT = '|\nK1!major!T2:4P"Soprano"!clef-G2!GA;P"Bass"!clef-F4!hG,|\nhB;DG,!end!|\n'
BROKEN = TEXT.replace("hB;DG,", "hB;D€G")


def run(script: str, *words: str | Path, cwd: Path, given: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ROOT / script, *words]
    return subprocess.run(
        command, cwd=cwd, input=given, capture_output=True, text=True, timeout=300, encoding="utf-8", check=False
    )


def refused(ended: subprocess.CompletedProcess[str], *words: str) -> None:
    assert ended.returncode == 2, ended.stderr
    assert "Traceback" not in ended.stderr
    for word in words:
        assert word in ended.stderr


# -- infer.py and reconstruct.py --------------------------------------------------------------------


def test_a_new_piece_goes_through_a_pipe_to_musicxml(tmp_path: Path) -> None:
    new = run("infer.py", "|", "--seed", "1", "--measures", "4", cwd=tmp_path)
    assert new.returncode == 0, new.stderr
    assert sound_problems(new.stdout) == []
    assert "seed 1" in new.stderr and "models" in new.stderr
    made = run("reconstruct.py", "-", "-o", "new.musicxml", cwd=tmp_path, given=new.stdout)
    assert made.returncode == 0, made.stderr
    assert (tmp_path / "new.musicxml").read_bytes().startswith(b"<?xml")
    assert made.stdout == ""


def test_samples_are_written_as_sets_of_files(tmp_path: Path) -> None:
    words = ("|", "-n", "2", "--seed", "7", "--measures", "2", "-o", "out")
    ended = run("infer.py", *words, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    names = {file.name for file in (tmp_path / "out").iterdir()}
    assert names == {f"sample-{seed}{end}" for seed in (7, 8) for end in (".sclm", ".musicxml", ".mid", ".svg", ".png")}
    texts = [(tmp_path / "out" / f"sample-{seed}.sclm").read_text() for seed in (7, 8)]
    assert ended.stdout == "\n".join(texts)
    assert texts[0] != texts[1]


def test_a_score_file_and_stdin_are_prompts(tmp_path: Path) -> None:
    (tmp_path / "mine.sclm").write_text(TEXT)
    open_end = TEXT.replace("!end!", "")
    for words, given in ((("mine.sclm",), ""), (("-",), open_end), (("-",), TEXT)):
        ended = run("infer.py", *words, "--seed", "1", "--measures", "4", cwd=tmp_path, given=given)
        assert ended.returncode == 0, ended.stderr
        assert ended.stdout.startswith(open_end)
        assert len(parse(ended.stdout).measures) == 4


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("|\nCDEF|",), "measure 1"),
        (("|", "-m", "nowhere"), "nowhere: no model is there"),
        (("nothing.mxl",), "nothing.mxl: no such file, nor score text"),
        (("|", "-n", "0"), "-n is 1 or more"),
        (("|", "--measures", "0"), "--measures is 1 or more"),
        (("|", "--top-p", "2"), "top-p cannot be 2.0"),
        (("|", "--temperature", "-1"), "temperature cannot be -1.0"),
        ((".",), ".: is a folder"),
        (("x" * 5000,), "no such file"),
        (("|", "-o", "/proc/nothing"), "/proc/nothing: no folder can be made there"),
        ((TEXT, "--measures", "2"), "has 2 measures already"),
    ],
)
def test_infer_refuses_what_it_cannot_do(words: tuple[str, ...], said: str, tmp_path: Path) -> None:
    ended = run("infer.py", *words, cwd=tmp_path)
    refused(ended, said)
    assert ended.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_scores_in_other_formats_come_by_stdin_and_are_reconstructed(tmp_path: Path) -> None:
    xml = write_musicxml(parse(TEXT)).decode()
    ended = run("infer.py", "-", "--seed", "1", "--measures", "4", cwd=tmp_path, given=xml)
    assert ended.returncode == 0, ended.stderr
    assert len(parse(ended.stdout).measures) == 4
    ended = run("infer.py", "--given", "-", "--given-parts", "Bass", "--seed", "1", cwd=tmp_path, given=xml)
    assert ended.returncode == 0, ended.stderr
    (tmp_path / "mine.musicxml").write_text(xml)
    refused(run("reconstruct.py", "mine.musicxml", cwd=tmp_path), "mine.musicxml: is no score text; -o OUT")
    for words, given in ((("mine.musicxml",), ""), (("mine.musicxml", "--repair"), ""), (("-",), xml)):
        ended = run("reconstruct.py", *words, "-o", "mine.sclm", cwd=tmp_path, given=given)
        assert ended.returncode == 0, ended.stderr
        assert (tmp_path / "mine.sclm").read_text() == TEXT


def test_broken_text_is_refused_with_its_place_and_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "broken.sclm").write_text(BROKEN)
    refused(run("reconstruct.py", "broken.sclm", cwd=tmp_path), "broken.sclm", "measure 2, line 3", "found '€'")
    refused(run("reconstruct.py", "-", "-o", "x.mid", cwd=tmp_path, given=BROKEN), "stdin", "measure 2")
    assert [file.name for file in tmp_path.iterdir()] == ["broken.sclm"]


def test_repair_gives_a_score_and_says_what_was_mended(tmp_path: Path) -> None:
    (tmp_path / "broken.sclm").write_text(BROKEN)
    ended = run("reconstruct.py", "broken.sclm", "--repair", "-o", "mended.sclm", cwd=tmp_path)
    assert ended.returncode == 0
    assert "measure 2, line 3" in ended.stderr
    assert (tmp_path / "mended.sclm").read_text() == TEXT.replace("hB;DG,", "hB;DG")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nowhere.sclm",), "nowhere.sclm"),
        (("-",), "needs -o"),
        (("a.sclm", "b.sclm"), "one file"),
        (("--check", "nowhere.mxl"), "nowhere.mxl"),
    ],
)
def test_reconstruct_refuses_what_it_cannot_do(words: tuple[str, ...], said: str, tmp_path: Path) -> None:
    refused(run("reconstruct.py", *words, cwd=tmp_path), said)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.sclm").write_bytes(b"|\xff\xfe|")
    refused(run("reconstruct.py", "a.sclm", cwd=tmp_path), "a.sclm")
    (tmp_path / "a.sclm").write_bytes(b"\x7fELF\0\0|\xff\xfe|")
    refused(run("reconstruct.py", "a.sclm", "--repair", "-o", "b.sclm", cwd=tmp_path), "a.sclm: is no text")
    assert not (tmp_path / "b.sclm").exists()


def test_an_ending_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.sclm").write_text(TEXT)
    refused(run("reconstruct.py", "a.sclm", "-o", "a.doc", cwd=tmp_path), "a.doc", ".musicxml")


def test_check_answers_whether_anything_is_lost(tmp_path: Path) -> None:
    ended = run("reconstruct.py", "--check", "bach/bwv66.6", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert "bach/bwv66.6.mxl: nothing is lost of 165 notes and rests" in ended.stdout


def test_check_takes_a_folder_and_says_which_file_cannot_be_read(tmp_path: Path) -> None:
    tune = "X:{0}\nT:Tune\nM:4/4\nL:1/8\nK:G\nG5A2B|c8|]\n"  # G5 lasts longer than any one note
    (tmp_path / "book.abc").write_text("\n".join(map(tune.format, (1, 2))))
    (tmp_path / "broken.musicxml").write_text("<score-partwise><part-list>")
    ended = run("reconstruct.py", "--check", ".", cwd=tmp_path)
    refused(ended, "broken.musicxml")
    assert "book.abc#1: nothing is lost" in ended.stdout
    assert "2 scores lose nothing, 0 change, 1 cannot be read" in ended.stdout


# -- generate_data.py and train.py --------------------------------------------------------------------


def test_one_score_is_printed_and_nothing_else(tmp_path: Path) -> None:
    ended = run("generate_data.py", "--print", "bach/bwv66.6", cwd=tmp_path)
    assert ended.returncode == 0
    assert ended.stdout.startswith("|\n") and ended.stdout.endswith("!end!|\n")
    assert list(tmp_path.iterdir()) == []


def test_own_scores_are_trained_on_and_the_model_is_used(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    for number in range(3):
        (tmp_path / "mine" / f"{number}.sclm").write_text(TEXT.replace("GA;", "GABc"[number : number + 2] + ";"))
    (tmp_path / "mine" / "broken.sclm").write_text(BROKEN)
    made = run("generate_data.py", "mine", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert "broken.sclm" in made.stderr and "3 scores" in made.stderr
    small = ("--hidden-size", "16", "--num-layers", "1", "--num-heads", "2", "--intermediate-size", "16")
    ended = run("train.py", *small, "--max_steps", "2", "--eval-steps", "1", "--batch_size", "2", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert "bits per quarter" in ended.stdout
    assert json.loads((tmp_path / "score-lm" / "metrics.json").read_text())["step"] in (1, 2)
    new = run("infer.py", "|", "--measures", "1", "--seed", "1", cwd=tmp_path)
    assert "model score-lm" in new.stderr
    assert sound_problems(new.stdout) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nowhere",), "nowhere: no such file"),
        (("--print", "nowhere.mxl"), "nowhere.mxl"),
        (("--profile", "all"), "unknown profile 'all'"),
        (("--validation", "0.7", "--test", "0.5"), "validation"),
    ],
)
def test_generate_data_refuses_what_it_cannot_do(words: tuple[str, ...], said: str, tmp_path: Path) -> None:
    refused(run("generate_data.py", *words, cwd=tmp_path), said)
    assert list(tmp_path.iterdir()) == []


def test_train_refuses_a_missing_dataset_and_an_unknown_key(tmp_path: Path) -> None:
    refused(run("train.py", cwd=tmp_path), "dataset/train.jsonl: no such file", "generate_data.py")
    (tmp_path / "train_cfg.json").write_text('{"batchsize": 4}')
    refused(run("train.py", cwd=tmp_path), "train_cfg.json: unknown key 'batchsize'; did you mean 'batch_size'?")


# -- scripts/temper.py ------------------------------------------------------------------------------


def test_a_model_that_is_too_sure_is_tempered(chorales: list[str], tmp_path: Path) -> None:
    norms = {f"gpt_neox.final_layer_norm.{name}" for name in ("weight", "bias")}
    shutil.copytree(SHIPPED, tmp_path / "model")
    own = load_file(SHIPPED / "model.safetensors")
    sure = {name: (1.25 * weight.float()).half() if name in norms else weight for name, weight in own.items()}
    save_file(sure, tmp_path / "model" / "model.safetensors", {"format": "pt"})
    (tmp_path / "dataset").mkdir()
    rows = ({"text": text, "quarters": float(sum(m.length for m in parse(text).measures))} for text in chorales[:2])
    (tmp_path / "dataset" / "validation.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    ended = run("scripts/temper.py", "model", "out", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    losses = [float(line.split()[2]) for line in ended.stderr.splitlines() if line.startswith("temperature")]
    assert losses[-1] <= min(losses) + 0.01
    found = load_file(tmp_path / "out" / "model.safetensors")
    for name, weight in sure.items():
        if name in norms:
            temperature = float(weight.float().abs().sum() / found[name].float().abs().sum())
            assert 1.05 < temperature < 1.5 and torch.allclose(
                found[name].float() * temperature, weight.float(), rtol=1e-2
            )
        else:
            assert torch.equal(found[name], weight)


# -- scripts/narrow.py ------------------------------------------------------------------------------


def test_of_a_narrower_model_s_units_those_stay_that_weigh_most(
    tiny_model: Path, chorales: list[str], tmp_path: Path
) -> None:
    for units, out in (("32", "same"), ("20", "narrow")):
        ended = run("scripts/narrow.py", str(tiny_model), units, out, cwd=tmp_path)
        assert ended.returncode == 0, ended.stderr
    whole, same, narrow = (Student(folder) for folder in (tiny_model, tmp_path / "same", tmp_path / "narrow"))
    assert same.losses(chorales[0]) == whole.losses(chorales[0]) != narrow.losses(chorales[0])
    wide, kept = (
        load_file(folder / "model.safetensors")["gpt_neox.layers.0.mlp.dense_h_to_4h.bias"]
        for folder in (tiny_model, tmp_path / "narrow")
    )
    assert len(kept) == 20 and set(kept.tolist()) <= set(wide.tolist())
    refused(
        run("scripts/narrow.py", str(tiny_model), "33", "wide", cwd=tmp_path), "32 units each, of which 33 cannot stay"
    )
    refused(run("scripts/narrow.py", "nowhere", "8", "out", cwd=tmp_path), "nowhere: holds no model of train.py")

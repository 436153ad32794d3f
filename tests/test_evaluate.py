"""The command: what it writes, and what it refuses before any work."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scorelm.card import add_figures
from scorelm.evaluate import NEAR_DOUBLES, choir_of, load, main, read
from scorelm.generation import SHIPPED
from scorelm.notation.reader import parse
from scorelm.published import PUBLISHED


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory, chorales: list[str]) -> Path:
    folder = tmp_path_factory.mktemp("dataset")
    for split, texts in (("train", chorales[:3]), ("validation", chorales[1:4]), ("test", chorales[4:6])):
        rows = [
            {"text": text, "quarters": float(parse(text).quarters), "source": f"{split} {number}"}
            for number, text in enumerate(texts)
        ]
        if split == "validation":
            rows[0]["source"] = NEAR_DOUBLES[0]
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder


def evaluate(*words: object) -> int:
    return main([str(word) for word in words])


def test_the_figures_are_written_printed_and_drawn(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = ["--json", tmp_path / "figures.json", "--picture", tmp_path / "figures.png"]
    assert evaluate(SHIPPED, "--dataset", dataset, "--samples", 1, "--seed", 5, *files) == 0
    found = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))
    assert found["pieces"] == 2
    assert found["nats_per_sixteenth"] == pytest.approx(sum(p["nats"] for p in found["by_piece"]) / found["sixteenths"])
    assert sum(found["by_kind_bits_per_quarter"].values()) == pytest.approx(found["bits_per_quarter"])
    assert found["conditional"]["bits_per_quarter"] < found["bits_per_quarter"]
    assert "without_near_doubles" not in found
    assert found["musical"]["samples"]["sound"] == 1
    assert (tmp_path / "figures.png").read_bytes().startswith(b"\x89PNG")
    out = capsys.readouterr().out
    assert f"{found['nats_per_sixteenth']:.3f}" in out
    for entry in PUBLISHED:
        assert f"{entry.nats_per_sixteenth:.3f}  {entry.pieces}" in out


def test_validation_is_given_without_near_doubles_and_in_more_keys(
    dataset: Path, tiny_model: Path, tmp_path: Path
) -> None:
    target = tmp_path / "figures.json"
    words = ["--dataset", dataset, "--split", "validation", "--keys", 2, "--adapt", 1, "--json", target]
    assert evaluate(tiny_model, *words, "--picture", tmp_path / "figures.svg") == 0
    found = json.loads(target.read_text(encoding="utf-8"))
    assert found["without_near_doubles"]["left_out"] == [NEAR_DOUBLES[0]]
    kept = [piece for piece in found["by_piece"] if piece["source"] != NEAR_DOUBLES[0]]
    expected = sum(piece["nats"] for piece in kept) / sum(4 * piece["quarters"] for piece in kept)
    assert found["without_near_doubles"]["nats_per_sixteenth"] == pytest.approx(expected)
    mean = found["mean_over_keys"]
    assert mean["keys"] == 2
    assert mean["nats_per_sixteenth"] != found["nats_per_sixteenth"]
    learning = found["learning_on"]
    assert learning["keys"] == 1
    assert learning["nats_per_sixteenth"] < found["nats_per_sixteenth"], "it knows nothing and learns anything"
    assert "musical" not in found
    assert (tmp_path / "figures.svg").read_text(encoding="utf-8").startswith("<svg")


@pytest.mark.parametrize(
    "words, reason",
    [
        (["nowhere"], "nowhere: no model is there"),
        ([SHIPPED, "--dataset", "nowhere"], "test.jsonl: no such file"),
        ([SHIPPED, "--samples", -1], "--samples is 0 to"),
        ([SHIPPED, "--keys", 13], "--keys is 1 to 12"),
        ([SHIPPED, "--adapt", 13], "--adapt is 0 to 12"),
        ([SHIPPED, "--max-length", 1], "--max-length is 2 to"),
        ([SHIPPED, "--json", "nowhere/figures.json"], "no such folder"),
        ([SHIPPED, "--picture", "figures.gif"], "a .png or an .svg"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(
    dataset: Path, words: list[object], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = words if "--dataset" in words else [*words, "--dataset", dataset]
    assert evaluate(*given) == 2
    error = capsys.readouterr().err
    assert reason in error
    assert error.count("\n") == 1


def test_a_split_that_there_is_not_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        evaluate(SHIPPED, "--split", "training")
    assert stopped.value.code == 2
    assert "training" in capsys.readouterr().err


@pytest.fixture(scope="module")
def sub_word_model(tmp_path_factory: pytest.TempPathFactory, chorales: list[str]) -> Path:
    """A small GPT-NeoX with a tokenizer that merges characters, a "|" and what follows it among them."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import GPTNeoXConfig, GPTNeoXForCausalLM, PreTrainedTokenizerFast

    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=["<end>"], show_progress=False)
    inner.train_from_iterator(chorales, trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<end>")
    model = GPTNeoXForCausalLM(
        GPTNeoXConfig(
            vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32
        )
    )
    folder = tmp_path_factory.mktemp("sub-words")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_a_model_with_sub_words_pays_for_every_token_and_has_no_breakdown(
    sub_word_model: Path, dataset: Path, chorales: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    judge = load(str(sub_word_model))
    ids = [*judge.tokens.encode(chorales[0]), judge.tokens.end]
    assert not judge.lexemes
    first_is_the_delimiter = ids[0] in judge.opening
    assert read(judge, chorales[0]).tokens == len(ids) - first_is_the_delimiter
    target = tmp_path / "figures.json"
    assert evaluate(sub_word_model, "--dataset", dataset, "--json", target) == 0
    found = json.loads(target.read_text(encoding="utf-8"))
    assert "by_kind_bits_per_quarter" not in found
    assert found["nats_per_sixteenth"] > 1
    assert evaluate(sub_word_model, "--dataset", dataset, "--samples", 1) == 2
    assert "--samples needs a model whose tokens" in capsys.readouterr().err


def test_the_choir_is_taken_out_of_a_score_with_instruments() -> None:
    parts = 'P"Horn"C;P"Soprano 1"c;P"Soprano 2"B;P"Alto"G;P"Tenor"E;P"Bass"C,'
    assert choir_of(f"|T1:4{parts}|") == '|\nT1:4P"Soprano 1"c;P"Alto"G;P"Tenor"E;P"Bass"C,|\n'
    assert choir_of('|T1:4P"Soprano"c;P"Alto"G;P"Tenor"E;P"Bass"C,|') is None
    assert choir_of('|T1:4P"A"c;P"B"c;P"C"c;P"D"c;P"E"c|') is None


def test_a_table_stands_once_in_the_card(tmp_path: Path) -> None:
    card = tmp_path / "README.md"
    card.write_text("# A student\n\n## Made by\n\n    train\n", encoding="utf-8")
    for figure in ("1.5", "1.4"):
        for split in ("test", "validation"):
            add_figures(tmp_path, split, f"nats {figure}", "python -m scorelm.evaluate")
    text = card.read_text(encoding="utf-8")
    assert text.count("## Judged on test\n") == text.count("## Judged on validation\n") == 1
    assert "1.5" not in text and "## Made by\n\n    train" in text

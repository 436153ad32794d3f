"""A few steps of training: what is written, that a seed counts, and what is refused before any work."""

from __future__ import annotations

import copy
import json
import re
from dataclasses import replace
from itertools import combinations, product
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers.models.gpt_neox import GPTNeoXConfig, GPTNeoXForCausalLM

from scorelm.config import TrainConfig
from scorelm.errors import ConfigError
from scorelm.generation import Student
from scorelm.likelihood import Piece, bits_per_quarter
from scorelm.notation.reader import parse
from scorelm.notation.sound import sound_problems
from scorelm.notation.transform import extract, transpose
from scorelm.notation.writer import write
from scorelm.tokenizer import Tokens, build_tokenizer
from scorelm.training import train
from scorelm.training.batches import IGNORED, Batches, Place
from scorelm.training.checkpoints import Checkpoints
from scorelm.training.corpus import Corpus, in_all_keys, intervals_of
from scorelm.training.keys import Keys
from scorelm.training.models import started
from scorelm.training.muon import Muon
from scorelm.training.on_cpu import Attention, Dropout, hasten
from scorelm.training.windows import Window, windows

FILES = {"config.json", "model.safetensors", "tokenizer.json", "README.md", "metrics.json", "train_cfg.json"}


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory, chorales: list[str]) -> TrainConfig:
    folder = tmp_path_factory.mktemp("training")
    for split, texts in (("train", chorales[:4]), ("validation", chorales[4:6])):
        rows = [json.dumps({"text": text, "quarters": float(parse(text).quarters)}) for text in texts]
        (folder / f"{split}.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return TrainConfig(
        dataset_dir=str(folder), output_dir=str(folder / "model"), hidden_size=32, num_layers=1, num_heads=2,
        intermediate_size=32, batch_size=2, max_length=256, max_steps=8, eval_steps=4, warmup_steps=2,
        mixed_precision="no", threads=1,
    )  # fmt: skip


@pytest.fixture(scope="module")
def trained(config: TrainConfig) -> dict:  # type: ignore[type-arg]
    return train(config)


def test_what_is_written_is_a_whole_model(config: TrainConfig, trained: dict) -> None:  # type: ignore[type-arg]
    folder = Path(config.output_dir)
    assert {file.name for file in folder.iterdir()} >= FILES
    assert json.loads((folder / "metrics.json").read_text())["bits_per_quarter"] == trained["bits_per_quarter"]
    assert f"{trained['bits_per_quarter']:.4f}" in (folder / "README.md").read_text()
    assert all(file.stat().st_mode & 0o044 for file in folder.iterdir())
    text = "".join(Student(folder).measures("|", seed=1, measures=2))
    assert sound_problems(text) == []


def test_training_lowers_the_bits(trained: dict) -> None:  # type: ignore[type-arg]
    bits = [row["bits_per_quarter"] for row in trained["history"]]
    assert len(bits) == 2
    assert bits[-1] < bits[0]


def test_the_same_seed_trains_the_same_model(config: TrainConfig, trained: dict, tmp_path: Path) -> None:  # type: ignore[type-arg]
    again = train(replace(config, output_dir=str(tmp_path / "again")))
    assert [row["loss"] for row in again["history"]] == [row["loss"] for row in trained["history"]]
    weights = [Path(folder, "model.safetensors").read_bytes() for folder in (config.output_dir, tmp_path / "again")]
    assert weights[0] == weights[1]


def test_a_model_of_a_folder_is_trained_on(config: TrainConfig, trained: dict, tmp_path: Path) -> None:  # type: ignore[type-arg]
    more = train(replace(config, model_name=config.output_dir, output_dir=str(tmp_path / "more"), max_steps=4))
    assert more["bits_per_quarter"] < trained["history"][0]["bits_per_quarter"]
    Student(tmp_path / "more")


def test_a_model_of_train_py_is_trained_on_with_another_dropout(
    config: TrainConfig,
    trained: dict,
    tmp_path: Path,  # type: ignore[type-arg]
) -> None:
    more = train(replace(config, start=config.output_dir, output_dir=str(tmp_path / "more"), dropout=0.2, max_steps=4))
    assert more["bits_per_quarter"] < trained["history"][0]["bits_per_quarter"]
    assert json.loads((tmp_path / "more" / "config.json").read_text())["hidden_dropout"] == 0.2
    with pytest.raises(ConfigError, match="name one"):
        replace(config, start=config.output_dir, model_name=config.output_dir)
    with pytest.raises(ConfigError, match="add_layers needs a start"):
        replace(config, add_layers=1)


@pytest.mark.parametrize("more", [1, 2, 3, 5])
def test_a_deeper_model_says_what_it_said_before(config: TrainConfig, trained: dict, more: int) -> None:  # type: ignore[type-arg]
    ids = torch.tensor([[0, 5, 9, 20, 3]])
    before, after = (
        started(replace(config, start=config.output_dir, add_layers=layers))[0].eval() for layers in (0, more)
    )
    assert len(after.gpt_neox.layers) == after.config.num_hidden_layers == config.num_layers + more
    with torch.no_grad():
        torch.testing.assert_close(after(ids).logits, before(ids).logits)
        first = torch.nn.functional.cross_entropy(before(ids).logits[0, :-1], ids[0, 1:])
    after.train()
    loss = torch.nn.functional.cross_entropy(after(ids).logits[0, :-1], ids[0, 1:])
    loss.backward()
    assert first.isfinite() and after.gpt_neox.layers[1].mlp.dense_4h_to_h.weight.grad.any()


def test_dropout_by_bytes_is_dropout() -> None:
    torch.manual_seed(0)
    layer, x = Dropout(0.3), torch.ones(300, 401, requires_grad=True)
    out = layer(x)
    kept = out != 0
    assert kept.float().mean().item() == pytest.approx(1 - 77 / 256, abs=0.005)
    torch.testing.assert_close(out[kept], torch.full((int(kept.sum()),), 256 / 179))
    out.sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad, out.detach())
    assert layer.eval()(x) is x
    model = torch.nn.Sequential(torch.nn.Dropout(0.5), torch.nn.Linear(2, 2))
    hasten(model)
    assert isinstance(model[0], Dropout) and model[0].p == 0.5


@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
def test_attention_on_a_processor_is_that_of_transformers(implementation: str) -> None:
    shape = GPTNeoXConfig(
        vocab_size=50, hidden_size=48, num_hidden_layers=2, num_attention_heads=3, intermediate_size=64, rotary_pct=1.0
    )
    torch.manual_seed(0)
    theirs = GPTNeoXForCausalLM._from_config(shape, attn_implementation=implementation)
    ours = copy.deepcopy(theirs)
    hasten(ours)
    assert all(type(layer.attention) is Attention for layer in ours.gpt_neox.layers)
    assert [name for name, _ in ours.named_parameters()] == [name for name, _ in theirs.named_parameters()]
    ids, moments = torch.randint(50, (2, 9)), torch.randint(300, (2, 9))
    for model in (theirs, ours):
        logits = model(ids, position_ids=moments, attention_mask=torch.ones_like(ids), use_cache=False).logits
        torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids.flatten()).backward()
        model.found = logits
    torch.testing.assert_close(ours.found, theirs.found)
    for mine, other in zip(ours.parameters(), theirs.parameters()):
        torch.testing.assert_close(mine.grad, other.grad)
    ours.eval()
    with torch.no_grad():  # with a cache it is transformers' own
        first = ours(ids[:, :5], use_cache=True)
        then = ours(ids[:, 5:], past_key_values=first.past_key_values).logits
        torch.testing.assert_close(then, theirs.eval()(ids).logits[:, 5:])


def test_attention_that_turns_a_part_of_each_head_stays_as_it_is() -> None:
    shape = GPTNeoXConfig(vocab_size=50, hidden_size=48, num_hidden_layers=1, num_attention_heads=3, rotary_pct=0.25)
    model = GPTNeoXForCausalLM(shape)
    hasten(model)
    assert type(model.gpt_neox.layers[0].attention) is not Attention


@pytest.mark.parametrize("wrong", [{"dataset_dir": "nowhere"}, {"model_name": "nowhere/at-all"}, {"start": "nowhere"}])
def test_what_is_missing_is_said_before_any_work(config: TrainConfig, wrong: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere"):
        train(replace(config, output_dir=str(tmp_path / "none"), **wrong))
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("line", ["{", '{"text": "|"}', "[]", ""])
def test_a_broken_dataset_is_refused_by_its_line(config: TrainConfig, line: str, tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text(line + "\n" if line else "")
    with pytest.raises(ConfigError, match=r"train\.jsonl"):
        train(replace(config, dataset_dir=str(tmp_path)))


def test_a_text_in_all_keys_is_there_once_for_each_pitch_class(chorales: list[str]) -> None:
    variants = in_all_keys(chorales[0])
    assert variants[0] == chorales[0]
    assert len(set(variants)) == 12
    lowest = {parse(text).measures[0].parts[0].staves[0].voices[0][0].notes[0].pitch for text in variants}  # type: ignore
    assert len(lowest) == 12


@pytest.mark.parametrize("heard", [True, False])
@pytest.mark.parametrize("cut", ["lexemes", "joined"])
def test_tables_of_tokens_lead_to_the_same_keys_as_the_long_way(chorales: list[str], cut: str, heard: bool) -> None:
    tokens = Tokens(build_tokenizer(cut), timed=True, heard=heard)
    keys = Keys(tokens.vocabulary, heard)
    by_table = 0
    for text in chorales[:4]:
        score, (ids, _) = parse(text), tokens.shown(tokens.encode(text))
        for interval in intervals_of(score)[1:]:
            moved = keys.moved(ids, interval)
            if moved is not None:
                by_table += 1
                assert np.array_equal(moved, tokens.shown(tokens.encode(write(transpose(score, interval))))[0])
    assert by_table > 30


def test_letters_in_a_string_are_no_pitches_and_double_sharps_take_the_long_way() -> None:
    tokens = Tokens(build_tokenizer())
    keys = Keys(tokens.vocabulary)

    def moved(text: str, interval: str) -> str | None:
        ids = keys.moved(np.array(tokens.encode(text)), interval)
        return None if ids is None else tokens.tokenizer.decode(ids)

    assert moved('|\nK0T4:4P"BACH"!clef-G2!CDEF|\n', "M2") == '|\nK2T4:4P"BACH"!clef-G2!DE^FG|\n'
    assert moved('|\nK0T4:4P"A"!clef-G2!^C^^CEF|\n', "M2") is None
    assert moved('|\nK0T4:4P"A"!clef-G2!^B^CEF|\n', "A1") is None
    assert moved('|\nK6T4:4P"A"!clef-G2!CDEF|\n', "M2") is None


def test_a_text_goes_to_another_key_as_far_as_it_can() -> None:
    tokens = Tokens(build_tokenizer())
    keys = Keys(tokens.vocabulary)

    def beginning(text: str, interval: str) -> str:
        return str(tokens.tokenizer.decode(keys.beginning(np.array(tokens.encode(text)), interval)))

    assert beginning('|\nK0T4:4P"A"!clef-G2!^C^^CEF|\n', "M2") == '|\nK2T4:4P"A"!clef-G2!^D'
    assert beginning('|\nK5T4:4P"A"!clef-G2!CDEF|\n', "M2") == "|\n"  # seven sharps are no key that is trained in
    double = '|\nK0T4:4P"A"!clef-G2!C^^CEF|\n'
    assert beginning(double, "P1") == double
    assert beginning('|\nK7T4:4P"A"!clef-G2!CDEF|\n', "P1") == '|\nK7T4:4P"A"!clef-G2!CDEF|\n'


def test_several_datasets_are_read_one_behind_the_other(config: TrainConfig, tmp_path: Path) -> None:
    one = Corpus(config.dataset_dir, "train")
    (tmp_path / "train.jsonl").write_text('{"text": "|", "quarters": 0}\n')
    both = Corpus(f"{config.dataset_dir},{tmp_path},{config.dataset_dir}", "train")
    assert [both.row(i) for i in range(len(both))] == [*map(one.row, range(4)), ("|", 0.0), *map(one.row, range(4))]
    with pytest.raises(ConfigError, match="nowhere"):
        Corpus(f"{config.dataset_dir},nowhere", "train")


def test_texts_that_were_cut_beforehand_give_the_same_batches(config: TrainConfig) -> None:
    corpus, tokens = Corpus(config.dataset_dir, "train"), Tokens(build_tokenizer(), timed=True)
    prepared = Batches(corpus, tokens, config, Place())
    prepared.prepare(2)
    assert prepared.remembered
    for one, other, _ in zip(prepared, Batches(corpus, tokens, config, Place()), range(30)):
        assert one.ids.tolist() == other.ids.tolist()
        assert one.labels.tolist() == other.labels.tolist()
        assert one.positions is not None and other.positions is not None
        assert one.positions.tolist() == other.positions.tolist()


@pytest.mark.parametrize("packing", [False, True])
def test_an_epoch_has_every_token_once_in_whatever_number_of_processes(config: TrainConfig, packing: bool) -> None:
    config = replace(config, transpose=False, part_subsets=0.0, packing=packing)
    corpus, tokens = Corpus(config.dataset_dir, "train"), Tokens(build_tokenizer(), timed=True)
    wanted = sorted(t for i in range(len(corpus)) for t in [*tokens.encode(corpus.row(i)[0])[1:], tokens.end])
    for processes in (1, 2):
        found: list[int] = []
        for process in range(processes):
            batches = Batches(corpus, tokens, config, Place(), process, processes)
            for batch in batches:
                if batches.place.epoch:
                    break
                assert batch.ids.shape == batch.labels.shape and batch.ids.shape[1] <= config.max_length
                found += batch.labels[batch.labels != IGNORED].tolist()
        assert processes > 1 or sorted(found) == wanted
        assert set(found) == set(wanted)


def test_some_texts_are_read_with_some_of_their_parts_alone(config: TrainConfig) -> None:
    config = replace(config, transpose=False, part_subsets=0.5, max_length=2048, batch_size=1)
    corpus, tokens = Corpus(config.dataset_dir, "train"), Tokens(build_tokenizer(), timed=True)
    scores = [parse(corpus.row(i)[0]) for i in range(len(corpus))]
    known = {write(score) for score in scores}
    some = {write(extract(s, parts=c)) for s in scores for n in (1, 2, 3) for c in combinations((1, 2, 3, 4), n)}
    found = set()
    for batch in Batches(corpus, tokens, config, Place()):
        length = int((batch.labels[0] != IGNORED).sum())  # the first token is not learnt, the end not compared
        found.add(tokens.tokenizer.decode(batch.ids[0, :length]))
        if len(found) == 12:
            break
    assert found <= known | some
    assert found & known
    assert found & some


def test_some_texts_are_read_with_other_names_of_their_parts(config: TrainConfig) -> None:
    config = replace(config, transpose=False, other_names=0.5, max_length=4096, batch_size=1)
    corpus, tokens = Corpus(config.dataset_dir, "train"), Tokens(build_tokenizer(), timed=True)

    def music(text: str) -> tuple[str, list[str]]:
        score = parse(text)
        return write(replace(score, parts=tuple(replace(p, name="") for p in score.parts))), [
            p.name for p in score.parts
        ]

    known = {music(corpus.row(i)[0])[0]: music(corpus.row(i)[0])[1] for i in range(len(corpus))}
    own = others = 0
    for batch in Batches(corpus, tokens, config, Place()):
        length = int((batch.labels[0] != IGNORED).sum())
        anonymous, names = music(tokens.tokenizer.decode(batch.ids[0, :length]))
        own, others = own + (known[anonymous] == names), others + (known[anonymous] != names)
        if own and others > 20:
            break
    assert own and others > 20


def test_muon_steps_as_torch_s_does() -> None:
    torch.manual_seed(0)
    shapes = [(12, 40), (40, 12), (12, 40)]
    ours = [torch.nn.Parameter(torch.randn(shape)) for shape in shapes]
    theirs = [torch.nn.Parameter(p.detach().clone()) for p in ours]
    steppers = [
        Muon(ours, lr=0.1, weight_decay=0.2),
        torch.optim.Muon(theirs, lr=0.1, weight_decay=0.2, adjust_lr_fn="match_rms_adamw"),
    ]
    for _ in range(3):
        for a, b in zip(ours, theirs):
            a.grad = torch.randn_like(a)
            b.grad = a.grad.clone()
        for stepper in steppers:
            stepper.step()
    for a, b in zip(ours, theirs):  # torch's computes in bfloat16
        torch.testing.assert_close(a, b, atol=0.02, rtol=0)


def test_batches_go_on_from_a_place_as_if_nothing_had_happened(config: TrainConfig) -> None:
    corpus, tokens = Corpus(config.dataset_dir, "train"), Tokens(build_tokenizer(), timed=True)
    through = Batches(corpus, tokens, config, Place())
    rows = []
    for batch in through:
        rows.append((batch.ids.tolist(), through.place))
        if len(rows) == 12:
            break
    for at in range(11):
        again = next(iter(Batches(corpus, tokens, config, rows[at][1])))
        assert again.ids.tolist() == rows[at + 1][0]


def test_windows_judge_each_lexeme_once_and_say_again_what_is_in_force(chorales: list[str]) -> None:
    tokens = Tokens(build_tokenizer())
    for text in chorales:
        for longest in (150, 400):
            found = windows(text, tokens.encode, tokens.end, longest)
            assert all(len(window.ids) <= longest for window in found)
            judged = [t for window in found for t in window.ids[window.judged :]]
            assert judged.pop() == tokens.end
            # a number is said again where the one before it cannot be counted on from, as behind "X1"
            assert _unnumbered(tokens.tokenizer.decode(judged)) == _unnumbered(text[2:])
            for window in found[:-1]:
                parse(tokens.tokenizer.decode(window.ids))


def _unnumbered(text: str) -> str:
    return re.sub(r"#\d+", "", "".join(text.split()))


def test_packed_windows_do_not_see_each_other(config: TrainConfig) -> None:
    from scorelm.training.batches import _batch
    from scorelm.training.models import new_model

    for positions, heard in product(("time", "index"), (True, False)):
        model, tokenizer = new_model(replace(config, positions=positions, heard=heard))
        model.eval()
        tokens = Tokens(tokenizer, positions == "time", heard)
        shown = [tokens.shown([*tokens.encode(text), tokens.end]) for text in ('|\nT4:4P"A"CDEF|', '|\nT3:4P"B"h.c|')]
        first, second = (Window(ids, positions=where) for ids, where in shown)
        with torch.no_grad():
            alone = model(**_batch([[second]], tokens, len(second.ids)).inputs()).logits[0]
            packed = model(**_batch([[first, second]], tokens, 10**6).inputs()).logits[
                0, len(first.ids) : len(first.ids) + len(second.ids) - 1
            ]
        assert torch.allclose(alone, packed, atol=1e-5)


class Uniform(torch.nn.Module):
    """A model that finds every one of eight tokens alike: three bits each."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, input_ids: torch.Tensor, **_: object) -> object:
        from types import SimpleNamespace

        return SimpleNamespace(logits=torch.zeros(*input_ids.shape, 8))


@pytest.mark.parametrize("length", [2, 9, 10, 11, 25, 64])
def test_bits_per_quarter_count_every_token_but_the_first_once(length: int) -> None:
    pieces = [Piece([1] * length, 4.0), Piece([1] * 3, 2.0)]
    assert bits_per_quarter(Uniform(), pieces, 10) == pytest.approx(3 * (length - 1 + 2) / 6)


def test_a_run_that_was_stopped_goes_on_bit_for_bit(config: TrainConfig, tmp_path: Path) -> None:
    whole = replace(config, output_dir=str(tmp_path / "whole"), save_steps=3, ema_decay=0.9)
    stopped = replace(whole, output_dir=str(tmp_path / "stopped"))
    train(whole)
    train(replace(stopped, max_steps=8))
    import shutil

    checkpoints = tmp_path / "stopped-checkpoints"
    shutil.rmtree(checkpoints / "step-0000008")  # as if it had been killed behind step 6 or 7
    train(replace(stopped, resume=True))
    for name in ("model.safetensors", "metrics.json"):
        left, right = ((tmp_path / run / name).read_text("latin-1") for run in ("whole", "stopped"))
        if name == "metrics.json":
            left, right = (json.dumps(json.loads(x)["history"]) for x in (left, right))
        assert left == right
    logs = [(tmp_path / f"{run}-checkpoints" / "log.jsonl").read_text() for run in ("whole", "stopped")]
    assert logs[0] == logs[1]
    assert sorted(p.name for p in checkpoints.glob("step-*")) == ["step-0000006", "step-0000008"]


def test_a_disk_without_room_is_said_before_any_work(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil
    from collections import namedtuple

    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**6, 10**6, 10))
    with pytest.raises(ConfigError, match="save_total_limit"):
        train(replace(config, output_dir=str(tmp_path / "full"), save_steps=2))
    assert not (tmp_path / "full").exists()


def test_a_checkpoint_that_is_half_written_is_none(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path / "model", limit=2)
    for step in (5, 10, 15):
        checkpoints.finish(checkpoints.begin(step), {"step": step})
    (checkpoints.begin(20) / "model.safetensors").write_bytes(b"half")
    (checkpoints.folder / "step-0000030").mkdir()  # without its state
    newest = checkpoints.newest()
    assert newest is not None and newest.name == "step-0000015"
    assert not (checkpoints.folder / "step-0000005").exists()


def test_training_stops_early_and_begins_anew_beside_old_checkpoints(config: TrainConfig, tmp_path: Path) -> None:
    config = replace(
        config, output_dir=str(tmp_path / "model"), lr=1e-9, muon_lr=1e-9, ema_decay=0.0, eval_steps=2, patience=1,
        max_steps=40, save_steps=2,
    )  # fmt: skip
    metrics = train(config)
    assert metrics["history"][-1]["step"] < 40
    train(config)
    assert (tmp_path / "model-checkpoints.before").is_dir()


def test_a_checkpoint_of_other_settings_is_not_gone_on_from(config: TrainConfig, tmp_path: Path) -> None:
    config = replace(config, output_dir=str(tmp_path / "model"), save_steps=4)
    train(config)
    with pytest.raises(ConfigError, match="dropout"):
        train(replace(config, dropout=0.5, resume=True))

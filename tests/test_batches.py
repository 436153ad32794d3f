"""From texts to batches: keys, windows, parts, packing, and that the order goes on from any place."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import combinations, product
from pathlib import Path

import numpy as np
import pytest
import torch

from scorelm.analysis.lines import role_of
from scorelm.config import TrainConfig
from scorelm.errors import ConfigError
from scorelm.notation.reader import parse
from scorelm.notation.transform import extract, transpose
from scorelm.notation.writer import write
from scorelm.part_names import shared_names
from scorelm.pretrained import fitting
from scorelm.tokenizer import Tokens, build_tokenizer
from scorelm.training.batches import IGNORED, Batches, Place, with_places
from scorelm.training.corpus import Corpus, in_all_keys, intervals_of
from scorelm.training.keys import Keys
from scorelm.training.windows import Window, windows


@pytest.fixture(scope="module")
def config(tiny_training: TrainConfig) -> TrainConfig:
    return tiny_training


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


def test_singers_keep_their_names_and_nobody_else_gets_one() -> None:
    own = ["Violin 1", "Soprano", "Alto", "Tenor solo", "Bass", "Continuo"]
    found = [shared_names(own, np.random.default_rng(seed)) for seed in range(200)]
    for part, names in zip(own, zip(*found)):
        assert {role_of(name) for name in names} == {role_of(part)}
        assert all(name.startswith(part) for name in names) == bool(role_of(part))
    assert any(", " in names[1] for names in found), "others play what she sings"


def test_batches_that_another_process_makes_are_the_same(config: TrainConfig) -> None:
    config = replace(config, part_subsets=0.3, other_names=0.3)
    corpus, tokens = Corpus(config.dataset_dir, "train"), Tokens(build_tokenizer(), timed=True, heard=True)
    here, ahead = (with_places(Batches(corpus, tokens, config, Place()), way) for way in (False, True))
    for (batch, place), (other, its_place), _ in zip(here, ahead, range(6)):
        assert place == its_place
        assert torch.equal(batch.ids, other.ids) and torch.equal(batch.labels, other.labels)


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
        tokens = fitting("new", model, tokenizer)
        shown = [tokens.shown([*tokens.encode(text), tokens.end]) for text in ('|\nT4:4P"A"CDEF|', '|\nT3:4P"B"h.c|')]
        first, second = (Window(ids, positions=where) for ids, where in shown)
        with torch.no_grad():
            alone = model(**_batch([[second]], tokens, len(second.ids)).inputs()).logits[0]
            packed = model(**_batch([[first, second]], tokens, 10**6).inputs()).logits[
                0, len(first.ids) : len(first.ids) + len(second.ids) - 1
            ]
        assert torch.allclose(alone, packed, atol=1e-5)

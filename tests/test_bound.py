"""Whatever a model's tokens are, what is sampled is sound: by the student and in transformers' generate."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import infer
import scorelm.underway as underway
from scorelm import extract
from scorelm.bound.lexemes import LexemeTokens
from scorelm.bound.processor import SoundLogitsProcessor, bound_logits
from scorelm.bound.strict import strict
from scorelm.bound.subwords import SubwordTokens
from scorelm.bound.tokens import bound_tokens
from scorelm.bound.walk import BoundTokens, Walk, meant
from scorelm.compose import Wish, generate
from scorelm.errors import ConfigError, FormatError
from scorelm.generation import SHIPPED, Student
from scorelm.notation.lexemes import cut
from scorelm.notation.model import Part
from scorelm.notation.plan import Plan
from scorelm.notation.reader import parse
from scorelm.notation.sound import Sound, sound_problems
from scorelm.notation.writer import write
from scorelm.tokenizer import build_tokenizer

PROMPT = '|\nK1!major!T4:4P"Soprano"!clef-G2!GABc;P"Bass"!clef-F4!G,G,G,C|\n'
KINDS = ("lexemes", "joined", "sub-words", "extended")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory, chorales: list[str]) -> dict[str, Path]:
    """A model with random weights for each kind of tokens."""
    from scorelm.config import TrainConfig
    from scorelm.training.models import extend_vocabulary, new_model

    found = {}
    for cut_name in ("lexemes", "joined"):
        config = TrainConfig(cut=cut_name, hidden_size=16, num_layers=1, num_heads=2, intermediate_size=32)
        torch.manual_seed(0)
        found[cut_name] = new_model(config)
    found["sub-words"] = sub_word_model(chorales)
    found["extended"] = sub_word_model(chorales)
    extend_vocabulary(*found["extended"])
    folders = {}
    for kind, (model, tokenizer) in found.items():
        folders[kind] = tmp_path_factory.mktemp("model")
        model.save_pretrained(folders[kind])
        tokenizer.save_pretrained(folders[kind])
    return folders


def sub_word_model(texts: list[str]):  # type: ignore[no-untyped-def]
    """A small GPT-NeoX with a byte-level BPE of Pythia's kind, whose tokens join lexemes and end inside some."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import GPTNeoXConfig, GPTNeoXForCausalLM, PreTrainedTokenizerFast

    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    inner.decoder = decoders.ByteLevel()
    english = ["the staff of a part, in a score", 'said "no"; the voice: "Alto"', "A, B, C and Cs. [see 3:2]\n"] * 9
    trainer = trainers.BpeTrainer(
        vocab_size=700, special_tokens=["<|endoftext|>", "<|padding|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False,
    )  # fmt: skip
    inner.train_from_iterator([*texts, *english], trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<|endoftext|>", bos_token="<|endoftext|>")
    torch.manual_seed(0)
    config = GPTNeoXConfig(
        vocab_size=704, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        bos_token_id=0, eos_token_id=0, pad_token_id=1,
    )  # fmt: skip
    return GPTNeoXForCausalLM(config), tokenizer


@pytest.fixture(scope="module", params=KINDS)
def folder(request: pytest.FixtureRequest, models: dict[str, Path]) -> Path:
    return models[request.param]


@pytest.fixture(scope="module")
def student(folder: Path) -> Student:
    return Student(folder)


@pytest.fixture(scope="module")
def subwords(models: dict[str, Path]) -> SubwordTokens:
    from transformers import AutoTokenizer

    tokens = bound_tokens(AutoTokenizer.from_pretrained(models["sub-words"]))
    assert isinstance(tokens, SubwordTokens)
    return tokens


def loaded(folder: Path):  # type: ignore[no-untyped-def]
    from transformers import AutoModelForCausalLM, AutoTokenizer

    return AutoModelForCausalLM.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)


def drawn(walk: Walk, tokens: BoundTokens, chance: random.Random, most: int = 5000) -> str:
    """What chance writes, all choices alike; strings and parts are closed sooner, so that texts stay short."""
    ids: list[int] = []
    while not walk.ended:
        choices = walk.choices().tolist()
        closing = [i for i in choices if set('"|') & set(tokens.text([i]))]
        ids.append(chance.choice(closing if closing and chance.random() < 0.4 else choices))
        walk.push(ids[-1])
        assert len(ids) < most
    return tokens.text(ids)


# -- tokens -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_whatever_chance_writes_is_sound(student: Student, seed: int) -> None:
    text = drawn(student.tokens.walk(Sound(measures=3)), student.tokens, random.Random(seed))
    assert sound_problems("|" + text) == []
    assert len(parse("|" + text).measures) == 3


def test_each_text_can_be_written_by_its_own_tokens(student: Student, chorales: list[str]) -> None:
    for text in (extract(chorales[0], measures=(1, 3)), extract(chorales[4], measures=(2, 3))):
        walk = student.tokens.walk(Sound(), fresh=True)
        for token, _ in student.tokens.encode(text):
            assert token in walk.choices()
            walk.push(token)
        assert student.tokens.end in walk.choices()


@pytest.mark.parametrize("seed", range(3))
def test_choices_are_the_tokens_that_can_be_pushed(student: Student, seed: int) -> None:
    chance = random.Random(seed)
    walk = student.tokens.walk(Sound(at_least=2, at_most=3))
    for number in range(400):
        choices = walk.choices().tolist()
        assert choices == sorted(set(choices)) and choices
        if number % 25 == 0:
            assert choices == pushable(walk, student.tokens)
        walk.push(chance.choice(choices))
        if walk.ended:
            break


def pushable(walk: Walk, tokens: BoundTokens) -> list[int]:
    out = []
    for token in tokens.free().choices().tolist():
        try:
            walk.copy().push(token)
        except ValueError:
            continue
        out.append(token)
    return out


def spelled_choices(tokens: SubwordTokens, begun: str, text: str = "|") -> set[str]:
    return {tokens.text([i]) for i in tokens.walk(Sound(text), begun).choices()}


def test_a_token_may_end_inside_a_lexeme_and_the_next_one_goes_on_there(subwords: SubwordTokens) -> None:
    begun = 'T4:4P"Alto"!clef-'
    assert {"G", "C", "F"} <= spelled_choices(subwords, begun)
    assert not {"!", "A", "Z", "q"} & spelled_choices(subwords, begun)
    assert spelled_choices(subwords, begun + "percuss") <= {"i", "io", "ion", "ion!"}


def test_what_longest_match_would_cut_otherwise_is_no_reading(subwords: SubwordTokens) -> None:
    tied = 'T4:4P"A"C-'  # the C must be struck again; a C, is another note
    assert "C" in spelled_choices(subwords, tied)
    assert "," not in spelled_choices(subwords, tied + "C")
    low = 'T4:4P"A"h.C,,q'
    assert {",", ";", "|"} & spelled_choices(subwords, low + "C,") == {",", ";", "|"}
    assert not {",", "'"} & spelled_choices(subwords, low + "C,,,,")


@pytest.mark.parametrize("name", ["Sopran", "Soprano", "Sopranos", "Violin", "Violin I", "C,"])
def test_a_name_is_a_lexeme_of_its_own_or_letters_as_it_ends(subwords: SubwordTokens, name: str) -> None:
    begun = f'T4:4P"{name}"CDEF'
    assert "|" in spelled_choices(subwords, begun)
    assert '"' in spelled_choices(subwords, begun[: begun.index('"CD')])


def test_given_names_may_hold_any_characters(student: Student) -> None:
    (text,) = generate(parts="Flöte,長", measures=1, seed=1, model=student, temperature=0)
    assert [part.name for part in parse(text).parts] == ["Flöte", "長"]


def test_a_tokenizer_of_another_kind_is_refused() -> None:
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel({"<end>": 0, "été": 1, "two words": 2}))
    with pytest.raises(ConfigError, match="made of the lexemes"):
        bound_tokens(PreTrainedTokenizerFast(tokenizer_object=words, eos_token="<end>"))


def test_a_byte_without_a_token_is_refused(subwords: SubwordTokens) -> None:
    without = [None if spelling == "~" else spelling for spelling in subwords.spellings]
    with pytest.raises(ConfigError, match="'~'"):
        SubwordTokens(without, subwords.end, subwords.encoder)


# -- generate -----------------------------------------------------------------------------------------


def generated(folder: Path, prompts: list[str], most: int = 3000, **bounds):  # type: ignore[no-untyped-def]
    """Texts by transformers' own generate, at a low temperature, at which a random model ends its strings."""
    model, tokenizer = loaded(folder)
    tokenizer.padding_side = "left"
    tokenizer.pad_token = tokenizer.pad_token or "<|padding|>"
    rows = tokenizer(prompts, return_tensors="pt", padding=True, return_token_type_ids=False)
    torch.manual_seed(1)
    processor = SoundLogitsProcessor(tokenizer, **bounds)
    out = model.generate(**rows, do_sample=True, max_new_tokens=most, logits_processor=[processor])
    return [processor.tokens.text(row.tolist()) for row in out]


def test_generate_writes_sound_texts_of_as_many_measures_as_are_asked_for(folder: Path) -> None:
    prompts = ["|\n", PROMPT, PROMPT + "G"]
    for prompt, text in zip(prompts, generated(folder, prompts, measures=2)):
        assert text.replace("\n", "").startswith(prompt.replace("\n", ""))
        assert sound_problems(text) == []
        assert len(parse(text).measures) == 2


def test_generate_goes_on_where_a_prompt_breaks_off_in_a_lexeme(models: dict[str, Path]) -> None:
    prompts = [PROMPT + "!clef-C", "|\nK1!maj", '|\nT4:4P"Sopra', "|"]
    for prompt, text in zip(prompts, generated(models["sub-words"], prompts, measures=2)):
        assert text.startswith(prompt)
        assert sound_problems(text) == []


def test_generate_begins_a_text_behind_the_token_that_begins_all(models: dict[str, Path]) -> None:
    (text,) = generated(models["sub-words"], ["<|endoftext|>"], measures=1)
    assert text.startswith("|\n") and sound_problems(text) == []


def test_generate_breaks_off_where_it_must_and_goes_on_from_there(models: dict[str, Path]) -> None:
    (first,) = generated(models["sub-words"], [PROMPT], most=7, measures=3)
    (whole,) = generated(models["sub-words"], [first], measures=3)
    assert whole.startswith(first) and sound_problems(whole) == [] and len(parse(whole).measures) == 3


def test_generate_keeps_to_a_plan(folder: Path) -> None:
    plan = Plan(parts=(Part("Soprano"), Part("Bass")))
    (text,) = generated(folder, ["|\n"], measures=1, plan=plan)
    assert [part.name for part in parse(text).parts] == ["Soprano", "Bass"]


def test_beams_are_bound_too(models: dict[str, Path]) -> None:
    model, tokenizer = loaded(models["lexemes"])
    rows = tokenizer([PROMPT], return_tensors="pt", return_token_type_ids=False)
    processor = SoundLogitsProcessor(tokenizer, measures=2)
    out = model.generate(**rows, num_beams=3, max_new_tokens=800, logits_processor=[processor])
    text = processor.tokens.text(out[0].tolist())
    walk = Sound(measures=2)
    for lexeme in cut(text)[1:]:
        walk.push(lexeme)


@pytest.mark.parametrize("prompt", ["CDEF", '|\nT4:4P"A"CDEFG', "|CDE|", '|\nT4:4P"A"C D? '])
def test_a_prompt_that_cannot_be_gone_on_with_is_refused(folder: Path, prompt: str) -> None:
    _, tokenizer = loaded(folder)
    ids = torch.tensor([tokenizer(prompt)["input_ids"]])
    with pytest.raises(FormatError):
        SoundLogitsProcessor(tokenizer)(ids, torch.zeros(1, len(tokenizer)))


# -- the student --------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["numpy", "transformers"])
def test_the_student_writes_sound_canonical_text(folder: Path, engine: str) -> None:
    student = Student(folder, engine)
    for seed in (0, 1):
        text = "".join(student.measures("|", seed=seed, measures=2))
        assert sound_problems(text) == [] and write(parse(text)) == text
        assert len(parse(text).measures) == 2
    assert text == "".join(student.measures("|", seed=1, measures=2))


def test_a_wish_is_kept_by_all_tokens(student: Student, chorales: list[str]) -> None:
    (text,) = generate(key="D", time="3/4", parts="Soprano,Bass", measures=2, seed=1, model=student)
    assert "K2!major!T3:4" in text and len(parse(text).measures) == 2

    melody = '|\nT3:4P"Soprano"!clef-G2!GAB-|\nBh_e|\n'
    given = generate(given=melody, parts="Soprano,Bass", n=2, tries=2, seed=1, model=student)
    assert all(soprano(text) == soprano(melody) for text in given)

    (text,) = generate(PROMPT + "GABc;hG,C|\n", rewrite="2", part="Bass", tries=2, seed=1, model=student)
    assert soprano(text) == soprano(PROMPT + "GABc;hG,C|\n")

    assert len(generate(PROMPT, measures=2, n=3, best=2, seed=1, model=student)) == 2
    (text,) = generate(PROMPT + "GA", measures=2, seed=1, model=student)
    assert text.startswith(PROMPT + "GA") and sound_problems(text) == []


def soprano(text: str) -> list[object]:
    return [replace(measure.parts[0], marks=()) for measure in parse(text).measures if measure.parts[0]]


def test_a_long_text_goes_on_from_its_last_measures(student: Student, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scorelm.underway.CONTEXT", 64)
    text = "".join(student.measures('|\nT2:4P"A"CD|\n', seed=1, measures=25))
    assert sound_problems(text) == [] and len(parse(text).measures) == 25


def test_losses_are_finite_and_one_for_each_token(student: Student, chorales: list[str]) -> None:
    losses = student.losses(chorales[0])
    assert len(losses) == len(student.tokens.encode(chorales[0]))
    assert all(0 < loss < 30 for loss in losses)


def test_free_texts_come_as_they_are_and_the_valid_ones_are_counted(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scorelm.generation.MOST_FREE", 60)
    assert infer.main(["|", "-m", str(folder), "--free", "-n", "3", "--seed", "1"]) == 0
    out, error = capsys.readouterr()
    assert "0 of 3 free samples parse, 0 are sound" in error
    assert out.startswith("|")


@pytest.mark.parametrize("wish", [{"key": "D"}, {"given": PROMPT}, {"measures": 4}, {"n": 2, "best": 1}])
def test_what_only_the_grammar_keeps_is_refused_for_free_texts(wish: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="--free goes without"):
        Wish(free=True, **wish)  # type: ignore[arg-type]


def test_the_projects_own_tokenizers_are_known() -> None:
    for name in ("lexemes", "joined"):
        tokens = bound_tokens(build_tokenizer(name))
        assert [i for i, _ in tokens.encode(PROMPT)] == build_tokenizer(name)(PROMPT)["input_ids"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_may_not_come_has_no_share_of_the_bound_losses(kind: str, models: dict[str, Path]) -> None:
    student = Student(models[kind])
    free, bound = student.losses(PROMPT), student.losses(PROMPT, bound=True)
    assert len(free) == len(bound)
    assert all(b <= f + 1e-6 for f, b in zip(free, bound))
    assert sum(bound) < 0.9 * sum(free)
    with pytest.raises(ValueError, match="may not"):
        student.losses(PROMPT.replace("GABc", "GAB"), bound=True)


# -- the ends of lines --------------------------------------------------------------------------------

SONG = '|\nT2:4P"Voice"CD;P2"Piano"CD/C,D,|\n'


@pytest.mark.parametrize(
    ("begun", "end"),
    [
        ("C", None),  # the measure is not full
        ("CD", ";"),
        ("CD;CD", "/"),
        ("CD;CD&hE", "/"),
        ("CD;CD/hC,", "|"),
    ],
)
@pytest.mark.parametrize("kind", ["lexemes", "joined"])
def test_the_parts_and_their_staves_tell_which_end_of_a_line_comes(
    kind: str, begun: str, end: str | None, models: dict[str, Path]
) -> None:
    tokens = Student(models[kind]).tokens
    assert isinstance(tokens, LexemeTokens)
    walk = tokens.walk(Sound(SONG, measures=9), begun)
    ids = walk.choices()
    if end is None:
        assert walk.line_end() is None
        return
    own, others = walk.line_end() or (0, ())
    spelled = {tokens.text([i]) for i in others}
    assert tokens.text([own]) == end and own in ids
    assert {"/", ";", "|", "!end!"} - {end} <= spelled and not set(others) & set(ids.tolist())


def test_where_it_is_open_how_many_parts_there_are_an_end_is_what_the_model_says(models: dict[str, Path]) -> None:
    tokens = Student(models["lexemes"]).tokens
    walk = tokens.walk(Sound("|", measures=9), 'T2:4P"Voice"CD')
    assert {";", "|"} <= {tokens.text([int(i)]) for i in walk.choices()} and walk.line_end() is None
    quoted = tokens.walk(Sound("|", measures=9), 'T2:4P"')
    quoted.choices()
    assert quoted.line_end() is None


def test_who_means_one_end_of_a_line_means_the_one_that_may_come(models: dict[str, Path]) -> None:
    student = Student(models["lexemes"])
    tokens = student.tokens
    assert isinstance(tokens, LexemeTokens)
    walk = tokens.walk(Sound(SONG, measures=9), "CD;CD")
    logits = np.zeros(len(tokens.tokens), np.float32)
    logits[[tokens.single["|"], tokens.single[";"], tokens.single["-"]]] = 5.0, 4.0, 3.0
    ids = walk.choices()
    found = dict(zip([tokens.text([int(i)]) for i in ids], meant(logits, ids, walk.line_end()).tolist()))
    _, others = walk.line_end() or (0, ())
    assert found["-"] == 3 and found["&"] == 0
    assert found["/"] == pytest.approx(np.log(np.exp(5) + np.exp(4) + len(others) - 2 + 1), abs=1e-4)
    tensor = torch.from_numpy(logits)
    left = bound_logits(tensor, walk)
    assert left[ids].tolist() == pytest.approx(list(found.values()), abs=1e-4)
    assert left.isfinite().sum() == len(ids) and tensor.tolist() == logits.tolist()


def test_a_model_that_knows_choirs_ends_the_staves_of_a_piano() -> None:
    shipped = Student(SHIPPED)
    text = SONG.replace("T2:4", "K0!major!T2:4") + "EF;C+EF/C,A,|\nGE;C+EG/C,C,|\nhC;hE/hC,|\n"
    lexemes = [lexemes for _, lexemes in shipped.tokens.encode(text)]
    losses = zip(lexemes[1:], shipped.losses(text), shipped.losses(text, bound=True))
    staves = [(free, bound) for lexeme, free, bound in losses if lexeme == ("/",)][1:]
    assert len(staves) == 3 and all(bound < 0.5 < 2 < free for free, bound in staves)


@pytest.mark.parametrize("kind", KINDS)
def test_strict_voice_leading_holds_for_all_tokens(kind: str, models: dict[str, Path]) -> None:
    """Behind "hGA;hC" no "D", though it may be any part of a token."""
    tokens = Student(models[kind]).tokens
    lead = '|\nT4:4P"Soprano"!clef-G2!wG;P"Bass"!clef-F4!wC|\n'
    for rule, refused in ((False, False), (True, True)):
        walk = tokens.walk(strict(Sound(lead), lead) if rule else Sound(lead))
        for token, _ in tokens.encode(("\n" if tokens.spells_lines else "") + "hGA;hC"):
            assert token is not None
            walk.push(token)
        found = {tokens.text([i]) for i in walk.choices().tolist()}
        assert refused == (not any(text[:1] == "D" and text[1:2] not in (",", "'") for text in found))
        assert any(text.startswith("E") for text in found)


def test_a_text_that_does_not_come_to_an_end_is_led_to_one(student: Student, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(underway, "MOST_TOKENS", 120)
    for seed in range(2):
        text = "".join(student.measures(seed=seed, at_least=100))  # by itself it would not end
        assert sound_problems(text) == []
        assert "!end!" in text.split("|")[-2]
        assert len(parse(text).measures) <= 120 / 2 + 1, "a measure is two tokens or more"

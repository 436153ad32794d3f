"""The student learns, is saved and loaded, goes on after a stop, and whatever it reads becomes a score."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("resvg_py", reason="pictures need resvg")

import torch
from conftest import UNTRAINED

from scorelm.config import TrainConfig
from scorelm.errors import ConfigError
from scorelm.notation.lexemes import IDS, LEXEMES, cut
from scorelm.notation.reader import parse
from scorelm.notation.transform import extract
from scorelm.notation.writer import write
from scorelm.training.models import new_model
from scorelm.training.output import save
from vlm import distill, read
from vlm.data.config import DataConfig
from vlm.data.pieces import Piece
from vlm.data.record import Record, write_records
from vlm.data.rendered import engraving
from vlm.evaluation.examples import read_examples
from vlm.read import SHIPPED
from vlm.reading.staves import HEIGHT, strips
from vlm.student import beam
from vlm.student.beam import BLANK, Prefix, search
from vlm.student.config import StudentConfig
from vlm.student.feed import Feed, Ready, made_ready
from vlm.student.loop import Distillation, predictions
from vlm.student.model import load_reader
from vlm.student.numbers import FILE, above, learn_numbers, load_numbers, printed, with_number
from vlm.student.samples import Batches, Place, kept, letters, read_samples, spoken, words
from vlm.student.transcribe import Transcriber, Transcription

ALL = ("alignment", "extraction", "analysis")


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory, chorales: list[str]) -> StudentConfig:
    folder = tmp_path_factory.mktemp("reader")
    data = DataConfig(engravers={"verovio": 1.0}, staff_px=20.0, worn=0.0, pages=0, staves=1, systems=1)
    for split, texts in (("train", chorales[:3]), ("validation", chorales[3:5])):
        records: list[Record] = []
        for number, text in enumerate(texts):
            records += engraving(Piece(text, f"{split}{number}", split), data)
        (folder / "data" / split).mkdir(parents=True)
        write_records(folder / "data" / split / "0.parquet", records)
    small = TrainConfig(
        output_dir=str(folder / "lm"), hidden_size=32, num_layers=1, num_heads=2, intermediate_size=32, dropout=0.0
    )
    model, tokenizer = new_model(small)
    save(model, tokenizer, small, UNTRAINED)
    return StudentConfig(
        dataset_dir=str(folder / "data"), output_dir=str(folder / "reader"), language_model=str(folder / "lm"),
        channels=4, vision_layers=1, dropout=0.0, batch_size=2, encoder_steps=3, alignment_steps=9, number_steps=2, extraction_steps=2, analysis_steps=2,
        eval_steps=3, eval_records=4, save_steps=2, warmup_steps=1, mixed_precision="no", threads=1,
    )  # fmt: skip


@pytest.fixture(scope="module")
def trained(config: StudentConfig) -> dict:  # type: ignore[type-arg]
    return Distillation(config, ALL).run()


def test_three_phases_are_learnt_one_behind_the_other(config: StudentConfig, trained: dict) -> None:  # type: ignore[type-arg]
    assert trained["steps"] == {"alignment": 9, "extraction": 2, "analysis": 2}
    alone, first, last = [row for row in trained["history"] if row["phase"] == "alignment"]
    assert "nats_per_token" not in alone
    assert all("encoder_errors" in row for row in (alone, first, last))  # in so few steps they may rise
    assert last["nats_per_token"] < first["nats_per_token"]
    folder = Path(config.output_dir)
    assert {"README.md", "language", "reader.json", "vision.safetensors"} <= {file.name for file in folder.iterdir()}


def test_a_run_that_was_stopped_goes_on_bit_for_bit(config: StudentConfig, tmp_path: Path) -> None:
    whole = Distillation(replace(config, output_dir=str(tmp_path / "whole")), ["alignment"])
    whole.run()
    parted = replace(config, output_dir=str(tmp_path / "parted"))
    first = Distillation(parted, ["alignment"])
    first.say = _StopAt(4, first.say)  # type: ignore[assignment]
    with pytest.raises(_Stopped):
        first.run()
    again = Distillation(replace(parted, resume=True), ["alignment"])
    assert again.done["alignment"] == 4
    again.run()
    for (name, a), (_, b) in zip(whole.reader.state_dict().items(), again.reader.state_dict().items()):
        assert torch.equal(a, b), name


class _Stopped(Exception):
    pass


class _StopAt:
    """Progress that ends a run behind a step."""

    def __init__(self, step: int, say: object) -> None:
        self.step, self.say = step, say

    def __call__(self, line: str) -> None:
        pass

    def __getattr__(self, name: str) -> object:
        return getattr(self.say, name)

    def add(self, **row: float) -> None:
        if row["step"] > self.step:
            raise _Stopped


def test_what_is_saved_reads_as_what_was_trained(config: StudentConfig, trained: dict) -> None:  # type: ignore[type-arg]
    reader = load_reader(config.output_dir)
    assert not reader.training
    sample = next(s for s in read_samples(Path(config.dataset_dir, "strips", "train", "0.npz")) if not s.prompt)
    with torch.no_grad():
        logits, targets = predictions(reader, made_ready([sample], reader.tokens).on("cpu"))
    assert logits.shape[:2] == targets.shape
    assert torch.isfinite(logits).all()


def test_the_numpy_reader_says_what_torch_says(config: StudentConfig, trained: dict) -> None:  # type: ignore[type-arg]
    transcriber = Transcriber(config.output_dir)
    sample = next(s for s in read_samples(Path(config.dataset_dir, "strips", "train", "0.npz")) if not s.prompt)
    said = spoken(sample, transcriber.tokens)
    with torch.no_grad():
        expected = predictions(transcriber.reader, made_ready([sample], transcriber.tokens).on("cpu"))[0][0]
    with torch.inference_mode():
        columns, own = transcriber._columns([sample.strips[0].astype("float32") / 255])
        prefix = transcriber.reader.prefixes(columns, own, [1])[0].numpy()
    session = transcriber.engine.session(1, 2048)
    session.read_vectors(0, prefix, list(range(-len(prefix), 0)))
    found = session.read(0, said.ids[:-1], said.positions[:-1], every=True)
    np.testing.assert_allclose(found, expected.numpy(), atol=2e-4)


def test_a_clef_or_a_name_that_was_not_heard_is_spelled_by_the_language_model() -> None:
    """On the first system of an example, by the reader that ships."""
    transcriber = Transcriber(SHIPPED)
    record = next(r for r in read_examples() if r.task == "system" and r.condition == "clean")
    (system,) = strips(record.picture().convert("L"))
    score = parse(record.answer)
    with torch.inference_mode():
        columns, own = transcriber._columns(system)
        seen = transcriber.reader.prefixes(columns, own, [1] * len(system))
        for staff, part in enumerate(score.parts):
            text = write(extract(score, parts=[staff + 1]))
            known = [IDS[lexeme] for lexeme in cut(text) if lexeme != "\n"]
            assert transcriber._headed(seen[staff], known) == known
            clef = next(at for at, i in enumerate(known) if LEXEMES[i].startswith("!clef-"))
            assert transcriber._headed(seen[staff], known[:clef] + known[clef + 1 :]) == known
            wrong = list(known)
            wrong[wrong.index(IDS[f'P"{part.name}"'])] = IDS['P"Tuba"']
            assert transcriber._headed(seen[staff], wrong) == known


def test_whatever_is_read_is_a_sound_score(config: StudentConfig, trained: dict) -> None:  # type: ignore[type-arg]
    transcriber = Transcriber(config.output_dir)
    samples = read_samples(Path(config.dataset_dir, "strips", "validation", "0.npz"))
    every = [s.strips[0].astype("float32") / 255 for s in samples if not s.prompt]
    found = transcriber.system(every)
    assert len(found) == len(every)
    for one in found:
        assert len(parse(one.text).measures) == len(one.sure)
        assert one.sure
        assert parse(one.text).measures
    alone = transcriber.system(every[:1])
    assert alone[0].text == found[0].text


def heard(columns: list[dict[str, float]]) -> np.ndarray:  # type: ignore[type-arg]
    """Logarithms of the probabilities of lexemes in each column; what is left is the blank's."""
    out = np.full((len(columns), len(LEXEMES)), 1e-12, np.float32)
    for row, some in zip(out, columns):
        row[BLANK] = 1 - sum(some.values())
        for lexeme, share in some.items():
            row[IDS[lexeme]] = share
    return np.log(np.maximum(out, 1e-12))


HEAD = [{lexeme: 0.9} for lexeme in ["K0", "T", "2", ":", "4", 'P""', "!clef-G2!"]]


def test_the_beam_takes_the_likeliest_text() -> None:
    columns = [*HEAD, {"C": 0.9}, {}, {"C": 0.6, "D": 0.3}, {"|": 0.9}]
    prefix, nats = search(heard(columns), 8)[0]
    assert text_of(prefix) == 'K0T2:4P""!clef-G2!CC|'
    assert prefix.complete
    assert nats < 0


def test_a_barline_puts_a_value_right() -> None:
    columns = [*HEAD, {"C": 0.9}, {"i": 0.6}, {"D": 0.9}, {"|": 0.9}]  # an eighth would leave the measure unfilled
    assert text_of(search(heard(columns), 8)[0][0]) == 'K0T2:4P""!clef-G2!CD|'


def test_what_follows_tells_time_signatures_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """2/4 is likelier than 3/4, and all twelve places of the beam go to it where nothing else is kept in mind."""
    head = [{"K0": 0.9}, {"T": 0.9}, {"2": 0.9, "3": 0.01}, *HEAD[3:]]
    notes = [{"C": 0.4, "D": 0.3, "E": 0.25}, {}] * 2
    columns = [*head, *notes, {"C": 0.5}, {"|": 0.9}, *[{"C": 0.999}, {}] * 3, {"|": 0.9}]
    monkeypatch.setattr("vlm.student.beam.WIDTHS", (12,))
    assert "T3:4" in text_of(search(heard(columns), 8)[0][0])
    monkeypatch.setattr("vlm.student.beam.OF_METRE", 0)
    assert "T3:4" not in "".join(text_of(prefix) for prefix, _ in search(heard(columns), 8))


def test_an_unsure_staff_is_looked_at_in_a_wider_beam(monkeypatch: pytest.MonkeyPatch) -> None:
    widths = []

    def found(*args, **options):  # type: ignore[no-untyped-def]
        widths.append(args[3])
        return wide(*args, **options)

    wide = beam._found
    monkeypatch.setattr(beam, "_found", found)
    columns = [*HEAD, {"C": 0.9}, {}, {"D": 0.9}, {"|": 0.9}]
    search(heard(columns), 8)
    assert widths == [12]
    search(heard([*HEAD, {"C": 0.03}, {}, {"D": 0.03}, {"|": 0.9}]), 8)
    assert widths == [12, 12, 128]


def test_what_was_cut_off_is_no_complete_text() -> None:
    assert not search(heard([*HEAD, {"C": 0.9}]), 8)[0][0].complete


def mended(config: StudentConfig, columns: list[dict[str, float]]) -> Transcription:
    """What is read where the encoder hears this and no text adds up."""
    transcriber = Transcriber(config.output_dir)
    with torch.inference_mode():
        seen = transcriber.reader.prefixes(*transcriber._columns([np.zeros((HEIGHT, 64), np.float32)]), [1])[0]
        return transcriber._mended(seen, heard(columns))


def test_signs_that_do_not_add_up_are_mended_and_their_measure_is_doubtful(
    config: StudentConfig,
    trained: dict,  # type: ignore[type-arg]
) -> None:
    found = mended(config, [*HEAD, *({lexeme: 0.9} for lexeme in "CD|EF|G")])
    assert found.text == '|K0T2:4P""!clef-G2!CD|EF|Gz|'
    assert found.whole and found.sure[2] == 0 and 3 in found.doubtful


def test_where_nothing_is_heard_a_measure_rests(config: StudentConfig, trained: dict) -> None:  # type: ignore[type-arg]
    found = mended(config, [{}, {}])
    assert not found.whole and len(parse(found.text).measures) == 1


def text_of(prefix: Prefix) -> str:
    return "".join(LEXEMES[i] for i in prefix.tokens())


def test_processes_make_the_same_batches(config: StudentConfig) -> None:
    tokens, files = load_reader(config.output_dir).tokens, kept(config.dataset_dir, "train")

    def feed(workers: int, place: Place) -> Feed:
        batches = Batches(files, "alignment", 2, lambda sample: True, 1, place)
        return Feed(
            batches, lambda batch, place: made_ready(batch, tokens, np.random.default_rng(place.batch)), workers
        )

    def shown(ready: Ready) -> tuple[object, ...]:
        return ready.strips.tobytes(), [row.tolist() for row in ready.ids], ready.place

    here = [ready for ready, _ in zip(feed(0, Place()), range(12))]
    there = feed(2, Place())
    try:
        assert [shown(ready) for ready, _ in zip(there, range(12))] == list(map(shown, here))
    finally:
        there.close()
    again = next(iter(feed(0, here[4].place)))
    assert shown(again) == shown(here[5])


def test_the_net_for_printed_numbers_is_written_and_loaded(config: StudentConfig, tmp_path: Path) -> None:
    files = kept(config.dataset_dir, "train")
    samples = [sample for path in files for sample in read_samples(path)]
    right = learn_numbers(files, samples, 4, 1, tmp_path / FILE)
    net = load_numbers(tmp_path)
    assert net is not None
    first = [s for s in samples if not s.prompt and s.source.endswith(".1")]
    said = net.read(np.array([above(s.strips[0]) for s in first], np.float32) / 255)
    assert right == pytest.approx(np.mean([a == printed(s.answer) for a, s in zip(said, first)]))
    (tmp_path / FILE).write_bytes(b"no tensors")
    with pytest.raises(ConfigError, match=FILE):
        load_numbers(tmp_path)
    assert load_numbers(tmp_path / "elsewhere") is None


def test_the_net_that_ships_reads_printed_numbers(config: StudentConfig) -> None:
    net = load_numbers(SHIPPED)
    assert net is not None
    samples = [s for path in kept(config.dataset_dir, "train") for s in read_samples(path) if s.source.endswith(".1")]
    first = [s for s in samples if not s.prompt]
    said = net.read(np.array([above(s.strips[0]) for s in first], np.float32) / 255)
    known = [printed(s.answer) for s in first]
    assert sum(map(bool, known)) >= 3
    assert sum(a == b for a, b in zip(said, known)) >= len(known) - 1


@pytest.mark.parametrize(
    ("text", "number", "then"),
    [
        ("|\n#12@4wC|\n", "13", "|\n#13@4wC|\n"), ("|\n#12@4wC|\n", "", "|\n@4wC|\n"), ("|@4wC|", "7", "|#7@4wC|"),
        ("|\n#0?@1C|\n", "", "|\n#0?@1C|\n"), ("|\n#0?@1C|\n", "5", "|\n#5?@1C|\n"), ("|", "5", "|"),
        ("|@4wC|", "0", "|@4wC|"), ("|#7@4wC|", "0", "|@4wC|"),
    ],
)  # fmt: skip
def test_a_text_has_the_number_that_was_read(text: str, number: str, then: str) -> None:
    assert with_number(text, number) == then


def test_words_are_letters_and_back(config: StudentConfig) -> None:
    tokens = load_reader(config.output_dir).tokens
    for text in ('{"key": "2 sharps", "title": null}', "Flöte, 長調: C sharp.", "What? |"):
        assert words(letters(text, tokens), tokens) == text.replace("|", "/")


def test_the_commands(
    config: StudentConfig, trained: dict, tmp_path: Path, capsys: pytest.CaptureFixture[str]  # type: ignore[type-arg]
) -> None:  # fmt: skip
    from vlm.data.record import read_records

    record = next(r for r in read_records(Path(config.dataset_dir, "train", "0.parquet")) if r.task == "system")
    (tmp_path / "page.png").write_bytes(record.image)
    assert strips(record.picture().convert("L"))
    out = tmp_path / "out.musicxml"
    assert read.main([str(tmp_path / "page.png"), "-m", config.output_dir, "-o", str(out)]) == 0
    assert out.read_bytes().startswith(b"<?xml")
    assert read.main([str(tmp_path / "page.png"), "-m", config.output_dir, "--ask", "Which key?"]) == 0
    assert read.main([str(tmp_path / "page.png"), "-m", str(tmp_path)]) == 2
    assert "holds no reader" in capsys.readouterr().err
    assert read.main([str(tmp_path / "no.png"), "-m", config.output_dir]) == 2
    none = ["--dataset-dir", str(tmp_path / "none"), "--mixed-precision", "no"]  # as all runs of one process
    assert distill.main(["--phase", "alignment", *none]) == 2


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(ConfigError, match="ctc_share"):
        StudentConfig(ctc_share=1.5)
    with pytest.raises(ConfigError, match="batch_size"):
        StudentConfig(batch_size=0)

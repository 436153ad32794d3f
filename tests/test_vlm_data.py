"""Pictures say what their answers say, by seed, split and settings; NOTA's rows become the same records."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet
import pytest
from PIL import Image

from scorelm.errors import ConfigError, ScorelmError, SourceError
from scorelm.musicxml.writer import write_musicxml
from scorelm.notation.model import Key, Mark, Part, Score, Time
from scorelm.notation.reader import parse
from scorelm.notation.writer import write
from vlm.data import engravers, nota, store, verovio_pages
from vlm.data.config import DataConfig
from vlm.data.facts import View, fields_of, note_heads, start_marks
from vlm.data.look import MUSIC_FONTS, TEXT_FONTS, Look, any_look
from vlm.data.pieces import Piece
from vlm.data.questions import TOPICS, ask, hear
from vlm.data.raster import trim
from vlm.data.record import PHASES, Record, read_records, read_split, write_records
from vlm.data.rendered import engraving
from vlm.data.visible import NotShown, Shown, prepare, visible
from vlm.data.wear import wear

pytest.importorskip("resvg_py", reason='pictures need resvg: pip install "scorelm[vlm]"')

HYMN = """|
#0?@1K1!major!T4:4!common!P"Soprano"!instrument!53!clef-G2!B;P"Bass"!instrument!53!clef-F4!G,|
BcdH^c;G,A,B,HA,|
dcBA;B,A,G,D,|
hA.HG;h^F,.HG,|
BABc;G,^F,G,A,|
dcBA;B,CD,D,|
HwG;HG,,&hG,D,!end!|
""".replace("hA.HG;h^F,.HG,", "h.AHqG;h.^F,HqG,").replace("HwG;HG,,&hG,D,", "HwG;HwG,")
FAST = {"verovio": 1}


@pytest.fixture
def hymn() -> Piece:
    return Piece(HYMN, "hymn", "train", "A Hymn", "N. N.", "public domain")


def config(tmp_path: Path, **settings: object) -> DataConfig:
    return DataConfig(**{"output_dir": str(tmp_path / "out"), "engravers": FAST, **settings})  # type: ignore[arg-type]


# What a picture shows


def test_an_answer_says_what_is_drawn_and_nothing_else() -> None:
    prepared = prepare(parse(HYMN))
    opening = write(visible(prepared, Shown(0, 1, ("Soprano", "Bass"))))
    assert opening.splitlines()[1] == '#0?@1K1T4:4!common!P"Soprano"!clef-G2!B;P"Bass"!clef-F4!G,|'
    middle = write(visible(prepared, Shown(4, 5, numbers={4: "4"})))
    assert middle.splitlines()[1:] == [
        '#4@4K1P""!clef-G2!BABc;P""!clef-F4!G,^F,G,A,|',
        "@4dcBA;B,CD,D,|",
    ]


def test_an_excerpt_that_is_a_piece_of_its_own_shows_its_time_and_ends_with_a_bar() -> None:
    text = write(visible(prepare(parse(HYMN)), Shown(4, 5, alone=True)))
    assert text.splitlines()[1].startswith("K1T4:4!common!P")
    assert text.endswith("!end!|\n")


def test_what_leaves_no_ink_is_not_said() -> None:
    text = '|\nT2:4P"A"!transpose!-2,-1!clef-G2!zoBx|\nX|\n'
    assert write(visible(prepare(parse(text)), Shown(0, 1))).splitlines()[1:] == ['K0T2:4P""!clef-G2!zy|', "|"]


def test_a_clef_behind_the_last_note_is_one_before_the_next() -> None:
    late = parse('|\nT2:4P"A"!clef-G2!CD!clef-F4!|\nhC,|\n')
    early = parse('|\nT2:4P"A"!clef-G2!CD|\n!clef-F4!hC,|\n')
    assert prepare(late) == prepare(early)


def test_notes_that_last_otherwise_than_written_are_refused() -> None:
    with pytest.raises(NotShown, match="last otherwise"):
        prepare(parse('|\nT3:4P"A"q@1:3CDEh.F|\n'.replace("h.F", "hF")))


def test_all_windows_of_chorales_are_canonical_text_without_what_is_hidden(chorales: list[str]) -> None:
    for text in chorales:
        prepared = prepare(parse(text))
        for first in range(0, len(prepared.measures), 3):
            last = min(first + 3, len(prepared.measures) - 1)
            shown = visible(prepared, Shown(first, last))
            assert parse(write(shown)) == shown
            marks = start_marks(shown.measures[0])
            assert all(mark.mode is None for mark in marks if isinstance(mark, Key))
            assert any(isinstance(mark, Time) for mark in marks) == (first == 0) or first > 0
            assert not {m.name for m in marks if isinstance(m, Mark)} & {"instrument", "sound", "transpose"}


# Engraving


def engraved(score: Score, seed: int) -> list[verovio_pages.Page]:
    look = any_look(np.random.default_rng(seed))
    return verovio_pages.engrave(write_musicxml(score, "Title"), look, len(score.measures), len(score.parts))


def test_each_system_has_the_heads_clefs_and_measures_that_its_answer_has(chorales: list[str]) -> None:
    for seed, text in enumerate(chorales[:4]):
        score = parse(text)
        prepared = prepare(score)
        systems = [system for page in engraved(score, seed) for system in page.systems]
        assert [s.first for s in systems[1:]] == [s.last + 1 for s in systems[:-1]]
        for system in systems:
            answer = visible(prepared, Shown(system.first, system.last, system.names))
            drawn = Counter((g.get("class") or "").split(" ")[0] for g in system.group.iter(f"{verovio_pages.SVG}g"))
            assert drawn["notehead"] == note_heads(answer)
            assert drawn["measure"] == len(answer.measures)
            assert drawn["meterSig"] == (len(answer.parts) if "T" in write(answer).split('P"')[0] else 0)


@pytest.mark.parametrize("font", MUSIC_FONTS)
def test_every_music_font_draws_its_own_picture(font: str) -> None:
    score = parse(HYMN)
    (page,) = verovio_pages.engrave(write_musicxml(score), Look(font), len(score.measures), 2)
    own = trim(verovio_pages.system_picture(page, 0, 16), (0, 0, 0, 0))
    (plain,) = verovio_pages.engrave(write_musicxml(score), Look(), len(score.measures), 2)
    other = trim(verovio_pages.system_picture(plain, 0, 16), (0, 0, 0, 0))
    assert (own.tobytes() == other.tobytes()) == (font == "Leipzig")


@pytest.mark.parametrize("font", TEXT_FONTS)
def test_the_names_of_parts_are_drawn_in_every_text_font(font: str) -> None:
    def drawn(name: str) -> bytes:
        hymn = parse(HYMN)
        score = Score((Part(name), hymn.parts[1]), hymn.measures)
        (page,) = verovio_pages.engrave(write_musicxml(score), Look(text_font=font), len(score.measures), 2)
        assert page.systems[0].names == (name, "Bass")
        return trim(verovio_pages.system_picture(page, 0, 16), (0, 0, 0, 0)).tobytes()

    assert drawn("Soprano") != drawn("Sopranu")


def test_a_staff_is_as_high_as_asked_for_and_no_neighbour_is_on_a_picture(chorales: list[str]) -> None:
    (page, *_) = engraved(parse(chorales[0]), 1)
    for number in range(len(page.systems)):
        grey = np.asarray(verovio_pages.system_picture(page, number, 40))
        dark = (grey < 200).mean(axis=1)
        lines = [r for r in range(1, len(dark)) if dark[r] > 0.4 and dark[r - 1] <= 0.4]
        assert len(lines) == 20
        assert lines[4] - lines[0] == pytest.approx(40, abs=1)


# Records


def test_an_engraving_is_the_same_for_the_same_seed_and_another_for_another(hymn: Piece, tmp_path: Path) -> None:
    settings = config(tmp_path)
    once, again = engraving(hymn, settings), engraving(hymn, settings)
    assert once == again
    other = engraving(hymn, settings, epoch=1)
    assert {record.image for record in once}.isdisjoint(record.image for record in other)


def test_an_engraving_gives_all_phases_and_every_answer_can_be_checked(hymn: Piece, tmp_path: Path) -> None:
    records = engraving(hymn, config(tmp_path, questions=3, fields=3))
    assert {record.phase for record in records} == set(PHASES)
    assert {"staff", "system", "page"} <= {record.task for record in records}
    for record in records:
        picture = record.picture()
        assert picture.mode == "L" and picture.width > 32
        score = parse(record.score)
        assert write(score) == record.score
        if record.phase == "alignment":
            assert record.answer == record.score
        if record.phase == "extraction":
            fields = json.loads(record.answer)
            assert fields and fields == {name: record.known[name] for name in fields}
            assert all(name in record.prompt for name in fields)


def test_pieces_of_train_are_moved_to_other_keys_and_others_are_not(hymn: Piece, tmp_path: Path) -> None:
    settings = config(tmp_path, fields=0, questions=0, staves=0, systems=0)

    def keys(split: str) -> set[str]:
        piece = Piece(hymn.text, hymn.source, split)
        return {str(r.known["key_signature"]) for epoch in range(5) for r in engraving(piece, settings, epoch)}

    assert keys("test") == {"1 sharp"}
    assert len(keys("train")) > 1


def test_fields_that_a_picture_does_not_show_are_null() -> None:
    prepared = prepare(parse(HYMN))
    middle = fields_of(View(visible(prepared, Shown(4, 5, numbers={4: "4"})), number="4"))
    assert middle["title"] is middle["composer"] is middle["time_signature"] is middle["parts"] is None
    assert middle["key_signature"] == "1 sharp"
    assert middle["clefs"] == ["treble", "bass"]
    assert (middle["staves"], middle["measures"], middle["first_measure"], middle["notes"]) == (2, 2, 4, 16)
    first = fields_of(View(visible(prepared, Shown(0, 1, ("S", "B"))), "A Hymn", "N. N."))
    assert (first["title"], first["time_signature"], first["parts"]) == ("A Hymn", "4/4", ["S", "B"])


def test_questions_are_answered_from_the_score_in_several_wordings(chorales: list[str]) -> None:
    score = parse(chorales[0])  # BWV 66.6, in F sharp minor
    view = View(visible(prepare(score), Shown(0, len(score.measures) - 1)))
    heard = hear(view, score, score)
    rng = np.random.default_rng(0)
    asked = [question for _ in range(12) for question in ask(heard, rng, len(TOPICS))]
    topics = {question.topic for question in asked}
    assert {"key", "rhythm", "harmony", "cadences", "range", "texture"} <= topics
    for topic in topics - {"articulations", "dynamics"}:
        assert len({question.prompt for question in asked if question.topic == topic}) > 2
    assert {q.facts["key"] for q in asked if q.topic == "key"} == {"F-sharp minor"}
    assert {q.facts["last_chord"] for q in asked if "last_chord" in q.facts} <= {"F-sharp major triad in root position"}
    (cadences,) = {q.answer for q in asked if q.topic == "cadences"}
    assert "authentic cadence" in cadences and "measure 9" in cadences


def test_dynamics_and_articulations_are_counted_where_they_are_drawn() -> None:
    score = parse('|\nT4:4P"A"!clef-G2!!mf!.CD>E.F|\n')
    heard = hear(View(visible(prepare(score), Shown(0, 0))), score, score)
    rng = np.random.default_rng(1)
    facts = [q.facts for _ in range(8) for q in ask(heard, rng, len(TOPICS))]
    assert {"articulations": {"staccato": 2, "accent": 1}} in facts
    assert {"dynamics": {"mf": 1}} in facts


def test_wear_follows_its_seed_and_leaves_the_picture_readable(hymn: Piece) -> None:
    score = parse(HYMN)
    (page,) = verovio_pages.engrave(write_musicxml(score), Look(), len(score.measures), 2)
    clean = verovio_pages.system_picture(page, 0, 24)
    for seed in range(12):
        worn = wear(clean, np.random.default_rng(seed))
        assert worn.tobytes() == wear(clean, np.random.default_rng(seed)).tobytes()
        assert abs(worn.width - clean.width) < 0.15 * clean.width
        grey = np.asarray(worn, dtype=float)
        assert np.percentile(grey, 90) - grey.min() > 50


# On disk


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """A dataset folder of a few pieces with their splits."""
    folder = tmp_path / "texts"
    folder.mkdir()
    for split, count in {"train": 3, "validation": 1, "test": 1}.items():
        rows = [
            {"text": HYMN, "source": f"{split}{n}.mxl", "title": f"{split}{n}.mxl", "composer": "N. N."}
            for n in range(count)
        ]
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder


def test_a_dataset_keeps_the_splits_of_its_pieces_goes_on_where_it_was_and_is_read_by_datasets(
    texts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import datasets

    settings = config(tmp_path, scores=str(texts), shard=1, staves=1, systems=1, pages=0)
    report = store.make(settings)
    out = Path(settings.output_dir)
    for split, count in {"train": 3, "validation": 1, "test": 1}.items():
        records = list(read_split(out, split))
        assert {record.source.split("#")[0] for record in records} == {f"{split}{n}.mxl" for n in range(count)}
        assert sum(n for (s, _, _), n in report.records.items() if s == split) == len(records)
    second = out / "train" / "00001.parquet"
    first_time, bytes_before = (out / "train" / "00000.parquet").stat().st_mtime_ns, second.read_bytes()
    second.unlink()
    assert store.make(settings).records == report.records
    assert "going on behind 4 of 5 files" in capsys.readouterr().err
    assert second.read_bytes() == bytes_before
    assert (out / "train" / "00000.parquet").stat().st_mtime_ns == first_time
    with pytest.raises(ConfigError, match="other settings"):
        store.make(config(tmp_path, scores=str(texts), shard=1, seed=2))
    loaded = datasets.load_dataset(
        "parquet", data_files={"test": str(out / "test" / "*.parquet")}, cache_dir=str(tmp_path / "cache")
    )
    assert isinstance(loaded["test"][0]["image"], Image.Image)


def test_a_piece_that_cannot_be_shown_is_counted_by_its_cause(texts: Path, tmp_path: Path) -> None:
    row = {"text": '|\nT3:4P"A"q@1:3CDEhF|\n', "source": "odd.mxl"}
    (texts / "test.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    report = store.make(config(tmp_path, scores=str(texts), staves=0, systems=1, pages=0, questions=0, fields=0))
    assert dict(report.refused) == {"notes last otherwise than they are written": 1}


def test_a_stream_gives_the_same_records_to_one_worker_and_to_two(texts: Path, tmp_path: Path) -> None:
    from torch.utils.data import DataLoader

    from vlm.data.stream import RecordStream

    settings = config(tmp_path, scores=str(texts), staves=1, systems=1, pages=0, questions=0, fields=0)

    def sources(workers: int, epoch: int = 0) -> list[Record]:
        stream = RecordStream(settings, mix=3)
        stream.epoch = epoch
        return list(DataLoader(stream, batch_size=None, num_workers=workers))

    alone = sources(0)
    assert sources(0) == alone
    assert sorted(r.source for r in sources(2)) == sorted(r.source for r in alone)
    assert {r.image for r in sources(0, epoch=1)}.isdisjoint(r.image for r in alone)


def test_records_survive_their_file_and_a_broken_file_is_named(hymn: Piece, tmp_path: Path) -> None:
    records = engraving(hymn, config(tmp_path, pages=0, staves=0))
    path = tmp_path / "a.parquet"
    assert write_records(path, records) == len(records)
    assert list(read_records(path)) == records
    assert {(record.engraver, record.condition) for record in records} <= {("verovio", "clean"), ("verovio", "worn")}
    table = parquet.read_table(path)
    parquet.write_table(table.drop_columns(["engraver", "condition"]), path)  # as older ones are
    assert list(read_records(path)) == [replace(record, engraver="", condition="") for record in records]
    path.write_bytes(b"PAR1 nothing")
    with pytest.raises(SourceError, match=r"a\.parquet"):
        list(read_records(path))
    with pytest.raises(SourceError, match="make_data"):
        list(read_split(tmp_path, "train"))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"source": "elsewhere"}, "source is 'rendered' or 'nota'".replace("'", "")),
        ({"engravers": {"finale": 1}}, "not 'finale'"),
        ({"engravers": {"verovio": 0}}, "a share is a number"),
        ({"worn": 2.0}, "worn must lie between"),
        ({"shard": 0}, "shard must be above 0"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(settings: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        DataConfig(**settings)  # type: ignore[arg-type]


# Other engravers


@pytest.mark.parametrize("engraver", ["musescore", "lilypond"])
def test_another_engraver_draws_one_system_of_the_height_asked_for(engraver: str) -> None:
    if not engravers.installed(engraver):
        pytest.skip(f"{engraver} is not installed (Debian: musescore3, lilypond)")
    score = visible(prepare(parse(HYMN)), Shown(1, 2, alone=True))
    (picture,) = engravers.draw(engraver, [score], 40, np.random.default_rng(0))
    dark = (np.asarray(picture) < 160).mean(axis=1)
    lines = [r for r in range(1, len(dark)) if dark[r] > 0.6 and dark[r - 1] <= 0.6]
    assert len(lines) == 10
    assert lines[4] - lines[0] == pytest.approx(40, abs=2)


def test_lilypond_is_not_trusted_with_a_short_measure_in_the_middle() -> None:
    prepared = prepare(parse('|\nT2:4P"A"CD|\n@1E|\nFG|\n'))
    assert not engravers.draws("lilypond", visible(prepared, Shown(0, 2, alone=True)))
    assert engravers.draws("lilypond", visible(prepared, Shown(0, 1, alone=True)))
    assert engravers.draws("musescore", visible(prepared, Shown(0, 2, alone=True)))


# NOTA

ABC = "X:1\nT:Air\nM:4/4\nL:1/8\nK:G\nGABc d2 e2|d4 G4|]\n"


@pytest.fixture
def nota_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DataConfig:
    """A few rows in NOTA's form, and the images that they name."""
    import datasets
    import pyarrow as pa
    import pyarrow.parquet as pq

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    nota._choose.cache_clear()
    folder, images = tmp_path / "nota" / "data", tmp_path / "images" / "part1"
    folder.mkdir(parents=True)
    images.mkdir(parents=True)
    for name in ("a.png", "b.png"):
        Image.new("L", (200, 80), 255).save(images / name)
    rows = {
        "train_alignment": [
            {"image": "part1/a.png", "transcription": ABC, "prompt": "", "answer": ABC},
            {"image": "part1/b.png", "transcription": "M:4/4\nL:1/4\nK:D\nDFAd|]", "prompt": "", "answer": ""},
            {"image": "part1/b.png", "transcription": "no tune at all", "prompt": "", "answer": ""},
            {"image": "part1/gone.png", "transcription": ABC, "prompt": "", "answer": ABC},
        ],
        "train_IE": [{"image": "part1/a.png", "transcription": ABC, "prompt": "What is its key?", "answer": "G"}],
        "train_analysis": [{"image": "part1/a.png", "transcription": ABC, "prompt": "Describe it.", "answer": "Calm."}],
        "test_analysis": [{"image": "part1/b.png", "transcription": ABC, "prompt": "Describe it.", "answer": "Short."}],
    }
    for split, found in rows.items():
        pq.write_table(pa.Table.from_pylist(found), folder / f"{split}-00000-of-00001.parquet")
    return config(tmp_path, source="nota", nota=str(tmp_path / "nota"), nota_images=str(tmp_path / "images"))


def test_rows_of_nota_become_records_of_three_phases_in_score_text(nota_settings: DataConfig) -> None:
    report = store.make(nota_settings)
    train, test = (list(read_split(nota_settings.output_dir, split)) for split in ("train", "test"))
    assert Counter(record.phase for record in train) == {"alignment": 2, "extraction": 1, "analysis": 1}
    assert [record.answer for record in test] == ["Short."]
    aligned = {record.answer for record in train if record.phase == "alignment"}
    assert '|\nK2T4:4P""!clef-G2!D^FAd!end!|\n' in aligned
    assert all(parse(answer).measures for answer in aligned)
    assert sum(report.refused.values()) == 2
    assert any("no image" in cause for cause in report.refused)


@pytest.mark.parametrize(
    ("setting", "listed"),
    [
        ({"nota_alignment": "alignment"}, "no split 'alignment'; it has .*train_IE"),
        ({"nota_image_field": "picture"}, "no field 'picture' .nota_image_field.; it has image, transcription"),
        ({"nota": "/nowhere/at/all"}, "cannot be loaded"),
    ],
)
def test_a_name_that_nota_does_not_have_is_refused_with_what_it_has(
    nota_settings: DataConfig, setting: dict[str, str], listed: str
) -> None:
    from dataclasses import replace

    with pytest.raises(ConfigError, match=listed):
        store.make(replace(nota_settings, **setting))  # type: ignore[arg-type]


def test_a_sample_of_nota_is_drawn_by_the_seed(nota_settings: DataConfig) -> None:
    from dataclasses import replace

    small = replace(nota_settings, nota_alignment_size=2)
    assert nota.count(small, "train") == 4
    chosen = [tuple(nota._chosen(replace(small, seed=seed), "train")[0][2]) for seed in range(6)]
    assert len(set(chosen)) > 1


# The command


def test_the_command_makes_records_and_says_how_many(
    texts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from vlm.make_data import main

    arguments = ["--scores", str(texts), "--output-dir", str(tmp_path / "o"), "--engravers", '{"verovio": 1}']
    assert main([*arguments, "--pages", "0", "--staves", "0", "--systems", "1", "--epochs", "2"]) == 0
    shown = capsys.readouterr().out
    assert "train\talignment\tsystem\t6" in shown
    assert "test\talignment\tsystem\t1" in shown
    assert main([*arguments, "--seed", "5"]) == 2
    assert "other settings" in capsys.readouterr().err


def test_an_image_without_ink_is_an_error() -> None:
    with pytest.raises(ScorelmError, match="nothing is drawn"):
        trim(Image.new("L", (10, 10), 255), (0, 0, 0, 0))

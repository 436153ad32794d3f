"""To and from music21, which nothing else knows but the readers of other sources.

A stream becomes a data model by way of MusicXML, and back, so that both ways of reading a score meet
in one reader. music21's writer is held from notating anew: what is in the stream is what is written.
"""

from __future__ import annotations

import copy
import hashlib
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from math import lcm
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from lxml import etree

from scorelm.errors import ScoreError, SourceError
from scorelm.musicxml.reader import score_from_xml
from scorelm.musicxml.source import MAX_FILE_BYTES
from scorelm.musicxml.writer import write_musicxml
from scorelm.notation.model import Mark, Pitch, Score
from scorelm.notation.transform import map_score
from scorelm.sources.abc_words import HOLDS

if TYPE_CHECKING:
    from music21 import stream

MAX_DIVISIONS = 2**24
ORIGIN = "scorelm_origin"  # in a score's editorial: what it was made from
_ADDRESS = re.compile(r"0x[0-9a-f]+")
NOTICES = "scorelm_notices"  # in a score's editorial: what its reader guessed or left out
LENGTH = "scorelm_quarters"  # in a measure's editorial: its length where its contents end before


def read_streams(source: str | Path) -> list[stream.Score]:
    """The music21 scores of a file, or of a work of music21's corpus (``"bach/bwv66.6"``).

    Raises SourceError where the file is missing, too large, or not a score for music21.
    """
    from music21 import stream as streams

    path = Path(source)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if path.is_file():
                if path.stat().st_size > MAX_FILE_BYTES:
                    raise SourceError(f"{path}: {path.stat().st_size} bytes, more than the limit of {MAX_FILE_BYTES}")
                found = _read_file(path)
            else:
                work = corpus_path(str(source))
                if work is None:
                    raise SourceError(f"{source}: no such file, nor a work of music21's corpus")
                found = _read_file(work)
    except SourceError:
        raise
    except Exception as error:  # noqa: BLE001  # music21 raises anything on a broken file
        raise SourceError(f"{source}: {_reason(error)}") from None
    if isinstance(found, streams.Opus):
        return [_as_score(s) for s in found.scores]
    return [_as_score(found)]


def _read_file(path: Path) -> stream.Stream:
    """The stream of a file, by the reader of its kind, which leaves its notices in the stream's editorial."""
    from music21 import converter
    from music21 import stream as streams

    ending = path.suffix.lower()
    if ending in (".mid", ".midi"):
        from scorelm.sources import midi

        score, said = midi.read(path.read_bytes(), str(path))
        score.editorial[NOTICES] = said
        return score
    if ending in (".abc", ".krn"):
        from scorelm.sources import abc, humdrum

        reader = abc.read if ending == ".abc" else humdrum.read
        scores = reader(path.read_bytes(), str(path))
        for score, said in scores:
            score.editorial[NOTICES] = said
        return scores[0][0] if len(scores) == 1 else streams.Opus([score for score, _ in scores])
    return converter.parse(path, forceSource=True, storePickle=False)


def notices(source: stream.Stream) -> list[str]:
    """What the reader of a file guessed or left out, where it said so."""
    return list(source.editorial.get(NOTICES, ()) if source.hasEditorialInformation else ())


def corpus_path(name: str) -> Path | None:
    """The file of a work of music21's corpus, None where there is none of this name.

    music21 takes any part of a name and returns the first file that has it; here the name must be whole.
    """
    from music21 import corpus

    try:
        found_work = corpus.getWork(name)
    except Exception:  # noqa: BLE001  # music21 raises several types here
        return None
    several = found_work if isinstance(found_work, list) else [found_work]  # one work in several formats
    path = min((Path(str(p)) for p in several), key=lambda p: p.suffix not in (".mxl", ".xml", ".musicxml"))
    wanted = PurePosixPath(name.lower()).parts
    for found in (path, path.with_suffix("")):
        if wanted and tuple(part.lower() for part in found.parts[-len(wanted) :]) == wanted:
            return path
    return None


def corpus_works(composer: str) -> list[Path]:
    """The files of a composer in music21's corpus, sorted."""
    from music21 import corpus

    return sorted(Path(str(p)) for p in corpus.getComposer(composer))


def corpus_root() -> Path:
    """The folder of music21's corpus."""
    from music21 import common

    return Path(str(common.getCorpusFilePath()))


def is_stream(source: object) -> bool:
    """Whether this is a music21 stream."""
    return any(c.__module__.startswith("music21.") and c.__name__ == "Stream" for c in type(source).__mro__)


def from_music21(source: stream.Stream) -> Score:
    """The score of a music21 stream, in normal form. SourceError where music21 cannot write it.

    A stream that ``to_music21`` made, and that nobody has changed since, gives back the very score that it was
    made from, with what music21 has no place for.
    """
    if not source:
        return Score()
    made_from = source.editorial.get(ORIGIN)
    if made_from is not None and made_from[1] == _fingerprint(source):
        return made_from[0]
    return score_from_xml(etree.fromstring(export(_as_score(source))), "the music21 score")


def titles(source: stream.Stream) -> tuple[str, str]:
    """(title, composer) of a music21 score, "" where it names none."""
    metadata = source.metadata
    if metadata is None:
        return "", ""
    return " ".join((metadata.bestTitle or "").split()), " ".join((metadata.composer or "").split())


def to_music21(score: Score) -> stream.Score:
    """A score as music21 objects, pitches to the nearest quarter tone. ScoreError where it holds what music21 cannot."""
    from music21 import converter, exceptions21
    from music21 import stream as streams

    if not score.measures:  # MusicXML has no empty score
        return streams.Score()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            xml = write_musicxml(map_score(score, pitch=_in_quarter_tones))
            out = converter.parseData(xml.decode(), format="musicxml")
        except (exceptions21.Music21Exception, ValueError) as error:
            raise ScoreError(f"music21 has no place for something in this score: {error}") from None
    _state_instruments(score, out)
    _state_measures(score, out)
    for rest in out.recurse().getElementsByClass("Rest"):
        if rest.fullMeasure is not True:  # "auto" would make a measure rest of any rest as long as its measure
            rest.fullMeasure = False
    out.editorial[ORIGIN] = _Origin((score, _fingerprint(out)))
    return out


def _in_quarter_tones(pitch: Pitch) -> Pitch:
    return replace(pitch, alter=Fraction(round(2 * pitch.alter), 2))


class _Origin(tuple[Score, str]):
    """The score that a stream was made from, and the stream's fingerprint then; a copied stream shares it."""

    def __deepcopy__(self, memo: dict[int, Any]) -> _Origin:
        return self


def _fingerprint(source: stream.Stream) -> str:
    """Tells whether a stream was changed: every element with its moment, length, pitches and what hangs on it."""
    out = hashlib.sha256()
    metadata = source.metadata
    if metadata is not None:
        out.update(repr(metadata.all()).encode())
    for element in source.recurse():
        if element.classes[0] == "Metadata":
            continue
        said = [type(element).__name__, str(element.offset), str(element.quarterLength)]
        if "Stream" not in element.classes:
            said.append(_ADDRESS.sub("", repr(element)))
        if "GeneralNote" in element.classes:
            pitches = [p.nameWithOctave for p in element.pitches]
            said += [repr(x) for x in (pitches, element.articulations, element.expressions, element.lyrics)]
            for note in (element, *getattr(element, "notes", ())):
                tie = note.tie
                said += [
                    "" if tie is None else tie.type,
                    str(getattr(note, "notehead", "")),
                    "hidden" if note.style.hideObjectOnPrint else "",
                ]
        out.update("\0".join(said).encode())
    return out.hexdigest()


def _state_instruments(score: Score, out: stream.Score) -> None:
    """music21 guesses instruments (program, transposition) from names; put what the score says in their place."""
    from music21 import instrument, interval

    staves = iter(list(out.parts))
    for part, opening in zip(score.parts, score.measures[0].parts if score.measures else ()):
        said = {m.name: m.args for m in (opening.marks if opening else ()) if isinstance(m, Mark)}
        for own in islice(staves, part.staves):  # music21 leaves out staves on which nothing stands
            own.partName = part.name
            for guessed in list(own.recurse().getElementsByClass(instrument.Instrument)):
                plain = instrument.Instrument(part.name)
                plain.partName = part.name
                plain.partId = guessed.partId
                plain.instrumentSound = str(said["sound"][0]) if "sound" in said else None
                plain.midiProgram = int(said["instrument"][0]) - 1 if "instrument" in said else None
                if "transpose" in said:
                    plain.transposition = guessed.transposition or interval.Interval(0)
                guessed.activeSite.replace(guessed, plain)


def _state_measures(score: Score, out: stream.Score) -> None:
    """Remember where a measure ends with empty time, which a stream cannot show, and what music21 reads for no staff.

    music21 knows a measure as uncounted in parts of one staff, but forgets it where it splits the staves.
    """
    from music21 import stream as streams

    staves = iter(list(out.parts))
    for index, part in enumerate(score.parts):
        present = [m for m in score.measures if m.parts[index] is not None]
        for staff in islice(staves, part.staves):
            for measure, own in zip(present, staff.getElementsByClass(streams.Measure)):
                if measure.implicit:
                    own.showNumber = streams.enums.ShowNumber.NEVER
                held = measure.parts[index]
                length = measure.length if held is None or held.length is None else held.length
                if Fraction(own.highestTime).limit_denominator(65536) != length:
                    own.editorial[LENGTH] = length


def midi(score: Score) -> bytes:
    """The score as a MIDI file."""
    from music21 import midi as midis
    from music21 import repeat, spanner
    from music21 import stream as streams

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        played = to_music21(score)
        for silent in [part for part in played.parts if not part.hasMeasures()]:
            played.remove(silent)
        for key in [key for key in played.recurse().getElementsByClass("KeySignature") if key.sharps is None]:
            key.activeSite.remove(key)  # MIDI knows sharps or flats alone
        try:
            played.expandRepeats()
        except repeat.ExpanderException:  # repeats that cannot be played: once through, as written
            for part in played.parts:
                for measure in part.getElementsByClass(streams.Measure):
                    measure.leftBarline = measure.rightBarline = None
                    measure.removeByClass(repeat.RepeatMark)
                part.removeByClass(spanner.RepeatBracket)
        out = midis.translate.streamToMidiFile(played).writestr()
    return bytes(out)


def _as_score(source: Any) -> stream.Score:
    """Any stream as a score of parts with measures."""
    from music21 import stream as streams

    if isinstance(source, streams.Opus):
        if len(source.scores) != 1:
            raise SourceError(f"this stream holds {len(source.scores)} scores: give one of them")
        source = source.scores[0]
    score = source
    if not isinstance(source, streams.Score):
        score = streams.Score()
        score.insert(0, source)
        if source.metadata is not None:
            score.metadata = source.metadata
    if not score.parts:
        part = streams.Part(score.flatten().notesAndRests.stream().elements)
        score = streams.Score([part])
    if any(not p.hasMeasures() for p in score.parts):
        score = score.makeNotation()
    return score


def export(score: stream.Score) -> bytes:
    """A stream as MusicXML, as it stands; a duration that no one note can show as tied notes.

    Raises SourceError where music21 cannot write it.
    """
    from music21 import stream as streams

    odd = [i for i, m in enumerate(score.recurse().getElementsByClass(streams.Measure)) if _has_odd_voices(m)]
    long = any(element.duration.type == "complex" for element in score.recurse().notesAndRests)
    if odd or long:
        score = copy.deepcopy(score)
    if odd:
        measures = list(score.recurse().getElementsByClass(streams.Measure))
        for index in odd:
            _align_voices(measures[index])
    if long:
        score.splitAtDurations(recurse=True)
    return _export(score)


def _has_odd_voices(measure: stream.Measure) -> bool:
    """Voices that begin within the measure, or notes beside the voices: music21's writer misplaces the former."""
    voices = measure.voices
    return bool(voices) and (bool(_beside_voices(measure)) or any(measure.elementOffset(v) for v in voices))


def _beside_voices(measure: stream.Measure) -> list[Any]:
    return [e for e in measure.notesAndRests if "Harmony" not in e.classes]  # music21 counts chord symbols as notes


def _align_voices(measure: stream.Measure) -> None:
    """Every voice from the measure's start on; notes beside the voices join one that has room, else their own."""
    from music21 import stream as streams

    voices = list(measure.voices)
    for voice in voices:
        begin = _offset(measure, voice)
        for element in voice.elements if begin else ():
            voice.setElementOffset(element, begin + _offset(voice, element))
        measure.setElementOffset(voice, 0)
    beside = _beside_voices(measure)
    if beside:
        spans = [_span(measure, element) for element in beside]
        home = next((v for v in voices if _has_room(v, spans)), None)
        if home is None:
            home = streams.Voice()
            measure.insert(0, home)
        for element, (begin, _) in zip(beside, spans):
            measure.remove(element)
            home.insert(begin, element)


def _has_room(voice: stream.Voice, spans: list[tuple[Fraction, Fraction]]) -> bool:
    taken = [_span(voice, element) for element in voice.notesAndRests]
    return all(end <= begin or until <= start for begin, until in taken for start, end in spans)


def _span(site: stream.Stream, element: Any) -> tuple[Fraction, Fraction]:
    begin = _offset(site, element)
    return begin, begin + Fraction(element.quarterLength).limit_denominator(65536)


def _offset(site: stream.Stream, element: Any) -> Fraction:
    return Fraction(site.elementOffset(element)).limit_denominator(65536)


def _export(score: stream.Score) -> bytes:
    from music21.musicxml import m21ToXml

    with warnings.catch_warnings(), _divisions(score):
        warnings.simplefilter("ignore")
        exporter = m21ToXml.GeneralObjectExporter(score)
        exporter.makeNotation = False
        try:
            data: bytes = exporter.parse()
        except Exception as error:  # noqa: BLE001  # anything, on durations that no note can show
            raise SourceError(f"music21 cannot write this score: {_reason(error)}") from None
    root = etree.fromstring(data, etree.XMLParser(huge_tree=True))
    _restore(root, score)
    return bytes(etree.tostring(root))


@contextmanager
def _divisions(score: stream.Score) -> Iterator[None]:
    """music21 writes all durations in one unit, 10080 a quarter, and rounds; take one that holds them all."""
    from music21 import defaults

    lengths = {x for e in score.recurse() for x in (e.offset, e.duration.quarterLength)}
    needed = lcm(1, *(Fraction(x).limit_denominator(65536).denominator for x in lengths))
    before = defaults.divisionsPerQuarter
    defaults.divisionsPerQuarter = needed if needed <= MAX_DIVISIONS else before
    try:
        yield
    finally:
        defaults.divisionsPerQuarter = before


def _restore(root: etree._Element, score: stream.Score) -> None:
    """What music21's writer drops or mangles: programs, numbers like "X1", uncounted measures, time without notes."""
    from music21 import defaults, layout
    from music21 import stream as streams

    second = {
        id(staff)
        for group in score.recurse().getElementsByClass(layout.StaffGroup)
        for staff in group.getSpannedElements()[1:]
        if isinstance(staff, streams.PartStaff)
    }
    _restore_names(root, score)
    for text in root.iterfind(".//lyric/text"):
        if text.text and text.text.endswith(HOLDS):
            text.text = text.text.removesuffix(HOLDS)
            text.addnext(etree.Element("extend"))
    parts = [p for p in score.parts if id(p) not in second]
    headers = root.findall("part-list/score-part")
    for part, header, element in zip(parts, headers, root.findall("part")):
        if not part.partName and header.findtext("part-name") == defaults.partName:
            header.find("part-name").text = ""
        instrument = part.getInstrument(returnDefault=False)
        program = None if instrument is None else instrument.midiProgram
        if program is not None and header.find("midi-instrument/midi-program") is None:
            midi_instrument = header.find("midi-instrument")
            if midi_instrument is None:
                midi_instrument = etree.SubElement(header, "midi-instrument", id="I1")
            etree.SubElement(midi_instrument, "midi-program").text = str(program + 1)
        for measure, out in zip(part.getElementsByClass(streams.Measure), element.findall("measure")):
            suffix = measure.numberSuffix
            if suffix and any(c.isdigit() for c in suffix):
                out.set("number", suffix)
            if measure.showNumber == streams.enums.ShowNumber.NEVER:
                out.set("implicit", "yes")
            length = measure.editorial.get(LENGTH) if measure.hasEditorialInformation else None
            if length is not None:
                _lengthen(out, length, element)


def _restore_names(root: etree._Element, score: stream.Score) -> None:
    """music21 names a score without title and composer after itself."""
    from music21 import defaults

    metadata = score.metadata
    if metadata is None or not metadata.bestTitle:
        for title in root.findall("movement-title"):
            if title.text == defaults.title:
                root.remove(title)
    if metadata is None or not metadata.composer:
        for identification in root.findall("identification"):
            for creator in identification.findall("creator"):
                if creator.text == defaults.author:
                    identification.remove(creator)


def _lengthen(measure: etree._Element, length: Fraction, part: etree._Element) -> None:
    """Move the cursor on to a measure's end."""
    divisions = Fraction(part.findtext(".//divisions") or 1)
    clock = Fraction(0)
    for element in measure:
        if element.tag in ("note", "forward", "backup") and element.find("chord") is None:
            quarters = Fraction(element.findtext("duration") or 0) / divisions
            clock += -quarters if element.tag == "backup" else quarters
    missing = (length - clock) * divisions
    if missing > 0 and missing.denominator == 1:
        forward = etree.Element("forward")
        etree.SubElement(forward, "duration").text = str(missing)
        barlines = [i for i, e in enumerate(measure) if e.tag == "barline" and e.get("location") != "left"]
        measure.insert(barlines[-1] if barlines else len(measure), forward)


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:200]}" if text else type(error).__name__

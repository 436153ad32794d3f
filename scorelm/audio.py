"""MIDI -> WAV, by fluidsynth or by PyPI's tinysoundfont, whichever is there, and a soundfont (.sf2).

The soundfont is the one that SCORELM_SOUNDFONT names, else one of those that Linux keeps.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tempfile
import wave
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from scorelm.errors import ScorelmError

FOLDERS = ("/usr/share/sounds/sf2", "/usr/share/soundfonts", "/usr/local/share/soundfonts")
PREFERRED = ("default-GM.sf2", "default.sf2", "FluidR3_GM.sf2", "TimGM6mb.sf2")
RATE = 44100  # frames a second
TAIL_S = 2.0  # until the last notes have died away
TIMEOUT_S = 600
HELP = (
    "install fluidsynth with a soundfont (apt-get install fluidsynth timgm6mb-soundfont), or pip install --no-deps "
    "tinysoundfont and name a soundfont (.sf2) in SCORELM_SOUNDFONT"
)


def soundfont() -> Path:
    """ScorelmError where there is none."""
    named = os.environ.get("SCORELM_SOUNDFONT")
    if named:
        return _checked_font(Path(named))
    found = [file for folder in FOLDERS for file in sorted(Path(folder).glob("*.sf[23]"))]
    found.sort(key=lambda file: PREFERRED.index(file.name) if file.name in PREFERRED else len(PREFERRED))
    if not found:
        raise ScorelmError(f"a .wav needs a soundfont, and none is there: {HELP}")
    return _checked_font(found[0])


def _checked_font(path: Path) -> Path:
    """fluidsynth takes another one without a word where this is none."""
    try:
        with path.open("rb") as file:
            start = file.read(12)
    except OSError as error:
        raise ScorelmError(f"{path}: the soundfont cannot be read: {error.strerror}") from None
    if start[:4] != b"RIFF" or start[8:] != b"sfbk":
        raise ScorelmError(f"{path}: is no soundfont (.sf2)")
    return path


def ready() -> None:
    """ScorelmError where no synthesiser or soundfont is there."""
    soundfont()
    _synthesiser()


def wav(midi: bytes) -> bytes:
    """The sound of a MIDI file, 16 bit stereo. ScorelmError where no synthesiser or soundfont is there."""
    font = soundfont()
    return _synthesiser()(midi, font)


def _synthesiser() -> Callable[[bytes, Path], bytes]:
    if shutil.which("fluidsynth"):
        return _by_fluidsynth
    try:
        import tinysoundfont
    except ImportError:
        raise ScorelmError(f"a .wav needs a synthesiser, and none is there: {HELP}") from None
    return partial(_by_tinysoundfont, tinysoundfont)


def _by_fluidsynth(midi: bytes, font: Path) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "score.mid", Path(folder) / "score.wav"
        source.write_bytes(midi)
        command = ["fluidsynth", "-ni", "-q", "-r", str(RATE), "-F", str(target), str(font), str(source)]
        try:
            ended = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ScorelmError(f"fluidsynth: {error}") from None
        data = target.read_bytes() if target.is_file() else b""
    # its exit code is 0 even where it could not load the soundfont
    if ended.returncode or not data or "ailed to load" in ended.stderr or "not a SoundFont" in ended.stderr:
        raise ScorelmError(f"fluidsynth made no sound of {font}: {' '.join(ended.stderr.split())[:300]}")
    return _checked(data, font)


def _by_tinysoundfont(tinysoundfont: Any, midi: bytes, font: Path) -> bytes:
    import numpy

    synth = tinysoundfont.Synth(samplerate=RATE)
    try:
        number = synth.sfload(str(font))
    except tinysoundfont.SoundFontException as error:
        raise ScorelmError(f"{font}: is no soundfont: {error}") from None
    sequencer = tinysoundfont.Sequencer(synth)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "score.mid"
        source.write_bytes(midi)
        sequencer.midi_load(str(source))
    for channel in range(16):
        synth.program_select(channel, number, 0, 0)
    blocks = []
    while not sequencer.is_empty():
        blocks.append(bytes(synth.generate(RATE)))
    blocks.append(bytes(synth.generate(int(TAIL_S * RATE))))
    frames = numpy.frombuffer(b"".join(blocks), numpy.float32)  # left and right in turn
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((frames.clip(-1, 1) * 32767).astype("<i2").tobytes())
    return _checked(out.getvalue(), font)


def _checked(data: bytes, font: Path) -> bytes:
    """Silence is no sound."""
    with wave.open(io.BytesIO(data)) as file:
        if any(file.readframes(file.getnframes())):
            return data
    raise ScorelmError(f"{font}: silence came of it; is it a soundfont?")

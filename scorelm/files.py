"""Files are written whole or not at all, and read with errors that name them."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

from scorelm.errors import ConfigError, SourceError


def write_atomically(path: str | os.PathLike[str], data: bytes | str) -> Path:
    """Write `data` (text as UTF-8, new lines as they are) to `path`; missing folders are made.

    A reader sees the old file or the new one, never half of it: the data goes to a file of a
    temporary name in the same folder, which then takes the name. Returns the path.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    raw = data.encode("utf-8") if isinstance(data, str) else data
    handle, temporary = tempfile.mkstemp(prefix=f".{target.name[:80]}.", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(raw)
        os.chmod(temporary, _mode_for(target))
        os.replace(temporary, target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return target


def read_text(path: str | os.PathLike[str]) -> str:
    """A UTF-8 text file. SourceError where it is missing or something else."""
    try:
        return decoded(Path(path).read_bytes(), str(path))
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror or error}") from None


def decoded(data: bytes, name: str, lenient: bool = False) -> str:
    """UTF-8 -> text. lenient: bytes that are none become signs that repair leaves out; a file of another kind is refused."""
    if lenient and b"\0" in data:
        raise SourceError(f"{name}: is no text")
    try:
        text = data.decode("utf-8-sig", errors="replace" if lenient else "strict")
        return text.replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise SourceError(f"{name}: is no text in UTF-8 (byte {error.start})") from None


def kind_of(data: bytes) -> str:
    """The ending of the scores that begin like this: MusicXML, packed or not, MIDI; "" of anything else."""
    if data[:4] == b"MThd":
        return ".mid"
    if data[:2] == b"PK":
        return ".mxl"
    if data[:2] in (b"\xff\xfe", b"\xfe\xff") or data.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"<":
        return ".musicxml"
    return ""


def from_stdin() -> str:
    """What stands on stdin: the text; of a score in another format, the path of a file that lasts as long as this run."""
    data = sys.stdin.buffer.read()
    ending = kind_of(data)
    if not ending:
        return decoded(data, "stdin", lenient=True)
    return str(temporary("stdin" + ending, data))


def temporary(name: str, data: bytes) -> Path:
    """A file of this name that lasts as long as this run."""
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return write_atomically(Path(folder, name), data)


def make_folder(path: str | os.PathLike[str]) -> Path:
    """A folder that files can be written to, made where it is missing. ConfigError where that cannot be."""
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{path}: no folder can be made there: {error.strerror or error}") from None
    return Path(path)


def _mode_for(target: Path) -> int:
    """The permissions of the file that is replaced, or those that a new file gets here."""
    if target.exists():
        return target.stat().st_mode & 0o777
    umask = os.umask(0)
    os.umask(umask)
    return 0o666 & ~umask

"""Files are written whole or not at all, and read with errors that name them."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from scorelm.errors import SourceError


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
        return Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise SourceError(f"{path}: is no text in UTF-8 (byte {error.start})") from None


def _mode_for(target: Path) -> int:
    """The permissions of the file that is replaced, or those that a new file gets here."""
    if target.exists():
        return target.stat().st_mode & 0o777
    umask = os.umask(0)
    os.umask(umask)
    return 0o666 & ~umask

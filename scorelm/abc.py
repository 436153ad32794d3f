"""MusicXML -> ABC, by the xml2abc that converter21 brings (an extra: pip install "scorelm[abc]")."""

from __future__ import annotations

import contextlib
import io

from scorelm.errors import ScorelmError


def write_abc(musicxml: bytes) -> str:
    """A score's ABC tune. What ABC has no sign for is lost. ScorelmError where the converter is missing or fails."""
    try:
        from converter21.abc.xml2abc import vertaal
    except ImportError:
        raise ScorelmError(
            'ABC is written by converter21, which is not installed: pip install "scorelm[abc]"'
        ) from None
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            text, told = vertaal(musicxml.decode("utf-8"), wev=1)
    except Exception as error:  # noqa: BLE001  # a converter of others may raise anything
        raise ScorelmError(f"converter21 cannot write this score as ABC: {type(error).__name__}: {error}") from None
    if not text or "occurred:" in told:  # it catches its own errors, and tells
        raise ScorelmError(f"converter21 cannot write this score as ABC: {' '.join(told.split())[-200:]}")
    return str(text)

"""scorelm: musical scores as text that language models write, and back without loss.

encode(source, profile="core") -> text       decode(text) -> music21 score
repair(text) -> (text, problems)             save(text_or_score, path)
extract(text, measures, parts) -> text       transpose(text, interval) -> text
generate(prompt, given=..., n=...) -> texts  generate_measures(prompt, ...) -> measure by measure
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from scorelm.api import decode, encode, extract, repair, save, transpose
from scorelm.errors import FormatError, ScorelmError

if TYPE_CHECKING:
    from scorelm.compose import generate, generate_measures

__version__ = "0.1.0"
__all__ = [
    "FormatError",
    "ScorelmError",
    "__version__",
    "decode",
    "encode",
    "extract",
    "generate",
    "generate_measures",
    "repair",
    "save",
    "transpose",
]


def __getattr__(name: str) -> Any:
    """What writes music stands above all that reads it, and is imported when it is asked for."""
    if name in ("generate", "generate_measures"):
        return getattr(import_module("scorelm.compose"), name)
    raise AttributeError(f"module 'scorelm' has no attribute {name!r}")

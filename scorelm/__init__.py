"""scorelm: musical scores as text that language models write, and back without loss.

encode(source, profile="core") -> text       decode(text) -> music21 score
repair(text) -> (text, problems)             save(text_or_score, path)
extract(text, measures, parts) -> text       transpose(text, interval) -> text
"""

from scorelm.api import decode, encode, extract, repair, save, transpose
from scorelm.errors import FormatError, ScorelmError

__version__ = "0.1.0"
__all__ = [
    "FormatError",
    "ScorelmError",
    "__version__",
    "decode",
    "encode",
    "extract",
    "repair",
    "save",
    "transpose",
]

"""One record: a picture, what is asked about it, and the answer.

    image      PNG, grey or colour, as bytes
    prompt     what is asked, in words
    answer     score text (alignment), a JSON object of fields (extraction), or words (analysis)
    phase      "alignment", "extraction" or "analysis": what is learnt from it
    task       what of the phase: "system", "staff", "page", "excerpt", "fields", "key", "cadences" ...
    source     the piece and the place in it: "bach/bwv66.6.mxl#e0.verovio.system2"
    split      "train", "validation" or "test": of the piece, never of a crop of it
    licence    of music and picture
    score      the score text of what the picture shows, "" where it is not known
    facts      a JSON object of what is known to be true of the picture, which a teacher's answer must agree with
    engraver   "verovio", "musescore", "lilypond", or "" where it is not known
    condition  "clean", "worn", or "" where it is not known

On disk records are rows of Parquet, readable by ``datasets.load_dataset("parquet", ...)``.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scorelm.errors import ConfigError, SourceError
from scorelm.files import write_atomically

if TYPE_CHECKING:
    from PIL import Image

CLEAN, WORN = "clean", "worn"
ALIGNMENT, EXTRACTION, ANALYSIS = PHASES = ("alignment", "extraction", "analysis")


@dataclass(frozen=True)
class Record:
    """See the module. Raises ConfigError where the phase is none of the three."""

    image: bytes
    prompt: str
    answer: str
    phase: str
    task: str
    source: str
    split: str = "train"
    licence: str = ""
    score: str = ""
    facts: str = "{}"
    engraver: str = ""
    condition: str = ""

    def __post_init__(self) -> None:
        if self.phase not in PHASES:
            raise ConfigError(f"phase is {', '.join(PHASES)}, not {self.phase!r}")

    def picture(self) -> Image.Image:
        """The image, decoded."""
        from PIL import Image

        return Image.open(io.BytesIO(self.image))

    @property
    def known(self) -> dict[str, Any]:
        """``facts``, decoded."""
        return dict(json.loads(self.facts))


NAMES = tuple(field.name for field in fields(Record))
ADDED = frozenset(("engraver", "condition"))  # older files do not have them


def write_records(path: Path, records: Iterable[Record]) -> int:
    """Write a Parquet file, whole or not at all; returns how many records it has."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [{**asdict(record), "image": {"bytes": record.image, "path": None}} for record in records]
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    schema = pa.schema([(name, image if name == "image" else pa.string()) for name in NAMES], _as_images())
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema), out)
    write_atomically(path, out.getvalue())
    return len(rows)


def _as_images() -> Mapping[str, str]:
    """What tells ``datasets`` that the first column holds pictures."""
    features = {name: {"dtype": "string", "_type": "Value"} for name in NAMES} | {"image": {"_type": "Image"}}
    return {"huggingface": json.dumps({"info": {"features": features}})}


def read_records(path: Path) -> Iterator[Record]:
    """The records of a Parquet file. SourceError where it is none of ours."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            missing = set(NAMES).difference(file.schema_arrow.names)
            if missing - ADDED:
                raise SourceError(f"{path}: has no column {', '.join(sorted(missing - ADDED))}")
            for batch in file.iter_batches(64, columns=[name for name in NAMES if name not in missing]):
                for row in batch.to_pylist():
                    yield Record(**{**row, "image": row["image"]["bytes"]})
    except (OSError, pa.ArrowException) as error:
        raise SourceError(f"{path}: {' '.join(str(error).split())[:200]}") from None


def shards(folder: str | Path, split: str) -> list[Path]:
    """The Parquet files of a split, in order. SourceError where there are none."""
    found = sorted(Path(folder, split).glob("*.parquet"))
    if not found:
        raise SourceError(f"{folder}: holds no records of {split}; python -m vlm.make_data writes them")
    return found


def read_split(folder: str | Path, split: str, phase: str | None = None) -> Iterator[Record]:
    """The records of a split of a folder, of one phase or all, in order."""
    for path in shards(folder, split):
        for record in read_records(path):
            if phase in (None, record.phase):
                yield record

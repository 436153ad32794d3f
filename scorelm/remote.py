"""Scores and datasets that lie elsewhere: whatever fsspec reaches by a URL (s3://, gs://, memory://, zip://...).

Under the folder of a dataset that is not finished yet:

    .unfinished/JOB/00000000-00000200.jsonl   the results of its first 200 files, a line each
    .unfinished/JOB/train.jsonl               a whole file, about to be moved to its place
"""

from __future__ import annotations

import contextlib
import json
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from scorelm.errors import SourceError
from scorelm.musicxml.source import MAX_FILE_BYTES

RESULTS_A_SHARD = 200
UNFINISHED = ".unfinished"
_URL = re.compile(r"[a-z][a-z0-9+.-]+:(//|:)", re.IGNORECASE)
_WHOSE_TIME = ("ETag", "etag", "md5Hash", "LastModified", "last_modified", "mtime", "updated", "created", "CRC")


def is_url(name: str | Path) -> bool:
    """Whether a name is no local path; ``file://`` and a local path mean the same (see ``local``)."""
    return isinstance(name, str) and _URL.match(name) is not None and not name.startswith("file://")


def local(name: str) -> str:
    """A local path, where it is written as a URL."""
    return name.removeprefix("file://")


def find(url: str, endings: tuple[str, ...]) -> list[tuple[str, str, str]]:
    """(URL, name, state) of the scores of a file, a folder or a glob, in the order of a local folder.

    name: what follows the folder; all of the URL for a glob; state: changes with the file
    """
    with _named(url):
        files, path = _files(url)
        files.invalidate_cache()
        if any(sign in path for sign in ("*[" if url.startswith("http") else "*[?")):
            infos = files.glob(path, detail=True)
            folder = None
        elif files.isfile(path):
            infos = {path: files.info(path)}
            folder = path.rpartition("/")[0]
        else:
            infos = files.find(path, detail=True)
            folder = path.rstrip("/")
            infos = {p: info for p, info in infos.items() if PurePosixPath(p).suffix.lower() in endings}
            infos = {p: info for p, info in infos.items() if not PurePosixPath(p).name.startswith(".")}
        rest = url.partition("::")[1] + url.partition("::")[2]
        out = []
        for path in sorted(infos, key=lambda p: PurePosixPath(p).parts):
            if infos[path].get("type") != "directory":
                whole = files.unstrip_protocol(path) + rest
                name = whole if folder is None else path.removeprefix(folder).lstrip("/")
                out.append((whole, name, _state(infos[path])))
    if not out:
        raise SourceError(f"{url}: no such file, nor a folder that holds scores")
    return out


def fetch(url: str) -> bytes:
    """A file's bytes. SourceError where it cannot be reached or is too large."""
    with _named(url):
        files, path = _files(url)
        size = files.size(path)
        if size is not None and size > MAX_FILE_BYTES:
            raise SourceError(f"{url}: {size} bytes, more than the limit of {MAX_FILE_BYTES}")
        with files.open(path, "rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise SourceError(f"{url}: more bytes than the limit of {MAX_FILE_BYTES}")
    return data


@contextlib.contextmanager
def as_file(data: bytes, name: str) -> Iterator[Path]:
    """Bytes as a local file for a while, which is called as they are."""
    with tempfile.TemporaryDirectory(prefix="scorelm-") as folder:
        own = PurePosixPath(name.partition("::")[0])
        path = Path(folder) / (own.name if len(own.name.encode()) < 200 else "score" + own.suffix)
        path.write_bytes(data)
        yield path


class Shards:
    """The results of a job so far, in files of ``RESULTS_A_SHARD`` lines beside the dataset that they will be."""

    def __init__(self, url: str, job: str) -> None:
        self.url = url
        self.lines: list[str] = []
        self.shards: list[str] = []
        self.done = 0
        with _named(url):
            self.files, root = _files(url)
            self.folder = f"{root.rstrip('/')}/{UNFINISHED}/{job[:16]}"
            self.files.invalidate_cache()
            found = sorted(self.files.find(self.folder))
        for path in found:
            span = re.search(r"/(\d{8})-(\d{8})\.jsonl$", path)
            if span and int(span[1]) == self.done:  # a chain without gaps
                self.shards.append(path)
                self.done = int(span[2])

    def __enter__(self) -> Shards:
        return self

    def __exit__(self, *_: object) -> None:
        self._close_shard()

    def add(self, result: Any) -> None:
        self.lines.append(json.dumps(result, ensure_ascii=False) + "\n")
        if len(self.lines) >= RESULTS_A_SHARD:
            self._close_shard()

    def results(self) -> Iterator[Any]:
        for shard in self.shards:
            with _named(self.url):
                data = self.files.cat_file(shard)
            for line in data.splitlines():
                found, reason = json.loads(line)
                yield found, reason

    def _close_shard(self) -> None:
        if not self.lines:
            return
        end = self.done + len(self.lines)
        path = f"{self.folder}/{self.done:08}-{end:08}.jsonl"
        with _named(self.url):
            self.files.makedirs(self.folder, exist_ok=True)
            self.files.pipe_file(path + ".new", "".join(self.lines).encode())
            self.files.mv(path + ".new", path)
        self.shards.append(path)
        self.done, self.lines = end, []


def publish(url: str, job: str, new: Mapping[str, Path], gone: Sequence[str] = ()) -> None:
    """Put local files under a URL by their names: all go up first, then each is moved to its place.

    gone: names that shall not be there any more. What is unfinished under the URL is deleted.
    """
    with _named(url):
        files, root = _files(url)
        root = root.rstrip("/")
        waiting = f"{root}/{UNFINISHED}/{job[:16]}"
        files.makedirs(waiting, exist_ok=True)
        for name, path in new.items():
            files.put_file(str(path), f"{waiting}/{name}")
        for name in new:
            files.mv(f"{waiting}/{name}", f"{root}/{name}")
        for name in gone:
            if files.exists(f"{root}/{name}"):
                files.rm(f"{root}/{name}")
        files.rm(f"{root}/{UNFINISHED}", recursive=True)


def _files(url: str) -> tuple[Any, str]:
    """The file system of a URL, and the path there."""
    import fsspec

    return fsspec.core.url_to_fs(url)


def _state(info: Mapping[str, Any]) -> str:
    return f"{info.get('size')} {next((info[key] for key in _WHOSE_TIME if info.get(key)), '')}"


@contextlib.contextmanager
def _named(url: str) -> Iterator[None]:
    try:
        yield
    except SourceError:
        raise
    except Exception as error:  # noqa: BLE001  # each store has errors of its own
        raise SourceError(f"{url}: {str(error) or type(error).__name__}") from None

"""A dataset's scores read on a Ray cluster: ``ray.data`` spreads the files, each is read as on one machine.

A worker of the cluster has a process of its own for reading (``scorelm.processes``): a file that kills or stalls
it costs only itself. A worker that is lost as a whole is asked again, then file by file.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import secrets
import socket
import sys
import warnings
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

from scorelm import __version__, remote
from scorelm.dataset import Result, Work, read_one
from scorelm.errors import ConfigError, ScorelmError, SourceError
from scorelm.musicxml.source import MAX_FILE_BYTES, read_bytes
from scorelm.processes import Process

RETRIES = 2  # of files whose worker was lost; ray.data would try for ever
FILES_A_BLOCK = 16
FILES_A_RUN = 20_000  # what Ray holds a list of at once
BYTES_A_RUN = 256 * 2**20  # of local files, which travel with that list
Item = dict[
    str, Any
]  # what a worker is given: number, source, path, data (None to fetch it), reason (why there is none)

_process: Process | None = None  # a worker's own


@contextlib.contextmanager
def cluster(address: str = "", workers: int | None = None) -> Iterator[None]:
    """Connected to a cluster: at ``HOST:PORT``, "auto" for the one of this machine, "local" for a new one here.

    address: default: the cluster that RAY_ADDRESS names, else "local"
    workers: CPUs of a new one; default: all

    ConfigError where Ray is not installed, not reached, or runs another scorelm than this.
    """
    address = address or os.environ.get("RAY_ADDRESS", "") or "local"
    if not re.fullmatch(r"auto|local|[\w.-]+:\d+|\[[\da-f:]+\]:\d+", address):
        raise ConfigError(f"--ray takes auto, local or HOST:PORT, not '{address}'; scores come before it")
    _check_reachable(address)
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    settings: dict[str, Any] = {}
    if address == "local":
        if "ray" not in sys.modules:  # it reads this when it is imported
            # Ray listens on every interface of the machine, and runs what it is sent there: only with this word.
            os.environ.setdefault("RAY_AUTH_MODE", "token")
            os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
        settings = {"num_cpus": workers, "include_dashboard": False, "_system_config": {"task_oom_retries": RETRIES}}
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise ConfigError(f'--ray needs Ray: pip install "scorelm[ray]" ({error})') from None
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # what fails is in failed.jsonl
    _start(address, settings)
    try:
        _check_version()
        yield
    except ray.exceptions.RayError as error:
        reason = str(error).strip().splitlines()[-1:] or [type(error).__name__]
        raise ScorelmError(f"Ray: {reason[0]}; started again, the job goes on where it was") from None
    finally:
        ray.shutdown()


def read(
    works: Sequence[Work], profile: str, workers: int | None = None, file_timeout_s: float = 0.0
) -> Generator[Result, None, None]:
    """The rows of each work in order, or the reason why there are none, by the cluster; see ``dataset.make``.

    workers: at most so many at once; default: as many as there are CPUs
    """
    for items in _runs(works):
        yield from _read_run(items, profile, workers, file_timeout_s, FILES_A_BLOCK)


def _runs(works: Sequence[Work]) -> Iterator[list[Item]]:
    """The works as a cluster is given them, so many at a time: local files as bytes, others by their URL."""
    out: list[Item] = []
    total = 0
    for number, work in enumerate(works):
        path = work.path
        item: Item = {"number": number, "source": work.source, "path": str(path), "data": None, "reason": ""}
        try:
            if isinstance(path, Path):
                item["data"] = read_bytes(path)
            elif "memory://" in path:  # of this process alone
                item["data"] = remote.fetch(path)
        except SourceError as error:
            item["reason"] = str(error).removeprefix(f"{path}: ")
        out.append(item)
        total += len(item["data"] or b"")
        if len(out) >= FILES_A_RUN or total >= BYTES_A_RUN:
            yield out
            out, total = [], 0
    if out:
        yield out


def _read_run(
    items: list[Item], profile: str, workers: int | None, file_timeout_s: float, a_block: int
) -> Iterator[Result]:
    """The results of the items, in order. a_block: how many of them a worker is given, and lost with it, at once."""

    def again(lost: list[Item]) -> Iterator[Result]:
        if lost and a_block > 1:
            yield from _read_run(lost, profile, workers, file_timeout_s, 1)
        else:
            yield from (([], f"its Ray worker was lost {RETRIES + 1} times, as when memory runs out") for _ in lost)

    place = 0
    for number, result in _stream(items, profile, workers, file_timeout_s, a_block):
        start = place
        while items[place]["number"] != number:
            place += 1
        yield from again(items[start:place])
        yield result
        place += 1
    yield from again(items[place:])


def _stream(
    items: list[Item], profile: str, workers: int | None, file_timeout_s: float, a_block: int
) -> Iterator[tuple[int, Result]]:
    """(number, result) of the items in order, as they come; those of a block that was lost are not among them."""
    import ray

    context = ray.data.DataContext.get_current()
    context.execution_options.preserve_order = True
    context.max_errored_blocks = -1
    context.enable_progress_bars = False
    if workers is None:
        workers = max(1, int(ray.cluster_resources().get("CPU", 1)))
    blocks = max(-(-len(items) // a_block), min(len(items), 4 * workers))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # max_retries has no other place up to Ray 2.63
        found = ray.data.from_items(items, override_num_blocks=blocks).map(
            answer, fn_args=(profile, file_timeout_s), num_cpus=1, concurrency=workers, max_retries=RETRIES
        )
    for row in found.iter_rows():
        rows, reason = json.loads(row["result"])
        yield row["number"], (rows, reason)


def answer(item: Item, profile: str, file_timeout_s: float) -> dict[str, Any]:
    """What a worker makes of an item: its number, and its result as JSON."""
    global _process
    if item["reason"]:
        return {"number": item["number"], "result": json.dumps([[], item["reason"]])}
    if _process is None:
        _process = Process(read_one)
    with contextlib.ExitStack() as stack:
        path: Path | str = item["path"]
        if item["data"] is not None:
            path = stack.enter_context(remote.as_file(item["data"], item["path"]))
        result, reason = _process.ask((Work(path, item["source"]), profile), file_timeout_s)
    return {"number": item["number"], "result": json.dumps([[], reason] if reason else result)}


def _start(address: str, settings: dict[str, Any]) -> None:
    import ray

    limit = {"SCORELM_MAX_FILE_BYTES": str(MAX_FILE_BYTES)}
    for last in (False, False, True):
        try:
            ray.init(
                address=address, log_to_driver=False, logging_level=logging.ERROR, runtime_env={"env_vars": limit},
                **settings,
            )  # fmt: skip
            return
        except ConnectionError as error:
            raise ConfigError(f"{error} (one that wants a token: RAY_AUTH_MODE=token)") from None
        except Exception as error:  # noqa: BLE001  # Ray raises that itself where it has no 30 seconds for its start
            ray.shutdown()
            if last or address != "local":
                raise ScorelmError(f"Ray could not be started: {error}") from None


def _check_reachable(address: str) -> None:
    """Ray itself tries for minutes."""
    host, _, port = address.rpartition(":")
    if port.isdecimal():
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=20).close()
        except (OSError, OverflowError) as error:
            raise ConfigError(f"no Ray cluster answers at {address}: {error}") from None


def _check_version() -> None:
    import ray

    try:
        there = ray.get(ray.remote(_version).remote())
    except ray.exceptions.RayTaskError as error:
        raise ConfigError(f"scorelm {__version__} is to be installed on the Ray cluster too: {error.cause}") from None
    if there != __version__:
        raise ConfigError(f"the Ray cluster runs scorelm {there}, this is {__version__}: they must be the same")


def _version() -> str:
    return __version__

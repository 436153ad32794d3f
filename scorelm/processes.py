"""Work in processes of their own: one that dies or hangs costs only the task that it was at.

``multiprocessing.Pool`` waits for ever for a result whose process was killed; here that is an answer like any other.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing.connection import Connection, wait
from queue import SimpleQueue
from typing import Any

from scorelm.errors import ScorelmError

Answer = tuple[Any, str]  # what the function returned, or why it did not
TRIES = 2  # a process may be killed for what another one does: memory runs out for all
TASKS_A_PROCESS = 250  # then a new one takes over, so that what its libraries keep does not grow for ever
AHEAD = 16  # tasks a process that may be done before their turn has come: as many results are held at most


class Process:
    """A process that answers one task after the other, and is replaced where it ends."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        """function: of a module, with one argument"""
        self.function = function
        self._closed = False
        self._child: multiprocessing.process.BaseProcess | None = None

    def ask(self, task: Any, limit_s: float = 0.0) -> Answer:
        """The answer to a task. limit_s: a process that takes longer is stopped; 0 for no limit."""
        for _ in range(TRIES):
            with tempfile.TemporaryDirectory(prefix="scorelm-", ignore_cleanup_errors=True) as scratch:
                answer = self._ask_once(task, limit_s, scratch)
            if answer is not None:
                return answer
        return None, f"its process ended {TRIES} times: {self._end}"

    def close(self) -> None:
        """Stop the process, whatever it is at; to be called from any thread."""
        self._closed = True
        child = self._child
        if child is not None:
            child.kill()

    def _ask_once(self, task: Any, limit_s: float, scratch: str) -> Answer | None:
        if self._child is None:
            self._start()
        try:
            self._connection.send((task, scratch))
            if not self._connection.poll(limit_s or None):
                self._stop()
                return None, f"took longer than {limit_s:g} seconds and was stopped"
            answer = self._connection.recv()
        except (EOFError, OSError):
            self._stop(wait_s=5)
            return (None, "stopped") if self._closed else None
        self._served += 1
        if self._served >= TASKS_A_PROCESS:
            self._stop()
        return answer, ""

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, far = context.Pipe()
        self._child = context.Process(target=_serve, args=(far, self.function), daemon=True)
        self._child.start()
        far.close()
        self._served = 0
        if self._closed:
            self._child.kill()
        try:
            self._connection.recv()  # it is up: the clock of a task does not count this
        except (EOFError, OSError):
            self._stop(wait_s=5)
            if not self._closed:
                raise ScorelmError(f"a process to work in could not be started: {self._end}") from None

    def _stop(self, wait_s: float = 0.0) -> None:
        """End the process, and tell how it ended. wait_s: for one that is ending by itself"""
        child = self._child
        if child is None:
            return
        if wait_s:
            child.join(wait_s)
        child.kill()
        child.join()
        self._end = _how(child.exitcode)
        self._connection.close()
        self._child = None


def each(
    function: Callable[[Any], Any], tasks: Iterable[Any], processes: int, limit_s: float = 0.0
) -> Iterator[Answer]:
    """The answer to each task, in order, by so many processes at once."""
    free: SimpleQueue[Process] = SimpleQueue()
    pool = [Process(function) for _ in range(processes)]
    for process in pool:
        free.put(process)

    def ask(task: Any) -> Answer:
        process = free.get()
        try:
            return process.ask(task, limit_s)
        finally:
            free.put(process)

    pending: deque[Future[Answer]] = deque()
    threads = ThreadPoolExecutor(processes)
    try:
        for task in tasks:
            pending.append(threads.submit(ask, task))
            if len(pending) >= AHEAD * processes:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
        for process in pool:
            process.close()
        threads.shutdown()


def _how(code: int | None) -> str:
    if code is not None and code < 0:
        with contextlib.suppress(ValueError):
            name = signal.Signals(-code).name
            return f"killed by {name}, as when memory runs out" if name == "SIGKILL" else f"killed by {name}"
    return f"exit code {code}"


def _serve(connection: Connection, function: Callable[[Any], Any]) -> None:
    """The life of a process: it answers until nobody asks."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the one who started it tells it when to stop
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")  # where memory runs out, Linux ends this process and not the one that keeps the results
    connection.send("up")
    while True:
        try:
            task, tempfile.tempdir = connection.recv()
        except EOFError:
            return
        connection.send(function(task))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)

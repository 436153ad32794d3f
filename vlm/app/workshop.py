"""Where the page has its music engraved, sounded and saved: in a process of its own.

Verovio, Cairo and the synthesiser are not Python: a score on which one of them crashes would end the page for all.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from scorelm.errors import ScorelmError
from scorelm.processes import Process


class Workshop:
    """One process, started when it is first needed; what it is asked for is done one after the other."""

    def __init__(self, limit_s: float) -> None:
        """limit_s: seconds that a task may take"""
        self.limit_s = limit_s
        self._process = Process(_done)
        self._free = threading.Lock()

    def do(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """What a function of a module returns. ScorelmError where it raises one, crashes or takes too long."""
        with self._free:
            answer, reason = self._process.ask((function, arguments), self.limit_s)
        if reason:
            raise ScorelmError(reason)
        result, said = answer
        if said:
            raise ScorelmError(said)
        return result


def _done(task: tuple[Callable[..., Any], tuple[Any, ...]]) -> tuple[Any, str]:
    function, arguments = task
    try:
        return function(*arguments), ""
    except ScorelmError as error:  # not all of them can travel between processes
        return None, str(error)

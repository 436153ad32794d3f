"""Every error that scorelm raises on purpose.

    ScorelmError
    +-- FormatError      the text breaks the format (measure, line, column)
    +-- ScoreError       a score cannot be held by the data model (a bound, a contradiction)
    +-- SourceError      a file cannot be read, is too large, or is not a score
    +-- ConfigError      a setting is unknown, of the wrong type or contradicts another

All are caught by the command line, printed as one line, and end with exit code 2.
"""

from __future__ import annotations


class ScorelmError(Exception):
    """Base of all errors that scorelm raises on purpose."""


class ScoreError(ScorelmError):
    """A score lies outside what the data model and the format can hold."""


class SourceError(ScorelmError):
    """A source file cannot be read as a score."""


class ConfigError(ScorelmError):
    """A setting is unknown, has the wrong type, or contradicts another one."""


class FormatError(ScorelmError):
    """The text breaks the format.

    message: what was expected and what was found
    text:    the whole text that was read
    position: index into the text, from 0
    measure: which measure of the text, from 1 (1 is the first after the first ``|``)
    line, column: from 1
    """

    def __init__(self, message: str, text: str = "", position: int = 0) -> None:
        self.message = message
        self.text = text
        self.position = position
        before = text[:position]
        self.measure = before.count("|")
        self.line = before.count("\n") + 1
        self.column = position - (before.rfind("\n") + 1) + 1
        where = f" (measure {self.measure}, line {self.line}, column {self.column})"
        super().__init__(message + where)

"""The doors to a teacher, which have one face: a picture and words go in, words come out."""

from __future__ import annotations

from typing import Protocol

from scorelm.errors import ScorelmError
from vlm.data.record import Record
from vlm.teacher.config import TeacherConfig


class NoReply(ScorelmError):
    """One question was not answered; the next one may be. The message is the cause."""


class Teacher(Protocol):
    """Someone who answers."""

    name: str  # of the model
    parallel: int  # questions that may be asked at once

    def reply(self, record: Record, words: str) -> str:
        """What is said to a record's picture and ``words``. NoReply, or ScorelmError where no one answers at all."""


class Known:
    """The answer that was computed from the score."""

    name = "score"
    parallel = 1

    def reply(self, record: Record, words: str) -> str:
        return record.answer


def open_door(config: TeacherConfig) -> Teacher:
    """The teacher that the settings name. ConfigError where it cannot be reached."""
    if config.teacher == "none":
        return Known()
    if config.teacher == "endpoint":
        from vlm.teacher.endpoint import Endpoint

        return Endpoint(config)
    from vlm.teacher.local import Local

    return Local(config)

"""A teacher behind a server that speaks the OpenAI protocol: vLLM, NIM, ``transformers serve``."""

from __future__ import annotations

import base64
import os
import threading
import time

from scorelm.errors import ConfigError, ScorelmError
from vlm.data.record import Record
from vlm.teacher.config import TeacherConfig
from vlm.teacher.doors import NoReply


class Endpoint:
    """The client waits and tries again by itself where a server is busy, slow or away for a while."""

    def __init__(self, config: TeacherConfig) -> None:
        try:
            import openai
        except ImportError:
            raise ConfigError('teacher endpoint needs the client: pip install "scorelm[vlm]"') from None
        self.config, self.name, self.parallel = config, config.model, config.parallel
        self._errors = openai
        self._client = openai.OpenAI(
            base_url=config.endpoint, api_key=os.environ.get(config.key_variable) or "none",
            timeout=config.timeout_s, max_retries=config.retries,
        )  # fmt: skip
        self._pace = Pace(config.per_minute)
        self._answered = False

    def reply(self, record: Record, words: str) -> str:
        """See doors.Teacher."""
        url = "data:image/png;base64," + base64.b64encode(record.image).decode()
        self._pace.wait()
        try:
            found = self._client.chat.completions.create(
                model=self.config.model, max_tokens=self.config.max_tokens, temperature=self.config.temperature,
                messages=[
                    {
                        "role": "user",
                        "content": [
                            {"type": "image_url", "image_url": {"url": url}},
                            {"type": "text", "text": words},
                        ],
                    }
                ],
            )  # fmt: skip
        except self._errors.APIStatusError as error:
            said = f"the server refused: HTTP {error.status_code}"
            if error.status_code in (401, 403, 404) or error.status_code >= 500 or not self._answered:
                raise ScorelmError(f"{self.config.endpoint}: {said}: {_short(error)}") from None
            raise NoReply(said) from None
        except self._errors.APIConnectionError as error:  # a time-out, too
            raise ScorelmError(f"{self.config.endpoint}: {_short(error)}") from None
        except self._errors.APIError as error:
            raise NoReply(_short(error)) from None
        self._answered = True
        choice = found.choices[0] if found.choices else None
        if choice is None or not choice.message.content:
            raise NoReply("the reply is empty")
        if choice.finish_reason == "length":
            raise NoReply("the reply was cut off at max_tokens")
        return str(choice.message.content)


class Pace:
    """So many a minute at most, evenly. Several threads may wait."""

    def __init__(self, per_minute: int) -> None:
        self._step = 60 / per_minute if per_minute else 0.0
        self._next = 0.0
        self._lock = threading.Lock()

    def wait(self) -> None:
        with self._lock:
            now = time.monotonic()
            at = max(now, self._next)
            self._next = at + self._step
        time.sleep(at - now)


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200]

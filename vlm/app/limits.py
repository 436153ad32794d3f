"""What one visitor may ask of this machine."""

from __future__ import annotations

from dataclasses import dataclass, fields

from scorelm.errors import ConfigError


@dataclass(frozen=True)
class Limits:
    """All above 0. ConfigError where one is not."""

    upload_mb: float = 20.0  # of a file
    pages: int = 20  # of a PDF
    megapixels: float = 60.0  # of a page
    timeout_s: float = 120.0  # of one reading or writing; what is there by then is shown
    queue: int = 8  # that may wait
    characters: int = 200_000  # of a text
    given_measures: int = 200  # of a score that is gone on with or harmonised
    minutes: float = 15.0  # of sound

    def __post_init__(self) -> None:
        for field in fields(self):
            if not getattr(self, field.name) > 0:
                raise ConfigError(f"{field.name} must be above 0, not {getattr(self, field.name)}")

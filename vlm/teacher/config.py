"""The settings of ``python -m vlm.ask_teacher``."""

from __future__ import annotations

from dataclasses import dataclass

from scorelm.dataset import SPLITS
from scorelm.errors import ConfigError
from vlm.data.record import PHASES

DOORS = ("none", "transformers", "endpoint")


@dataclass(frozen=True)
class TeacherConfig:
    """Who is asked, what, and how."""

    dataset_dir: str = "vlm_dataset"  # of python -m vlm.make_data
    output_dir: str = "vlm_answers"
    splits: str = "train"  # several with commas between
    phases: str = "extraction,analysis"
    limit: int = 0  # records of each split, from its start; 0: all
    teacher: str = "none"  # "transformers": in this process; "endpoint": a server; "none": the scores' own answers
    model: str = "nvidia/Llama-3.1-Nemotron-Nano-VL-8B-V1"  # on the hub or a folder; of a server: its name there
    trust_remote_code: bool = False  # run the code that comes with the model; Nemotron needs it
    revision: str | None = None  # commit of the model on the hub
    adapter: str | None = None  # a folder of python -m vlm.adapt, for the model in this process
    load_in_4bit: bool = False  # by bitsandbytes; else bf16
    endpoint: str = "http://127.0.0.1:8000/v1"  # vLLM, NIM, or whatever speaks the OpenAI protocol
    key_variable: str = "OPENAI_API_KEY"  # environment variable with the server's key
    max_tokens: int = 1024  # of a reply
    temperature: float = 0.0
    show_score: bool = True  # the score text goes with a question on the music
    timeout_s: float = 120.0  # of one request
    retries: int = 6  # of a request, after waits that grow
    per_minute: int = 0  # requests at most; 0: as many as go
    parallel: int = 4  # requests at once

    def __post_init__(self) -> None:
        if self.teacher not in DOORS:
            raise ConfigError(f"teacher is {', '.join(DOORS)}, not {self.teacher!r}")
        if self.adapter is not None and self.teacher != "transformers":
            raise ConfigError(f"adapter is for teacher transformers, not {self.teacher}: a server loads its own")
        for name in ("max_tokens", "timeout_s", "parallel"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"{name} must be above 0, not {getattr(self, name)}")
        for name in ("limit", "temperature", "retries", "per_minute"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} must be 0 or more, not {getattr(self, name)}")
        for name, known in (("splits", SPLITS), ("phases", PHASES)):
            given = self.listed(name)
            unknown = [one for one in given if one not in known]
            if unknown or not given:
                raise ConfigError(f"{name} are {', '.join(known)}, not {(unknown or [''])[0]!r}")

    def listed(self, name: str) -> list[str]:
        """The values of ``splits`` or ``phases``."""
        return [one.strip() for one in getattr(self, name).split(",") if one.strip()]

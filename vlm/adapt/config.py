"""The settings of ``python -m vlm.adapt``."""

from __future__ import annotations

from dataclasses import dataclass

from scorelm.errors import ConfigError
from vlm.data.record import PHASES

POSITIVE = "r alpha batch_size gradient_accumulation_steps max_length lr eval_records"


@dataclass(frozen=True)
class AdaptConfig:
    """What is adapted, of what and how. Steps are optimizer steps, lengths are in tokens."""

    dataset_dir: str = "vlm_dataset"  # of python -m vlm.make_data
    answers_dir: str | None = None  # a teacher's answers, of python -m vlm.ask_teacher
    output_dir: str = "score-adapter"  # holds an adapter of each phase
    model: str = "nvidia/Llama-3.1-Nemotron-Nano-VL-8B-V1"  # on the hub or a folder
    revision: str | None = None  # commit of the model on the hub
    trust_remote_code: bool = False  # run the code that comes with the model; Nemotron needs it
    load_in_4bit: bool = True  # by bitsandbytes; else bf16 on a GPU
    unsloth: bool = True  # where a GPU and the package are there and it knows the model
    phases: str = "alignment,extraction,analysis"  # in this order, each from the adapter of the last
    start: str | None = None  # an adapter to begin from; null: a new one
    r: int = 16
    alpha: int = 32
    lora_dropout: float = 0.05
    alignment_steps: int = 2000
    extraction_steps: int = 1000
    analysis_steps: int = 1000
    batch_size: int = 1
    gradient_accumulation_steps: int = 8
    max_length: int = 4096  # of question, picture and answer; longer ones are left out
    lr: float = 1e-4
    warmup_steps: int = 30
    weight_decay: float = 0.0
    teacher_share: float = 0.5  # of the records for words, where a teacher answered them
    eval_records: int = 32  # of validation, behind each phase
    seed: int = 1

    def __post_init__(self) -> None:
        for name in POSITIVE.split():
            if getattr(self, name) <= 0:
                raise ConfigError(f"{name} must be above 0, not {getattr(self, name)}")
        for name in "warmup_steps weight_decay alignment_steps extraction_steps analysis_steps".split():
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} must be 0 or more, not {getattr(self, name)}")
        if not 0 <= self.lora_dropout < 1:
            raise ConfigError(f"lora_dropout must lie between 0 and 1, not {self.lora_dropout}")
        if not 0 <= self.teacher_share <= 1:
            raise ConfigError(f"teacher_share is 0 to 1, not {self.teacher_share}")
        given = [one.strip() for one in self.phases.split(",")]
        if [one for one in PHASES if one in given] != given:
            raise ConfigError(f"phases are some of {','.join(PHASES)}, in this order, not {self.phases!r}")

    def listed(self) -> list[str]:
        """The phases, in order."""
        return [one.strip() for one in self.phases.split(",")]

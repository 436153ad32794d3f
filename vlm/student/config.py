"""The settings of the student and of its three phases, as train.py has its own."""

from __future__ import annotations

from dataclasses import dataclass

from scorelm.errors import ConfigError


@dataclass(frozen=True)
class StudentConfig:
    """What ``python -m vlm.distill`` needs to know. Lengths are in tokens, intervals in optimizer steps."""

    dataset_dir: str = "vlm_dataset"  # of python -m vlm.make_data; several stand with commas between them
    start: str | None = None  # a reader's folder to go on from in alignment; null: a new reader
    answers_dir: str | None = None  # a teacher's answers, of python -m vlm.ask_teacher; null: those of the scores alone
    teacher_share: float = 0.5  # of the records for words, where a teacher answered them
    output_dir: str = "score-reader"
    language_model: str | None = None  # a folder of train.py; null: the model that ships
    channels: int = 16  # of the first convolution; the others have 2, 4 and 8 times as many
    vision_layers: int = 2  # of attention among the columns of a strip
    dropout: float = 0.1  # of the encoder
    ctc_share: float = 0.3  # of the loss of alignment: the encoder alone must say the tokens too
    batch_size: int = 16
    max_length: int = 768  # of an answer; longer ones are left out
    max_strips: int = 12  # of one picture; of larger ones the first are read
    lr: float = 1e-3
    muon_lr: float = 4e-3
    min_lr_ratio: float = 0.02
    warmup_steps: int = 100
    weight_decay: float = 0.05
    ema_decay: float = 0.998
    encoder_steps: int = 6000  # of alignment, the first ones: the encoder learns alone, twice as fast as with the rest
    alignment_steps: int = 8000
    number_steps: int = 4000  # at the end of alignment, of the small net that reads printed measure numbers; 0: none
    extraction_steps: int = 1500
    analysis_steps: int = 1500
    max_minutes: float | None = (
        None  # of a phase; its schedule ends at this time or with its steps, whichever comes first
    )
    eval_steps: int = 500
    eval_records: int = 64  # of validation
    save_steps: int = 250
    save_total_limit: int = 2
    resume: bool = False
    mixed_precision: str = "auto"
    threads: int = 0  # of the CPU; 0: torch decides
    workers: int = 0  # processes that make batches for a GPU, with all samples in memory; 0: they are made as they come
    seed: int = 1

    def __post_init__(self) -> None:
        for name in POSITIVE:
            if getattr(self, name) <= 0:
                raise ConfigError(f"{name} must be above 0, not {getattr(self, name)}")
        for name in "warmup_steps weight_decay save_steps threads workers encoder_steps alignment_steps number_steps extraction_steps analysis_steps".split():
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} must be 0 or more, not {getattr(self, name)}")
        for name in ("dropout", "ema_decay", "min_lr_ratio", "ctc_share"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"{name} must lie between 0 and 1, not {getattr(self, name)}")
        if not 0 <= self.teacher_share <= 1:
            raise ConfigError(f"teacher_share is 0 to 1, not {self.teacher_share}")
        if self.mixed_precision not in ("auto", "bf16", "no"):
            raise ConfigError(f"mixed_precision is auto, bf16 or no, not {self.mixed_precision!r}")


POSITIVE = "channels vision_layers batch_size max_length max_strips lr muon_lr eval_steps eval_records save_total_limit".split()

"""Settings of every test: quiet threads, no network, and Hypothesis' profiles.

ci    the same examples on every run (scripts/check sets HYPOTHESIS_PROFILE=ci)
fuzz  many new examples (scripts/fuzz)
dev   new examples on every run; what fails is kept in .hypothesis
"""

from __future__ import annotations

import json
import os

# Before anything imports torch or transformers, so that a bare `pytest` runs as scripts/check does.
for name, value in {
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
}.items():
    os.environ.setdefault(name, value)

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from scorelm.config import TrainConfig

UNTRAINED = {
    "step": 0, "tokens": 0, "loss": 0.0, "bits_per_quarter": 0.0, "parameters": 0, "minutes": 0.0,
    "training_texts": 0, "validation_texts": 0,
}  # fmt: skip

# No deadline: one slow moment of a busy machine is not a failure.
settings.register_profile(
    "ci",
    derandomize=True,
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "fuzz", max_examples=3000, deadline=None, print_blob=True, suppress_health_check=list(HealthCheck)
)
settings.register_profile("dev", deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))


@pytest.fixture(scope="session")
def chorales() -> list[str]:
    """Score text of some of Bach's chorales."""
    from scorelm import encode

    return [encode(f"bach/bwv{number}") for number in ("66.6", "253", "269", "277", "1.6", "4.8", "10.7", "377")]


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a model that knows nothing but makes use of all that it is shown, as train.py writes one."""
    import torch

    from scorelm.config import TrainConfig
    from scorelm.training.models import new_model
    from scorelm.training.output import save

    config = TrainConfig(
        output_dir=str(tmp_path_factory.mktemp("tiny") / "model"),
        hidden_size=16, num_layers=1, num_heads=2, intermediate_size=32, recalled=True,
    )  # fmt: skip
    with torch.random.fork_rng():  # the same model, whichever tests came before
        torch.manual_seed(0)
        model, tokenizer = new_model(config)
    with torch.no_grad():
        model.get_input_embeddings().weight[len(tokenizer) :].normal_(
            0, 0.2, generator=torch.Generator().manual_seed(0)
        )
    save(model, tokenizer, config, UNTRAINED)
    return Path(config.output_dir)


@pytest.fixture(scope="session")
def tiny_training(tmp_path_factory: pytest.TempPathFactory, chorales: list[str]) -> TrainConfig:
    """Settings of a training of a few steps, on four chorales."""
    from scorelm.config import TrainConfig
    from scorelm.notation.reader import parse

    folder = tmp_path_factory.mktemp("training")
    for split, texts in (("train", chorales[:4]), ("validation", chorales[4:6])):
        rows = [json.dumps({"text": text, "quarters": float(parse(text).quarters)}) for text in texts]
        (folder / f"{split}.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return TrainConfig(
        dataset_dir=str(folder), output_dir=str(folder / "model"), hidden_size=32, num_layers=1, num_heads=2,
        intermediate_size=32, batch_size=2, max_length=256, max_steps=8, eval_steps=4, warmup_steps=2,
        mixed_precision="no", threads=1,
    )  # fmt: skip

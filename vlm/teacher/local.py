"""A teacher in this process, by transformers.

Two kinds of models: those that transformers has a class for, and those that bring code of their own with a method
``chat``, as Nemotron Nano VL does. That code is run only where ``trust_remote_code`` is set.
"""

from __future__ import annotations

import hashlib
import sys
import threading
from pathlib import Path
from typing import Any

from scorelm.errors import ConfigError
from vlm.data.record import Record
from vlm.teacher.config import TeacherConfig
from vlm.teacher.doors import NoReply


class Local:
    """One question at a time."""

    parallel = 1

    def __init__(self, config: TeacherConfig) -> None:
        import torch

        self.config, self.name = config, config.model
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.model, self.processor, self.tokenizer = load(
            config.model, config.load_in_4bit, config.trust_remote_code, config.revision
        )
        if config.adapter is not None:
            self.model, self.name = with_adapter(self.model, config.adapter), named(config.model, config.adapter)
        self.model.eval()
        self._lock = threading.Lock()

    def reply(self, record: Record, words: str) -> str:
        """See doors.Teacher."""
        with self._lock:
            said, cut = self._chat(record, words) if hasattr(self.model, "chat") else self._generate(record, words)
        if cut:
            raise NoReply("the reply was cut off at max_tokens")
        if not said.strip():
            raise NoReply("the reply is empty")
        return said

    def _settings(self) -> dict[str, Any]:
        drawn = self.config.temperature > 0
        return {
            "max_new_tokens": self.config.max_tokens, "do_sample": drawn,
            **({"temperature": self.config.temperature} if drawn else {}),
        }  # fmt: skip

    def _chat(self, record: Record, words: str) -> tuple[str, bool]:
        features = self.processor([record.picture().convert("RGB")], return_tensors="pt")
        said = self.model.chat(
            tokenizer=self.tokenizer, question=f"<image>\n{words}",
            generation_config={**self._settings(), "eos_token_id": self.tokenizer.eos_token_id},
            **{name: self._placed(value) for name, value in features.items()},
        )  # fmt: skip
        count = len(self.tokenizer(said, add_special_tokens=False)["input_ids"])
        return said, count >= self.config.max_tokens

    def _generate(self, record: Record, words: str) -> tuple[str, bool]:
        import torch

        picture = {"type": "image", "image": record.picture().convert("RGB")}
        batch = self.processor.apply_chat_template(
            [{"role": "user", "content": [picture, {"type": "text", "text": words}]}],
            add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt",
        )  # fmt: skip
        inputs = {name: self._placed(value) for name, value in batch.items()}
        with torch.inference_mode():
            ids = self.model.generate(**inputs, **self._settings())[0, inputs["input_ids"].shape[1] :]
        return self.tokenizer.decode(ids, skip_special_tokens=True), len(ids) >= self.config.max_tokens

    def _placed(self, value: Any) -> Any:
        """On the model's device; pictures in its precision."""
        if not hasattr(value, "to"):
            return value
        value = value.to(self.device)
        return value.to(self.model.dtype) if value.is_floating_point() else value


def load(name: str, four_bit: bool, trusted: bool, revision: str | None = None) -> tuple[Any, Any, Any]:
    """Model, processor of pictures (and of words, where transformers has a class) and tokenizer, in bf16 or 4-bit.

    ConfigError where it is not there, brings code that is not trusted, or a package is missing.
    """
    import torch
    from transformers import (
        AutoConfig,
        AutoImageProcessor,
        AutoModel,
        AutoModelForImageTextToText,
        AutoProcessor,
        AutoTokenizer,
    )
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    cuda = torch.cuda.is_available()
    precision: dict[str, Any] = {"dtype": torch.bfloat16 if cuda or four_bit else torch.float32}
    if four_bit:
        precision["quantization_config"] = four_bits()
    if cuda:
        precision["device_map"] = "auto"
    common: dict[str, Any] = {"revision": revision, "trust_remote_code": trusted}
    try:
        about = AutoConfig.from_pretrained(name, **common)
        own = "AutoModel" in (getattr(about, "auto_map", None) or {})
        if own and trusted:
            model = AutoModel.from_pretrained(name, **common, **precision)
            tokenizer = AutoTokenizer.from_pretrained(name, **common)
            pictures: Any = AutoImageProcessor
            return model, pictures.from_pretrained(name, **common), tokenizer
        model = AutoModelForImageTextToText.from_pretrained(name, **common, **precision)
        both: Any = AutoProcessor
        processor = both.from_pretrained(name, **common)
    except (OSError, ValueError, ImportError) as error:
        said = " ".join(str(error).split())[:300]
        if "trust_remote_code" in str(error):
            said = "brings code of its own; set trust_remote_code where you trust who wrote it"
        raise ConfigError(f"{name}: {said}") from None
    return model, processor, processor.tokenizer


def with_adapter(model: Any, adapter: str) -> Any:
    """The model with what ``python -m vlm.adapt`` taught it. ConfigError where that is no adapter of it."""
    try:
        from peft import PeftModel
    except ImportError:
        raise ConfigError('adapter needs peft: pip install "scorelm[vlm]"') from None
    try:
        return PeftModel.from_pretrained(model, adapter).merge_and_unload()
    except (OSError, ValueError, RuntimeError) as error:
        raise ConfigError(f"{adapter}: is no adapter of this model: {' '.join(str(error).split())[:200]}") from None


def named(model: str, adapter: str) -> str:
    """A name for the two that changes with the adapter's weights: replies are kept under it."""
    weights = Path(adapter, "adapter_model.safetensors").read_bytes()
    return f"{model} + {hashlib.sha256(weights).hexdigest()[:12]}"


def four_bits() -> Any:
    """nf4 with double quantization. ConfigError without bitsandbytes."""
    import torch
    from transformers import BitsAndBytesConfig

    try:
        import bitsandbytes  # noqa: F401
    except ImportError:
        raise ConfigError('load_in_4bit needs bitsandbytes: pip install "scorelm[vlm]"') from None
    if not torch.cuda.is_available():
        print("load_in_4bit: there is no GPU; 4-bit weights save memory here, no time", file=sys.stderr)
    return BitsAndBytesConfig(  # type: ignore[no-untyped-call]
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )  # fmt: skip

"""A model of pictures and words with LoRA in the attention and the MLP of its language model.

By unsloth where it is asked for, a GPU is there and it knows the model; else by transformers and peft.
"""

from __future__ import annotations

import re
import sys
from typing import Any

from scorelm.errors import ConfigError
from vlm.adapt.config import AdaptConfig
from vlm.teacher.local import load

TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
# The encoder of pictures has layers of the same names; it stays as it is.
SEEING = re.compile(r"(^|\.)(vision|visual|image|siglip|radio)")


def adapted(config: AdaptConfig) -> tuple[Any, Any, Any]:
    """Model with an adapter that learns, processor, tokenizer. ConfigError where one cannot be had."""
    found = _by_unsloth(config)
    if found is not None:
        return found
    model, processor, tokenizer = load(config.model, config.load_in_4bit, config.trust_remote_code, config.revision)
    for layer in model.modules():
        if hasattr(layer, "support_avx512bf16_for_cpu"):  # its packing in evaluation would cost LoRA its gradients
            layer.support_avx512bf16_for_cpu = False
    return with_lora(model, config), processor, tokenizer


def with_lora(model: Any, config: AdaptConfig) -> Any:
    """The model with a new adapter, or with that of ``start``, to be trained on."""
    import torch
    from peft import LoraConfig, PeftModel, get_peft_model

    for weight in model.parameters():
        weight.requires_grad_(False)
    model.config.use_cache = False
    if torch.cuda.is_available():
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        model.enable_input_require_grads()
    if config.start:
        try:
            return PeftModel.from_pretrained(model, config.start, is_trainable=True)
        except (OSError, ValueError, RuntimeError) as error:
            raise ConfigError(f"{config.start}: is no adapter of this model: {_short(error)}") from None
    names = [
        name for name, _ in model.named_modules() if name.rpartition(".")[2] in TARGETS and not SEEING.search(name)
    ]
    if not names:
        raise ConfigError(f"{config.model}: has no layers {', '.join(TARGETS)}")
    lora = LoraConfig(
        r=config.r, lora_alpha=config.alpha, lora_dropout=config.lora_dropout, bias="none", target_modules=names
    )
    return get_peft_model(model, lora)


def _by_unsloth(config: AdaptConfig) -> tuple[Any, Any, Any] | None:
    """None where unsloth is not used, and why in one line."""
    if not config.unsloth:
        return None
    import torch

    why = "there is no GPU"
    if config.start:
        why = "an adapter is gone on from"
    elif torch.cuda.is_available():
        try:
            from unsloth import FastVisionModel

            model, processor = FastVisionModel.from_pretrained(
                config.model, max_seq_length=config.max_length, load_in_4bit=config.load_in_4bit,
                trust_remote_code=config.trust_remote_code, revision=config.revision,
            )  # fmt: skip
            model = FastVisionModel.get_peft_model(
                model, finetune_vision_layers=False, finetune_language_layers=True, finetune_attention_modules=True,
                finetune_mlp_modules=True, r=config.r, lora_alpha=config.alpha, lora_dropout=config.lora_dropout,
                bias="none", random_state=config.seed,
            )  # fmt: skip
            return model, processor, processor.tokenizer
        except (ImportError, NotImplementedError, RuntimeError, ValueError, OSError) as error:
            why = _short(error)
    print(f"unsloth is not used: {why}; transformers and peft are", file=sys.stderr)
    return None


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200]

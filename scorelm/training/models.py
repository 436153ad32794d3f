"""The model that is trained: a new small GPT-NeoX on the project's lexemes, or any Pythia of the hub or a folder."""

from __future__ import annotations

import copy
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from scorelm.config import TrainConfig
from scorelm.errors import ConfigError
from scorelm.notation.lexemes import LEXEMES
from scorelm.pretrained import fitting, load_model
from scorelm.tokenizer import TIME, Tokens, build_tokenizer
from scorelm.vocabulary import Vocabulary

TARGETS = ["query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h"]  # GPT-NeoX's matrices, for LoRA


def prepare_model(config: TrainConfig) -> tuple[Any, Tokens]:
    """The model and its tokens. ConfigError where it cannot be had or does not fit its tokenizer."""
    from scorelm.hearing import learn_alone

    if config.start is not None:
        model, tokens = started(config)
        if config.learn != "all":
            head = model.get_output_embeddings()
            learn_alone(model, head.relates if config.learn == "intervals" else head.recalls)
        # what writes is not told what it has said, so that all else learns without
        return model, tokens if config.learn == "recalled" else replace(tokens, recalled_from=None)
    if config.model_name is None:
        model, tokenizer = new_model(config)
        return model, replace(fitting("new", model, tokenizer), recalled_from=None)
    model, tokens = _loaded(config)
    if config.extend_vocabulary:
        extend_vocabulary(model, tokens.tokenizer)
    if config.lora is not None:
        model = _with_lora(model, config)
    return model, tokens


def new_model(config: TrainConfig) -> tuple[Any, Any]:
    """A GPT-NeoX of the config's sizes with random weights, and the tokenizer of the lexemes."""
    from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

    from scorelm.hearing import begin

    tokenizer = build_tokenizer(config.cut)
    model = GPTNeoXForCausalLM(
        GPTNeoXConfig(
            vocab_size=len(tokenizer),
            hidden_size=config.hidden_size,
            num_hidden_layers=config.num_layers,
            num_attention_heads=config.num_heads,
            intermediate_size=config.intermediate_size,
            hidden_dropout=config.dropout,
            attention_dropout=0.0,  # it would cost attention its fast path
            max_position_embeddings=2048,
            rope_parameters={
                "rope_type": "default",
                "rope_theta": 10000.0,
                "partial_rotary_factor": config.rotary_share,
            },
            tie_word_embeddings=True,
            bos_token_id=tokenizer.eos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            use_cache=False,
            attn_implementation="sdpa",
        )
    )
    model.config.scorelm_vocabulary = Vocabulary.of_cut(config.cut).fingerprint()
    if config.positions == TIME:
        model.config.scorelm_positions = TIME
    if config.heard:
        begin(model, Vocabulary.of_cut(config.cut).tokens, config.related, config.recalled)
    return model, tokenizer


def started(config: TrainConfig) -> tuple[Any, Tokens]:
    """The model of a folder of train.py, to be trained on, deeper by some layers. It learns to hear and to relate, so far
    as the config asks for that and it does not yet."""
    import torch

    from scorelm.hearing import begin

    folder = str(config.start)
    if not Path(folder, "config.json").is_file():
        raise ConfigError(f"{folder}: holds no model of train.py")
    model, tokens = load_model(folder)
    if config.heard:
        begin(model, tokens.vocabulary.tokens, config.related, config.recalled or config.learn == "recalled")
        tokens = fitting(folder, model, tokens.tokenizer)
    if config.add_layers:
        deepen(model, config.add_layers)
    model.config.hidden_dropout = config.dropout
    for layer in model.modules():
        if isinstance(layer, torch.nn.Dropout):
            layer.p = config.dropout
    return model, tokens


def deepen(model: Any, more: int) -> None:
    """Put layers into a GPT-NeoX, evenly over its depth. Each is a copy of the one before it that adds nothing yet:
    what it writes is multiplied by zeros, so that the model says what it said (Chen et al., Net2Net, 2016)."""
    import torch

    old = list(model.gpt_neox.layers)
    layers = []
    for number, layer in enumerate(old, 1):
        layers.append(layer)
        for _ in range(number * more // len(old) - (number - 1) * more // len(old)):
            new = copy.deepcopy(layer)
            for out in (new.attention.dense, new.mlp.dense_4h_to_h):
                torch.nn.init.zeros_(out.weight)
                torch.nn.init.zeros_(out.bias)
            layers.append(new)
    for number, layer in enumerate(layers):
        layer.attention.layer_idx = number
    model.gpt_neox.layers = torch.nn.ModuleList(layers)
    model.config.num_hidden_layers = len(layers)


def _loaded(config: TrainConfig) -> tuple[Any, Tokens]:
    """A causal model of the hub or a folder, to be trained on."""
    name = str(config.model_name)
    model = _by_unsloth(config)
    if model is not None:
        from transformers import AutoTokenizer

        tokens = fitting(name, model, AutoTokenizer.from_pretrained(name))
    else:
        model, tokens = load_model(name, **(_four_bit() if config.load_in_4bit else {}))
    for layer in model.modules():
        if hasattr(layer, "support_avx512bf16_for_cpu"):  # its packing in evaluation would cost LoRA its gradients
            layer.support_avx512bf16_for_cpu = False
    return model, tokens


def _four_bit() -> dict[str, Any]:
    import torch
    from transformers import BitsAndBytesConfig

    try:
        import bitsandbytes  # noqa: F401
    except ImportError:
        raise ConfigError('load_in_4bit needs bitsandbytes: pip install "scorelm[lora]"') from None
    quantization = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )  # fmt: skip
    return {"quantization_config": quantization, "dtype": torch.bfloat16}


def _by_unsloth(config: TrainConfig) -> Any:
    """The model by unsloth where a GPU, the package and LoRA are there; else None, and why in one line."""
    if not config.unsloth:
        return None
    import torch

    why = "there is no GPU"
    if torch.cuda.is_available():
        try:
            from unsloth import FastModel

            return FastModel.from_pretrained(
                config.model_name, max_seq_length=config.max_length, load_in_4bit=config.load_in_4bit,
                full_finetuning=config.lora is None,
            )[0]  # fmt: skip
        except (ImportError, NotImplementedError, RuntimeError) as error:
            why = " ".join(str(error).split())[:200]
    print(f"unsloth is not used: {why}; transformers and peft are", file=sys.stderr)
    return None


def extend_vocabulary(model: Any, tokenizer: Any) -> int:
    """Add the project's lexemes to a sub-word tokenizer; each starts as the mean of the sub-words that it replaces.

    Returns how many were added; a lexeme that is a sub-word already stays that one.
    """
    import torch

    vocabulary = tokenizer.get_vocab()
    wanted = [lexeme for lexeme in LEXEMES[2:] if not lexeme.startswith("<0x")]
    pieces = {x: tokenizer(x, add_special_tokens=False)["input_ids"] for x in wanted if x not in vocabulary}
    tokenizer.add_tokens(wanted)
    known = model.get_input_embeddings().num_embeddings  # often more than the tokenizer's, for speed
    if len(tokenizer) > known:
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    tables = {id(layer.weight): layer.weight for layer in (model.get_input_embeddings(), model.get_output_embeddings())}
    with torch.no_grad():
        for weight in tables.values():
            for lexeme, ids in pieces.items():
                weight[tokenizer.convert_tokens_to_ids(lexeme)] = weight[ids].mean(0)
    return len(pieces)


def _with_lora(model: Any, config: TrainConfig) -> Any:
    try:
        from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training
    except ImportError:
        raise ConfigError('lora needs peft: pip install "scorelm[lora]"') from None
    settings = {"r": 16, "lora_alpha": 32, "lora_dropout": 0.05, "target_modules": TARGETS} | (config.lora or {})
    if config.extend_vocabulary:  # new rows of the embeddings must be learnt whole
        settings.setdefault("modules_to_save", ["embed_in", "lm_head"])
    try:
        wrapped = LoraConfig(task_type="CAUSAL_LM", **settings)
    except TypeError as error:
        raise ConfigError(f"lora: {error}") from None
    if config.load_in_4bit:
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
    try:
        return get_peft_model(model, wrapped)
    except ValueError as error:
        raise ConfigError(f"lora: {' '.join(str(error).split())[:300]}") from None

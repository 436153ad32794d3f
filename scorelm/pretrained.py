"""A causal model of the hub or of a folder, with its tokens: safetensors alone, and no code that comes with it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from scorelm.errors import ConfigError
from scorelm.related import rows_behind
from scorelm.tokenizer import Tokens, is_timed


def load_model(name: str, **options: Any) -> tuple[Any, Tokens]:
    """The model and its tokens; ``options`` go to transformers.

    Raises ConfigError where it cannot be had, does not fit its tokenizer, or has lexemes of another version.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from scorelm.hearing import hear

    try:
        tokenizer = AutoTokenizer.from_pretrained(name)
        model = AutoModelForCausalLM.from_pretrained(name, **{"use_safetensors": True, "dtype": "float32"} | options)
    except (OSError, ValueError) as error:
        raise ConfigError(f"model {name!r}: {' '.join(str(error).split())[:300]}") from None
    tokens = fitting(name, model, tokenizer)
    if tokens.heard:
        hear(model, tokens.vocabulary.tokens)
    return model, tokens


def fitting(name: str, model: Any, tokenizer: Any) -> Tokens:
    """The tokens of a model. ConfigError where its tokenizer does not fit it."""
    known = model.get_input_embeddings().num_embeddings
    if known < len(tokenizer):
        raise ConfigError(f"model {name!r}: its tokenizer has {len(tokenizer)} tokens, the model {known}")
    if tokenizer.eos_token_id is None:
        raise ConfigError(f"model {name!r}: its tokenizer has no end of text")
    hears, relates, recalls = rows_behind(f"model {name!r}", vars(model.config))
    tokens = Tokens(tokenizer, is_timed(model.config), hears > 0)
    if recalls:
        tokens = replace(tokens, recalled_from=len(tokens.vocabulary) + hears + relates)
    expected = getattr(model.config, "scorelm_vocabulary", None)
    if expected is not None:
        try:
            found = tokens.vocabulary.fingerprint()
        except ConfigError as error:
            raise ConfigError(f"model {name!r}: {error}") from None
        if found != expected:
            raise ConfigError(
                f"model {name!r}: was trained with other tokens ({expected}) than its tokenizer's ({found})"
            )
    return tokens

"""The tokens of any model that scorelm can bind to the grammar, from its tokenizer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from scorelm.bound.lexemes import LexemeTokens
from scorelm.bound.subwords import SubwordTokens
from scorelm.bound.walk import BoundTokens
from scorelm.errors import ConfigError
from scorelm.related import rows_behind
from scorelm.vocabulary import Vocabulary


def bound_tokens(tokenizer: Any) -> BoundTokens:
    """The tokens of a transformers tokenizer.

    Raises ConfigError where they are neither the project's nor those of a byte-level BPE, as Pythia's are.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise ConfigError("its tokenizer is none of the fast ones, whose tokens can be read")
    described = json.loads(backend.to_str())
    if (described.get("decoder") or {}).get("type") == "ByteLevel":
        return _subwords(tokenizer, described)
    return LexemeTokens(Vocabulary(tokenizer.get_vocab()).tokens)


def tokens_of_folder(folder: Path, config: dict[str, Any]) -> BoundTokens:
    """The tokens of a model's folder; config: its config.json. ConfigError as above, or where they are not those that
    the model was trained with."""
    expected = config.get("scorelm_vocabulary")
    if expected is not None:  # the project's, for which no tokenizer need be loaded
        vocabulary = Vocabulary.read(folder)
        rows = rows_behind(str(folder), config)
        if vocabulary.fingerprint() != expected or len(vocabulary) + sum(rows) != config.get("vocab_size"):
            raise ConfigError(
                f"{folder}: its tokens are not those that it was trained with "
                f"(scorelm_vocabulary is {expected!r}, not {vocabulary.fingerprint()!r})"
            )
        return LexemeTokens(vocabulary.tokens)
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{folder}: its tokenizer cannot be read: {' '.join(str(error).split())[:300]}") from None
    try:
        tokens = bound_tokens(tokenizer)
    except ConfigError as error:
        raise ConfigError(f"{folder}: {error}") from None
    if len(tokenizer) > config.get("vocab_size", 0):
        raise ConfigError(f"{folder}: its tokenizer has {len(tokenizer)} tokens, the model {config.get('vocab_size')}")
    return tokens


def _subwords(tokenizer: Any, described: dict[str, Any]) -> SubwordTokens:
    if tokenizer.eos_token_id is None:
        raise ConfigError("its tokenizer has no end of text")
    byte_of = {shown: chr(byte) for byte, shown in _shown().items()}
    spellings: list[str | None] = [None] * len(tokenizer)
    for token, number in described["model"]["vocab"].items():
        if all(character in byte_of for character in token):
            spellings[number] = "".join(byte_of[character] for character in token)
    for added in described.get("added_tokens", ()):
        own = not added["special"] and added["id"] != tokenizer.eos_token_id
        spellings[added["id"]] = added["content"].encode().decode("latin-1") if own else None
    spellings[tokenizer.eos_token_id] = None
    return SubwordTokens(spellings, int(tokenizer.eos_token_id), tokenizer)


def _shown() -> dict[int, str]:
    """How a byte-level BPE shows each byte: as itself where that can be seen, else as a letter from U+0100 on."""
    seen = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in seen]
    return {**{byte: chr(byte) for byte in seen}, **{byte: chr(256 + i) for i, byte in enumerate(hidden)}}

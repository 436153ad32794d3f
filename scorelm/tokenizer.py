"""The project's lexemes as a Hugging Face fast tokenizer: a lexeme's id is its place in LEXEMES.

A model's tokens may be these lexemes, a Pythia's sub-words, or both; ``Tokens`` is what training asks of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scorelm.notation.lexemes import END_OF_TEXT, LEXEME_PATTERN, LEXEMES, PADDING, STRING_PATTERN
from scorelm.notation.positions import positions

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


def build_tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer that cuts score text as ``lexemes.cut`` does.

    White space outside quotes is dropped; decoding puts the canonical new line behind each ``|``.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    # no merges: a piece is one lexeme (ignore_merges), or it is cut into characters and bytes
    vocabulary = {lexeme: i for i, lexeme in enumerate(LEXEMES)}
    model = models.BPE(vocab=vocabulary, merges=[], byte_fallback=True, ignore_merges=True)
    tokenizer = Tokenizer(model)
    pieces = Regex(rf"{STRING_PATTERN}|{LEXEME_PATTERN}|\s+")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(pieces, "isolated"), pre_tokenizers.Split(Regex(r"^\s+$"), "removed")]
    )
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse(), decoders.Replace("|", "|\n")])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=END_OF_TEXT, pad_token=PADDING, clean_up_tokenization_spaces=False
    )


TIME = "time"  # a model whose config says so in scorelm_positions turns its attention by musical time


@dataclass(frozen=True)
class Tokens:
    """How texts become a model's input. ``timed``: its positions are moments of the music, its ids those of LEXEMES."""

    tokenizer: Any
    timed: bool = False

    @property
    def end(self) -> int:
        """The id that closes a text."""
        return int(self.tokenizer.eos_token_id)

    def encode(self, text: str) -> list[int]:
        return list(self.tokenizer(text)["input_ids"])

    def positions(self, ids: Sequence[int]) -> list[float] | None:
        """The position of each token; None where the model counts tokens by itself."""
        return positions(LEXEMES[i] for i in ids) if self.timed else None


def is_timed(config: Any) -> bool:
    """Whether a model's config asks for positions of the music."""
    return getattr(config, "scorelm_positions", None) == TIME

"""The project's lexemes as a Hugging Face fast tokenizer: a lexeme's id is its place in LEXEMES."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scorelm.notation.lexemes import END_OF_TEXT, LEXEME_PATTERN, LEXEMES, PADDING, STRING_PATTERN

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

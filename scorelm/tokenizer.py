"""Score text as tokens: the project's own as a Hugging Face fast tokenizer, and what training asks of any tokenizer.

A model's tokens may be lexemes, lexemes and joined ones, a Pythia's sub-words, or sub-words and lexemes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from scorelm.notation.heard import Ear
from scorelm.notation.lexemes import END_OF_TEXT, LEXEME_PATTERN, PADDING, STRING_PATTERN
from scorelm.notation.positions import positions_of_tokens
from scorelm.recalled import Recall, shown_of
from scorelm.vocabulary import JOINED_DURATIONS, JOINED_PITCHES, Vocabulary

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

# the longest first; a pitch whose octave marks go on is another pitch
_JOINED_PATTERN = "(?:{})(?:{})(?![,'])".format(
    *("|".join(map(re.escape, sorted(some, key=len, reverse=True))) for some in (JOINED_DURATIONS, JOINED_PITCHES))
)


def build_tokenizer(cut: str = "lexemes") -> PreTrainedTokenizerFast:
    """A tokenizer that cuts score text as ``lexemes.cut`` does, or into the tokens of another cut (see CUTS).

    White space outside quotes is dropped; decoding puts the canonical new line behind each ``|``.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    # no merges: a piece is one token (ignore_merges), or it is cut into characters and bytes
    vocabulary = Vocabulary.of_cut(cut)
    model = models.BPE(vocab=vocabulary.ids, merges=[], byte_fallback=True, ignore_merges=True)
    tokenizer = Tokenizer(model)
    joined = f"{_JOINED_PATTERN}|" if cut == "joined" else ""
    pieces = Regex(rf"{STRING_PATTERN}|{joined}{LEXEME_PATTERN}|\s+")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(pieces, "isolated"), pre_tokenizers.Split(Regex(r"^\s+$"), "removed")]
    )
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse(), decoders.Replace("|", "|\n")])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=END_OF_TEXT, pad_token=PADDING, clean_up_tokenization_spaces=False
    )


Ids = np.ndarray[Any, np.dtype[np.signedinteger[Any]]]
Places = np.ndarray[Any, np.dtype[np.float32]]
TIME = "time"  # a model whose config says so in scorelm_positions turns its attention by musical time


@dataclass(frozen=True)
class Tokens:
    """How texts become a model's input.

    timed: its positions are moments of the music; heard: it is shown what is heard (``notation.heard``). Then its tokens
        are the project's; recalled_from: the first row of what it recalls (``scorelm.recalled``), None where it does not
    """

    tokenizer: Any
    timed: bool = False
    heard: bool = False
    recalled_from: int | None = None

    @property
    def end(self) -> int:
        """The id that closes a text."""
        return int(self.tokenizer.eos_token_id)

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The tokens as lexemes. ConfigError where they are a Pythia's sub-words."""
        return Vocabulary(self.tokenizer.get_vocab())

    def encode(self, text: str) -> list[int]:
        return list(self.tokenizer(text)["input_ids"])

    def positions(self, ids: Sequence[int]) -> list[float] | None:
        """The position of each token; None where the model counts tokens by itself."""
        return positions_of_tokens(self.vocabulary.tokens[i] for i in ids) if self.timed else None

    def shown(self, ids: Sequence[int] | Ids) -> tuple[Ids, list[float] | None]:
        """What the model is shown of a text: (time,) ids, or (time, 1 + features) where it hears; and ``positions``."""
        if not self.heard:
            return np.array(ids, np.int32), self.positions(ids)
        tokens = self.vocabulary.tokens
        ear, recall, first = Ear(), Recall(self.vocabulary), len(tokens)
        positions: list[float] = []
        rows: list[tuple[int, ...]] = []
        for token in ids:
            part = ear.here
            for lexeme in tokens[token]:
                position = ear.push(lexeme)
            positions.append(position)
            row = token, *(first + row for row in ear.heard())
            if self.recalled_from is not None:
                recall.push(token, part)
                row = *row, *shown_of(recall.recalled(ear.here), self.recalled_from)
            rows.append(row)
        return np.array(rows, np.int16), positions if self.timed else None


def is_timed(config: Any) -> bool:
    """Whether a model's config asks for positions of the music."""
    return getattr(config, "scorelm_positions", None) == TIME

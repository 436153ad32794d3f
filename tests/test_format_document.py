"""FORMAT.md is the standard: every example in it runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scorelm.errors import FormatError
from scorelm.notation.lexemes import IDS, LEXEMES, cut, listing
from scorelm.notation.reader import parse
from scorelm.notation.writer import write

DOCUMENT = (Path(__file__).parent.parent / "FORMAT.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```score ?(readable|invalid)? ?(.*?)\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)


def of_kind(kind: str) -> list[object]:
    return [pytest.param(text, words, id=f"{i}") for i, (k, words, text) in enumerate(EXAMPLES) if k == kind]


@pytest.mark.parametrize(("text", "words"), of_kind(""))
def test_a_valid_example_is_read_and_written_the_same(text: str, words: str) -> None:
    assert not words
    assert write(parse(text)) == text


@pytest.mark.parametrize(("text", "words"), of_kind("readable"))
def test_a_readable_example_is_read_and_written_otherwise(text: str, words: str) -> None:
    canonical = write(parse(text))
    assert canonical != text
    assert parse(canonical) == parse(text)


@pytest.mark.parametrize(("text", "words"), of_kind("invalid"))
def test_an_invalid_example_is_refused_with_the_words_behind_it(text: str, words: str) -> None:
    with pytest.raises(FormatError, match=re.escape(words)):
        parse(text)
    assert words


def test_there_are_about_as_many_invalid_examples_as_valid_ones() -> None:
    kinds = [kind for kind, _, _ in EXAMPLES]
    assert kinds.count("invalid") >= 0.8 * kinds.count("")


def test_the_document_lists_every_lexeme_with_its_id() -> None:
    listed = DOCUMENT[DOCUMENT.index("## 13.") :]
    assert listing(LEXEMES) in listed


def test_no_two_lexemes_are_spelled_alike_and_only_the_delimiter_holds_a_bar() -> None:
    assert len(IDS) == len(LEXEMES)
    assert [lexeme for lexeme in LEXEMES[2:] if "|" in lexeme] == ["|"]


@pytest.mark.parametrize("text", [t for k, _, t in EXAMPLES if k == ""])
def test_white_space_outside_quotes_means_nothing(text: str) -> None:
    spaced = " ".join(_tokens(text))
    assert parse(spaced) == parse(text)
    assert cut("".join(_tokens(text))) == cut(text)


def _tokens(text: str) -> list[str]:
    from scorelm.notation.scanner import Scanner

    return Scanner(text).tokens[:-1]

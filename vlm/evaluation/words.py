"""Words beside the words that are known: ROUGE-L and METEOR, each from 0 to 1."""

from __future__ import annotations

from typing import Any


class _NoSynonyms:
    """In place of WordNet, whose data no package brings."""

    @staticmethod
    def synsets(word: str) -> list[Any]:
        return []


def rouge_l(said: str, known: str) -> float:
    """F1 of the longest common subsequence of words (rouge-score), lower case, letters of ASCII and digits alone."""
    from rouge_score.rouge_scorer import RougeScorer

    return float(RougeScorer(["rougeL"]).score(known, said)["rougeL"].fmeasure)


def meteor(said: str, known: str) -> float:
    """METEOR (nltk) with matches of words and of stems (Porter), without synonyms."""
    from nltk.tokenize import wordpunct_tokenize
    from nltk.translate.meteor_score import single_meteor_score

    words = [wordpunct_tokenize(text) for text in (known, said)]
    return float(single_meteor_score(words[0], words[1], wordnet=_NoSynonyms))

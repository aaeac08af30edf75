"""Metrics of short answers: exact match and overlap of words, the best over the accepted answers.

English is normalised as SQuAD's own script does it: lower case, without ASCII punctuation and articles. Elsewhere all
punctuation goes and articles stay; unspaced scripts are compared by characters.
"""

from __future__ import annotations

import re
import string
from collections import Counter

from escalade.evaluate.common import substring
from escalade.evaluate.metric import Setting
from escalade.evaluate.metrics.texts import MeanOverItems, f1

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def squad_words(text: str) -> list[str]:
    """The words SQuAD's evaluation compares."""
    return _ARTICLES.sub(" ", text.lower().translate(_NO_PUNCTUATION)).split()


class _Answers(MeanOverItems):
    """Answers as words; an empty answer is right where an empty one is accepted, and only there."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        if self.style == "latin":
            self.words = squad_words
            self.signature = f"{self.describes}|norm:squad"

    def best(self, answer: str, references: tuple[str, ...]) -> float:
        """The score against the nearest accepted answer."""
        if not answer.strip():
            return float(any(not reference.strip() for reference in references))
        return super().best(answer, references)


class ExactMatch(_Answers):
    """1 where the answer equals an accepted one."""

    name = "exact_match"
    describes = "exact|average:item"

    def similarity(self, answer: str, reference: str) -> float:
        """1 where all words are equal and in order."""
        return float(self.words(answer) == self.words(reference))


class TokenF1(_Answers):
    """F1 of the words shared with the nearest accepted answer.

    With ``match=stretch`` only the longest stretch that both have counts, as in CMRC 2018 (Cui et al. 2019).
    """

    name = "token_f1"
    describes = "f1|average:item"

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._stretch = setting.options.get("match") == "stretch"
        if self._stretch:
            self.signature += "|match:stretch"

    def similarity(self, answer: str, reference: str) -> float:
        """F1 of the words; two answers that normalise to nothing are equal."""
        found, wanted = self.words(answer), self.words(reference)
        if not found or not wanted:
            return float(found == wanted)
        shared = substring(found, wanted) if self._stretch else (Counter(found) & Counter(wanted)).total()
        return f1(shared, len(found), len(wanted))

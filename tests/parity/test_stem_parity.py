"""Porter's stemmer beside the one that rouge_score uses."""

from __future__ import annotations

import random
import re

from hypothesis import given, settings
from hypothesis import strategies as st
from nltk.stem.porter import PorterStemmer
from real_words import words

from escalade.evaluate.stem import stem

THEIRS = PorterStemmer()
ENDINGS = "s es ies ed ied eed ing y ational alli logi fulli bli ful ness ement ion e ll li iz at bl izer".split()


def test_words_of_real_text() -> None:
    found = {part for word in words() for part in re.findall("[a-z0-9]+", word.lower())}
    assert len(found) > 3000
    assert [word for word in sorted(found) if stem(word) != THEIRS.stem(word)] == []


def test_made_words_with_many_endings() -> None:
    rng = random.Random(0)
    for _ in range(20_000):
        word = "".join(rng.choice("aeiouybcdlstzx1") for _ in range(rng.randrange(7)))
        word += "".join(rng.choice(ENDINGS) for _ in range(rng.randrange(3)))
        assert stem(word) == THEIRS.stem(word), word


@settings(deadline=None, max_examples=300)
@given(st.text(alphabet="abcdeghilnorstuyz0é", max_size=14))
def test_any_word(word: str) -> None:
    assert stem(word) == THEIRS.stem(word)

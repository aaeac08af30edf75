"""Which script a text is written in, and how its words are told apart.

English is split as the reference implementation of ROUGE splits it. Scripts that put no blanks between words are
split into characters (words of other scripts among them stay whole). All others are split at what is neither letter,
mark nor digit, so that accented Latin, Arabic and Devanagari words stay whole.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Literal

import numpy as np

Words = Callable[[str], list[str]]
Style = Literal["latin", "words", "characters"]

LANGUAGES = frozenset(
    "aa ab ae af ak am an ar as av ay az ba be bg bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz ee el en eo "
    "es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik io is it iu ja jv ka "
    "kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng "
    "nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg si sk sl sm sn so sq sr ss st su "
    "sv sw ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu und".split()
)
"""The codes of ISO 639-1, and ``und`` for what is not known."""

_UNSPACED = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x0F00, 0x0FFF),  # Tibetan
    (0x1000, 0x109F),  # Myanmar
    (0x1100, 0x11FF),  # Hangul Jamo
    (0x1780, 0x17FF),  # Khmer
    (0x2E80, 0x2FDF),  # radicals of Chinese characters
    (0x3005, 0x3007),  # iteration mark, closing mark, zero
    (0x3021, 0x3029),  # numerals
    (0x3031, 0x312F),  # kana, Bopomofo
    (0x3131, 0x318E),  # Hangul compatibility Jamo
    (0x31A0, 0x31FF),  # Bopomofo and kana extensions
    (0x3400, 0x9FFF),  # Chinese characters
    (0xA960, 0xA97F),  # Hangul Jamo
    (0xAC00, 0xD7FF),  # Hangul
    (0xF900, 0xFAFF),  # Chinese characters, compatibility
    (0xFF66, 0xFFDC),  # half-width kana and Hangul
    (0x20000, 0x3FFFF),  # Chinese characters, later extensions
)
_CHINESE = ((0x2E80, 0x2FDF), (0x3005, 0x3007), (0x3400, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF))
_KANA = ((0x3031, 0x30FF), (0x31F0, 0x31FF), (0xFF66, 0xFF9F))
_ENOUGH = 0.1
"""Share of the letters from which a script decides; English words are several letters, a Chinese one is one or two."""


def style_of(texts: Iterable[str], language: str | None = None) -> Style:
    """How texts are split into words, by their script.

    Args:
        texts: The references; predictions have no say, so that two models are split alike.
        language: ISO 639-1 code. ``en`` takes the reference implementation's split for Latin script; None or ``und``
            takes it where at most one letter in a hundred is accented.

    Returns:
        ``latin`` (runs of a-z and 0-9), ``words`` (runs of letters, marks and digits) or ``characters``.
    """
    letters = _letters(texts)
    total = letters.total()
    if not total:
        return "latin" if language in (None, "und", "en") else "words"
    if _share(letters, _UNSPACED) >= _ENOUGH * total:
        return "characters"
    plain = sum(count for letter, count in letters.items() if letter.isascii())
    least = {"en": 0.5, "und": 0.99, None: 0.99}.get(language, 1.1)
    return "latin" if plain >= least * total else "words"


def is_chinese(texts: Iterable[str]) -> bool:
    """True where the unspaced letters are Chinese characters without kana among them (those would be Japanese)."""
    letters = _letters(texts)
    unspaced = _share(letters, _UNSPACED)
    return 2 * _share(letters, _CHINESE) >= unspaced > 0 and 20 * _share(letters, _KANA) <= unspaced


def splitter(style: Style) -> Words:
    """The function that splits a text in that style; case is folded to lower, punctuation dropped."""
    return {"latin": _latin, "words": _words, "characters": _characters}[style]


_LATIN = re.compile("[a-z0-9]+")


def _latin(text: str) -> list[str]:
    return _LATIN.findall(text.lower())


def _words(text: str) -> list[str]:
    return unicodedata.normalize("NFC", text).lower().translate(_WHOLE).split()


def _characters(text: str) -> list[str]:
    return unicodedata.normalize("NFC", text).lower().translate(_APART).split()


class _Table(dict[int, str]):
    """Maps characters for ``str.translate``, each looked up in the Unicode tables once."""

    def __init__(self, apart: bool) -> None:
        super().__init__()
        self._apart = apart

    def __missing__(self, code: int) -> str:
        self[code] = found = self._of(code)
        return found

    def _of(self, code: int) -> str:
        character = chr(code)
        category = unicodedata.category(character)
        if category == "Cf" and code != 0x200B:
            return ""  # joiners, direction marks and soft hyphens stand inside words
        if category[0] not in "LMN":
            return " "
        return f" {character} " if self._apart and _within(code, _UNSPACED) else character


_WHOLE = _Table(apart=False)
_APART = _Table(apart=True)


def _within(code: int, ranges: tuple[tuple[int, int], ...]) -> bool:
    return code >= ranges[0][0] and any(low <= code <= high for low, high in ranges)


def _letters(texts: Iterable[str]) -> Counter[str]:
    """How often each letter occurs."""
    # Counted as numbers: a corpus has millions of letters and few that differ.
    codes = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), dtype="<u4")
    counts = np.bincount(codes)
    there = np.flatnonzero(counts)
    found = zip(map(chr, there.tolist()), counts[there].tolist(), strict=True)
    return Counter({character: count for character, count in found if character.isalpha()})


def _share(letters: Counter[str], ranges: tuple[tuple[int, int], ...]) -> int:
    """How many of the letters lie in the ranges."""
    return sum(count for letter, count in letters.items() if _within(ord(letter), ranges))

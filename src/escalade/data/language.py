"""A cheap guess of the language a data set is in: by script, and for the Latin script by its commonest words.

It is meant for data sets, not for single sentences: where the evidence is thin the answer is ``und``.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from escalade.data.columns import Because

UNKNOWN = "und"
_LOOKED_AT = 400
_LONGEST = 2000
_SCRIPTS = (
    "LATIN", "CYRILLIC", "GREEK", "HEBREW", "ARABIC", "DEVANAGARI", "BENGALI", "TAMIL", "TELUGU", "GUJARATI", "THAI",
    "LAO", "KHMER", "MYANMAR", "GEORGIAN", "ARMENIAN", "ETHIOPIC", "HANGUL", "HIRAGANA", "KATAKANA", "CJK",
)  # fmt: skip
_LANGUAGE_OF = {
    "GREEK": "el", "HEBREW": "he", "DEVANAGARI": "hi", "BENGALI": "bn", "TAMIL": "ta", "TELUGU": "te",
    "GUJARATI": "gu", "THAI": "th", "LAO": "lo", "KHMER": "km", "MYANMAR": "my", "GEORGIAN": "ka", "ARMENIAN": "hy",
    "ETHIOPIC": "am", "HANGUL": "ko", "KANA": "ja", "HAN": "zh",
}  # fmt: skip
_UNSPACED = frozenset({"HAN", "KANA", "THAI", "LAO", "KHMER", "MYANMAR"})
_WORDS = {
    "en": "a in at by an the and of to is that it was for with are this you not have be on as he she they but from",
    "de": "in im der die und das ist nicht ein eine ich mit den auf für sich von dem sie es auch wird sind wie zu",
    "fr": "a le la les et des est une pas que dans qui pour un sur avec vous nous ce il elle du au sont mais je",
    "es": "a el la los y de que en un una es las por con para no se su lo como más pero del al está son",
    "it": "a in il la di che e un una è per non sono con del della le gli si nel alla ma anche più come lo questo",
    "pt": "o a os as que de e um uma não é do da em para com as se por mais na no mas como foi ele você são",
    "nl": "in de het een en van is dat niet ik op te zijn met voor er aan maar ook die naar wordt hij bij ze",
}
_STOP = {language: frozenset(words.split()) for language, words in _WORDS.items()}
_ENOUGH_WORDS = 20
_DIFFERENT = 4
_SHARE = 0.12
_AHEAD = 1.25


@dataclass(frozen=True)
class Language:
    """A guess and its reason.

    Args:
        code: ISO 639-1 code, or ``und``.
        script: The script most letters are of, ``""`` where there are no letters.
        why: The reason.
    """

    code: str
    script: str
    why: Because


def guess_language(texts: Sequence[str]) -> Language:
    """The language most of the texts are in, judged by up to 400 of them from all over."""
    step = max(1, len(texts) // _LOOKED_AT)
    sample = " ".join(text[:_LONGEST] for text in texts[::step])
    script = dominant_script(sample)
    if script == "LATIN":
        return _by_words(sample)
    if script == "CYRILLIC":
        ukrainian = sum(sample.count(letter) for letter in "іїєґІЇЄҐ") > len(sample) / 100
        return _by_script("uk" if ukrainian else "ru", script)
    if script == "ARABIC":
        persian = sum(sample.count(letter) for letter in "پچژگی") > len(sample) / 100
        return _by_script("fa" if persian else "ar", script)
    return _by_script(_LANGUAGE_OF.get(script, UNKNOWN), script)


def dominant_script(text: str) -> str:
    """The script most letters of a text are of: Unicode's names, ``HAN``, ``KANA``, or ``""`` without letters.

    Japanese mixes Han with kana, so a twentieth of kana among them makes it ``KANA``. A Han character or a Hangul
    syllable counts double: it says as much as two letters.
    """
    counts: Counter[str] = Counter()
    for char, count in Counter(text).items():
        if char.isalpha() and (script := _script(char)):
            counts[script] += count
    kana = counts.pop("HIRAGANA", 0) + counts.pop("KATAKANA", 0)
    han = counts.pop("CJK", 0)
    counts["KANA" if kana * 20 > han + kana else "HAN"] = 2 * (han + kana)
    counts["HANGUL"] *= 2
    script, count = max(counts.items(), key=lambda item: (item[1], item[0]))
    return script if count else ""


def is_unspaced(text: str) -> bool:
    """Whether a text is mostly of a script that puts no blanks between words."""
    return dominant_script(text) in _UNSPACED


@cache
def _script(char: str) -> str:
    name = unicodedata.name(char, "")
    return next((script for script in _SCRIPTS if name.startswith(script)), "")


def _by_script(code: str, script: str) -> Language:
    key = "data.why_script" if code != UNKNOWN else "data.why_no_language"
    return Language(code, script, Because(key=key, facts={"script": script.title() or "-"}))


def _by_words(sample: str) -> Language:
    """The language whose commonest words are most of the words, if it is well ahead of the next."""
    words = Counter(re.findall(r"[^\W\d_]+", sample.casefold()))
    total = sum(words.values())
    counts = {code: sum(words[word] for word in stop) for code, stop in _STOP.items()}
    (best, most), (_, second) = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:2]
    different = sum(word in words for word in _STOP[best])
    thin = total < _ENOUGH_WORDS or different < _DIFFERENT
    if thin or most < _SHARE * total or most < _AHEAD * second:
        return Language(UNKNOWN, "LATIN", Because(key="data.why_no_language", facts={"script": "Latin"}))
    share = round(100 * most / total)
    return Language(best, "LATIN", Because(key="data.why_words", facts={"percent": share, "language": best}))

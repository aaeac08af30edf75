"""Porter's stemmer (Porter 1980, An algorithm for suffix stripping), with the departures that are usual today.

The departures are those of the toolkit that the reference implementation of ROUGE stems with, so that stemmed scores
equal its scores: a pool of irregular words, ``ies`` and ``ied`` in words of four letters, ``y`` after a consonant
alone, two-letter stems of vowel and consonant, ``bli``, ``fulli`` and ``logi``.
"""

from __future__ import annotations

from collections.abc import Mapping

_IRREGULAR = {
    "sky": "sky",
    "skies": "sky",
    "dying": "die",
    "lying": "lie",
    "tying": "tie",
    "news": "news",
    "inning": "inning",
    "innings": "inning",
    "outing": "outing",
    "outings": "outing",
    "canning": "canning",
    "cannings": "canning",
    "howe": "howe",
    "proceed": "proceed",
    "exceed": "exceed",
    "succeed": "succeed",
}

_STEP_2 = {
    "ational": "ate",
    "tional": "tion",
    "enci": "ence",
    "anci": "ance",
    "izer": "ize",
    "bli": "ble",
    "alli": "al",
    "entli": "ent",
    "eli": "e",
    "ousli": "ous",
    "ization": "ize",
    "ation": "ate",
    "ator": "ate",
    "alism": "al",
    "iveness": "ive",
    "fulness": "ful",
    "ousness": "ous",
    "aliti": "al",
    "iviti": "ive",
    "biliti": "ble",
    "fulli": "ful",
}
_ENDINGS_2 = tuple(_STEP_2)
_STEP_3 = {
    "icate": "ic",
    "ative": "",
    "alize": "al",
    "iciti": "ic",
    "ical": "ic",
    "ful": "",
    "ness": "",
}
_ENDINGS_3 = tuple(_STEP_3)
# Longest first where one ends in another: ement, ment, ent.
_STEP_4 = tuple(
    "al ance ence er ic able ible ant ement ment ent ion ou ism ate iti ous ive ize".split()  # noqa: SIM905
)


def stem(word: str) -> str:
    """The stem of a word.

    Args:
        word: In lower case. What is no letter counts as a consonant.

    Returns:
        Mostly no word of the language: ``happi`` for ``happy``. Words of two letters stay.
    """
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if len(word) <= 2:
        return word
    word = _step_1b(_step_1a(word))
    if word[-1:] == "y" and len(word) > 2 and _sounds(word)[-2] == "c":
        word = word[:-1] + "i"
    word = _replaced(_step_2(word), _STEP_3, _ENDINGS_3)
    return _step_5(_step_4(word))


def _sounds(word: str) -> str:
    """``c`` for each consonant and ``v`` for each vowel; a y is a vowel after a consonant."""
    sounds = ""
    for letter in word:
        vowel = letter in "aeiou" or (letter == "y" and sounds[-1:] == "c")
        sounds += "v" if vowel else "c"
    return sounds


def _measure(word: str) -> int:
    """Porter's m: how often a vowel is followed by a consonant."""
    return _sounds(word).count("vc")


def _is_short(word: str) -> bool:
    """Porter's ``*o``, consonant, vowel, and a consonant other than w, x, y at the end; or just vowel, consonant."""
    sounds = _sounds(word)
    return (sounds.endswith("cvc") and word[-1] not in "wxy") or sounds == "vc"


def _step_1a(word: str) -> str:
    """Plurals."""
    if word.endswith("ies"):
        return word[:-1] if len(word) == 4 else word[:-2]
    if word.endswith("sses"):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def _step_1b(word: str) -> str:
    """Past tense and participles."""
    if word.endswith("ied"):
        return word[:-1] if len(word) == 4 else word[:-2]
    if word.endswith("eed"):
        return word[:-1] if _measure(word[:-3]) > 0 else word
    rest = word[:-2] if word.endswith("ed") else word[:-3] if word.endswith("ing") else ""
    if "v" not in _sounds(rest):
        return word
    if rest.endswith(("at", "bl", "iz")):
        return rest + "e"
    if len(rest) > 1 and rest[-1] == rest[-2] and _sounds(rest)[-1] == "c":
        return rest if rest[-1] in "lsz" else rest[:-1]
    return rest + "e" if _measure(rest) == 1 and _is_short(rest) else rest


def _step_2(word: str) -> str:
    while word.endswith("alli") and _measure(word[:-4]) > 0:
        word = word[:-2]
    if word.endswith("logi"):
        # Measured with its l, so that short words (geologi) lose the ending too.
        return word[:-1] if _measure(word[:-3]) > 0 else word
    return _replaced(word, _STEP_2, _ENDINGS_2)


def _replaced(word: str, rules: Mapping[str, str], endings: tuple[str, ...]) -> str:
    """The first rule whose ending the word has decides; it needs a syllable before the ending."""
    if not word.endswith(endings):
        return word
    ending = next(filter(word.endswith, endings))
    rest = word[: -len(ending)]
    return rest + rules[ending] if _measure(rest) > 0 else word


def _step_4(word: str) -> str:
    if not word.endswith(_STEP_4):
        return word
    ending = next(filter(word.endswith, _STEP_4))
    rest = word[: -len(ending)]
    goes = _measure(rest) > 1 and (ending != "ion" or rest[-1] in "st")
    return rest if goes else word


def _step_5(word: str) -> str:
    """A last e, and one of two l."""
    if word.endswith("e"):
        measure = _measure(word[:-1])
        if measure > 1 or (measure == 1 and not _is_short(word[:-1])):
            word = word[:-1]
    return word[:-1] if word.endswith("ll") and _measure(word[:-1]) > 1 else word

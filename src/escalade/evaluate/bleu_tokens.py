"""The tokenizers of BLEU, after mteval-v13a, mteval-v14 and sacrebleu (Post 2018), by sacrebleu's names."""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Callable, Iterable

from escalade.evaluate.corpus import Splitting
from escalade.evaluate.script import is_chinese, style_of

NAMES = ("13a", "intl", "zh", "char", "none")


def tokenizer_of(references: list[str], language: str | None = None) -> str:
    """Which tokenizer fits the script of the references: ``13a``, ``zh`` or ``char``."""
    if style_of(references, language) != "characters":
        return "13a"
    return "zh" if is_chinese(references) else "char"


def tokens(name: str, text: str) -> list[str]:
    """A text split by the tokenizer of that name."""
    return _TOKENIZERS[name](text)


def splitting(name: str) -> Splitting:
    """The tokenizer of that name, for a whole corpus.

    ``13a`` sees a blank on both sides of every text, takes digits beside a sign for context and nothing else, and no
    rule reaches across a blank: stretches between blanks may be split one by one, once marks that join or escape
    (``<skipped>``, a hyphen at the end of a line, ``&amp;``) are resolved in the whole text. ``intl`` and ``zh`` see
    no blank at the ends, so there the first and the last stretch are different from the others.
    """
    if name == "13a":
        return Splitting(_stretch_13a, before=_resolved)
    if name == "none":
        return Splitting(lambda stretch: [stretch])
    return Splitting(_TOKENIZERS[name], blank=False)


_SIGNS = {ord(sign): f" {sign} " for sign in string.punctuation + " " if sign not in "',-."}
"""ASCII signs and the blank, each set apart; not the apostrophe, comma, hyphen and full stop."""
_AFTER_NON_DIGIT = re.compile(r"([^0-9])([.,])")
_BEFORE_NON_DIGIT = re.compile(r"([.,])([^0-9])")
_DIGIT_HYPHEN = re.compile(r"([0-9])(-)")
_ENTITIES = (("&quot;", '"'), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">"))
_ALWAYS_APART = frozenset(string.punctuation) - {"'", "-"}


def _western(line: str) -> list[str]:
    line = line.translate(_SIGNS)
    if "." in line or "," in line:
        line = _AFTER_NON_DIGIT.sub(r"\1 \2 ", line)
        line = _BEFORE_NON_DIGIT.sub(r" \1 \2", line)
    if "-" in line:
        line = _DIGIT_HYPHEN.sub(r"\1 \2 ", line)
    return line.split()


def _stretch_13a(stretch: str) -> list[str]:
    """A stretch between blanks; no rule touches letters and digits alone, nor more than the one sign at their end."""
    if stretch.isalnum():
        return [stretch]
    if stretch[-1] in _ALWAYS_APART and stretch[:-1].isalnum():
        return [stretch[:-1], stretch[-1]]
    return _western(f" {stretch} ")


def _resolved(text: str) -> str:
    line = text.rstrip()
    if "<skipped>" in line or "-\n" in line:
        line = line.replace("<skipped>", "").replace("-\n", "")
    if "&" in line:
        for entity, sign in _ENTITIES:
            line = line.replace(entity, sign)
    return line


def _tokens_13a(text: str) -> list[str]:
    return _western(f" {_resolved(text)} ")


def _tokens_zh(text: str) -> list[str]:
    return _western(_CHINESE.sub(r" \g<0> ", text.strip()))


def _tokens_char(text: str) -> list[str]:
    return " ".join(text.rstrip()).split()


def _tokens_intl(text: str) -> list[str]:
    """Punctuation apart unless digits stand on both sides, symbols apart (mteval-v14, international)."""
    line = _paired(text.rstrip(), _AFTER_NO_NUMBER, "{} {} ")
    line = _paired(line, _BEFORE_NO_NUMBER, " {} {}")
    return "".join([f" {c} " if _category(c) == "S" else c for c in line]).split()


def _paired(line: str, pattern: re.Pattern[str], form: str) -> str:
    """Each pair of characters whose categories fit the pattern, written in that form."""
    parts, done = [], 0
    for match in pattern.finditer(line.translate(_KINDS)):
        at = match.start()
        parts += [line[done:at], form.format(line[at], line[at + 1])]
        done = at + 2
    return "".join([*parts, line[done:]])


_AFTER_NO_NUMBER = re.compile("[^N]P")
_BEFORE_NO_NUMBER = re.compile("P[^N]")


def _category(character: str) -> str:
    return unicodedata.category(character)[0]


class _Kinds(dict[int, str]):
    """Each character as the first letter of its Unicode category."""

    def __missing__(self, code: int) -> str:
        self[code] = found = _category(chr(code))
        return found


_KINDS = _Kinds()

_TOKENIZERS: dict[str, Callable[[str], list[str]]] = {
    "13a": _tokens_13a,
    "intl": _tokens_intl,
    "zh": _tokens_zh,
    "char": _tokens_char,
    "none": str.split,
}


def _class_of(ranges: Iterable[tuple[int, int]]) -> re.Pattern[str]:
    return re.compile("[" + "".join(f"{chr(low)}-{chr(high)}" for low, high in ranges) + "]")


_CHINESE = _class_of(
    (
        (0x2001, 0x2A6D),  # sacrebleu means the later extensions (20000 to 2A6D6) here, and takes these: "“…”", arrows
        (0x2E80, 0x2FDF),  # radicals
        (0x2FF0, 0x303F),  # structure signs, punctuation
        (0x3100, 0x312F),  # Bopomofo
        (0x31A0, 0x31BF),
        (0x31C0, 0x31EF),  # strokes
        (0x3200, 0x4DB5),  # enclosed signs, units, extension A
        (0x4E00, 0x9FBB),
        (0xF900, 0xFA2D),
        (0xFA30, 0xFA6A),
        (0xFA70, 0xFAD9),
        (0xFE10, 0xFE1F),
        (0xFE30, 0xFE4F),
        (0xFF00, 0xFFEF),  # full-width and half-width forms
    )
)
"""The characters sacrebleu 2 sets apart."""

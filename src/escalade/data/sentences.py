"""Running text in sentences, by its marks alone: for any script, without a model, and without losing a character."""

from __future__ import annotations

import re

_CLOSING = "\"'”’»›)\\]}）】」』》"
_END = re.compile(
    # Marks of scripts without blanks, of Devanagari, Arabic and Urdu end a sentence wherever they stand.
    rf"(?:[。！？｡।॥؟۔]+[{_CLOSING}]*"
    # Latin marks do so before a blank only, else they are part of a number, a name or an address.
    rf"|[.!?…]+[{_CLOSING}]*(?=\s|$)"
    r"|\n)\s*"
)
_WORD = re.compile(r"[\w.]*$")
_SHORT = frozenset(
    "mr mrs ms dr prof st jr sr vs etc e.g i.e cf fig eq no vol pp al inc ltd co corp dept approx".split()
)
"""Words that are commonly written with a full stop behind which their sentence goes on."""


def sentences(text: str) -> list[str]:
    """The sentences of a text, each with the blanks that follow it: joined they are the text again.

    A sentence ends at ``. ! ? …`` before a blank, at ``。！？`` and their like anywhere, with the quotes and brackets
    that close it, and at the end of a line. A full stop ends none where a small letter follows, behind an initial
    (``J. Smith``) and behind common abbreviations. Without any such mark the whole text is one sentence.
    """
    made, start = [], 0
    for mark in _END.finditer(text):
        if mark.end() < len(text) and not _goes_on(text, mark):
            made.append(text[start : mark.end()])
            start = mark.end()
    return [*made, text[start:]] if text[start:] else made


def joined(parts: list[str]) -> str:
    """Sentences as running text: a blank goes between two that neither a blank nor a script without blanks parts."""
    text = ""
    for part in parts:
        seam = text[-1:] + part[:1]
        parted = len(seam) < 2 or seam[0].isspace() or seam[1].isspace() or _unspaced(seam[0]) or _unspaced(seam[1])
        text += part if parted else " " + part
    return text


def _goes_on(text: str, mark: re.Match[str]) -> bool:
    """Whether a full stop is that of an abbreviation."""
    said = mark.group()
    if not said.startswith(".") or "\n" in said:
        return False
    if text[mark.end()].islower():
        return True
    found = _WORD.search(text, max(0, mark.start() - 12), mark.start())
    word = found.group() if found else ""
    initial = len(word.split(".")[-1]) == 1 and word[-1:].isalpha() and word[-1:].isupper()
    return initial or word.lower() in _SHORT


def _unspaced(character: str) -> bool:
    """Whether a character is of those scripts, or their marks, that are written without blanks between words."""
    code = ord(character)
    return 0x3000 <= code <= 0x30FF or 0x3400 <= code <= 0x9FFF or 0xF900 <= code <= 0xFAFF or 0xFF00 <= code <= 0xFFEF

"""How long a text is, before any tokenizer is known."""

from __future__ import annotations

_UNSPACED = ((0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x2E80, 0x9FFF), (0xAC00, 0xD7AF), (0xF900, 0xFAFF))
"""Blocks of scripts without blanks between words: a character is about a token."""


def rough_tokens(text: str) -> float:
    """About how many tokens a text has: one per four characters, one per character of a script without blanks."""
    dense = sum(any(low <= ord(char) <= high for low, high in _UNSPACED) for char in text if ord(char) > 0xDFF)
    return dense + (len(text) - dense) / 4

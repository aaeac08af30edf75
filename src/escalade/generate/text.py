"""From tokens to text while an output grows: stop texts, and how much may be shown already."""

from __future__ import annotations

from collections.abc import Callable, Sequence

REPLACEMENT = "\ufffd"
"""What decoders put where bytes are not (yet) a whole character."""


class TextSoFar:
    """The text of a growing list of tokens.

    Two things make the end of the text unsure. A character can be spread over several tokens: of byte-level tokens
    the unfinished character decodes to U+FFFD, and of a run of byte-fallback tokens (``<0xE4>``) all characters
    change when the run turns out not to be UTF-8. And the end can be the beginning of a stop text. What is unsure is
    held back, so that the pieces shown always join to the whole.

    Args:
        decode: Token ids to text.
        is_open: Whether what a token decodes to can change with the tokens after it: byte-fallback tokens, and special
            tokens, which are left out of the text and so do not end a run of bytes.
        stop: Texts that end the output and are not part of it.
    """

    def __init__(self, decode: Callable[[list[int]], str], is_open: Callable[[int], bool], stop: Sequence[str]) -> None:
        self._decode = decode
        self._is_open = is_open
        self._stop = tuple(text for text in stop if text)
        self._ids: list[int] = []
        self._run = 0
        """Open tokens at the end."""
        self._shown = ""
        self._whole: str | None = None
        """The final text, once there is one."""

    def add(self, token: int) -> bool:
        """Takes one more token; True where a stop text was completed by it."""
        self._ids.append(token)
        self._run = self._run + 1 if self._is_open(token) else 0
        if not self._stop:
            return False
        text = self._decode(self._ids)
        found = [at for stop in self._stop if (at := text.find(stop)) >= 0]
        if found:
            self._whole = text[: min(found)]
        return bool(found)

    def ready(self) -> str:
        """What can be shown now and was not shown before."""
        if self._whole is not None:
            return ""
        settled = self._ids[: len(self._ids) - self._run]
        text = self._decode(settled).rstrip(REPLACEMENT)
        text = text[: len(text) - self._begun(text)]
        if not text.startswith(self._shown):
            return ""
        piece = text[len(self._shown) :]
        self._shown = text if piece else self._shown
        return piece

    def whole(self) -> str:
        """The text of all tokens, cut before the first stop text."""
        if self._whole is None:
            self._whole = self._decode(self._ids)
        return self._whole

    def rest(self) -> str:
        """What is still to be shown when no token follows."""
        return self.whole()[len(self._shown) :]

    def _begun(self, text: str) -> int:
        """How many characters at the end may be the beginning of a stop text."""
        longest = 0
        for stop in self._stop:
            for size in range(min(len(stop) - 1, len(text)), longest, -1):
                if text.endswith(stop[:size]):
                    longest = size
                    break
        return longest

"""Where words and sentences begin among a text's tokens, for the objectives that hide whole words or move sentences.

What is found goes into a row's ``roles``, which travel with the tokens: ``OUTSIDE`` for special tokens, which are
never hidden, ``PIECE`` for a token that goes on with a word, ``WORD`` for one that begins a word, ``SENTENCE`` for one
that begins a sentence, and a word with it.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np

from escalade.data.sentences import sentences
from escalade.models.encoding import encode_offsets

OUTSIDE, PIECE, WORD, SENTENCE = range(4)
_INNER, _LETTER, _ALONE, _BLANK, _ONLY_BLANK = range(5)
"""What a token begins or ends with: what goes on with a character or word in any case, a letter or digit of a script
with blanks, what is a word of its own, a blank; the last is a token of nothing but blanks."""
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
_BYTE = re.compile(r"<0x([0-9A-F]{2})>")
_PRINTED = (*range(33, 127), *range(161, 173), *range(174, 256))


class Words:
    """Tells of every token of a tokenizer whether it begins a word.

    * WordPiece: every piece without ``##`` does (Devlin et al. 2019, whole word masking).
    * The others: a word is a blank and a run of letters and digits; a mark, a symbol or a character of a script
      without blanks (Han, kana, Thai) is a word of its own, and a character whose bytes are several tokens is never
      cut. Read from the tokens' names: byte-level ones (``Ġ`` for the blank), and those of SentencePiece (``▁`` for the
      blank, ``<0x..>`` for a byte).
    """

    def __init__(self, tokenizer: Any) -> None:
        size = len(tokenizer)
        names = tokenizer.convert_ids_to_tokens(list(range(size)))
        special = set(tokenizer.all_special_ids)
        bytes_of = _reader(tokenizer)
        self._first = np.full(size, _ALONE, dtype=np.int8)
        self._last = np.full(size, _ALONE, dtype=np.int8)
        for i, name in enumerate(names):
            if i not in special and name:
                self._first[i], self._last[i] = bytes_of(name)

    def begins(self, ids: Sequence[int] | np.ndarray) -> np.ndarray:
        """(tokens,) of bool: whether each token begins a word; the first one does."""
        ids = np.asarray(ids, dtype=np.int64)
        if not len(ids):
            return np.zeros(0, dtype=bool)
        first, last = self._first[ids], self._last[ids]
        before = np.concatenate([[_ALONE], last[:-1]])
        goes_on = (first == _INNER) | ((first == _LETTER) & (before == _LETTER))
        goes_on |= (before == _ONLY_BLANK) & (first < _BLANK)
        goes_on[0] = False
        return ~goes_on


def encode_sentences(tokenizer: Any, text: str) -> tuple[list[int], list[int]]:
    """A text's own ids, and the index of each sentence's first token.

    The text is tokenised as a whole; a token belongs to the sentence of its last character, so that the blank before
    a sentence goes with it where the tokenizer joins them. A sentence without a token of its own has no index.
    """
    ids, offsets = encode_offsets(tokenizer, text)
    if not ids:
        return [], []
    ends = np.cumsum([len(sentence) for sentence in sentences(text)])
    last = np.array([max(start, end - 1) for start, end in offsets])
    owner = np.maximum.accumulate(np.searchsorted(ends, last, side="right"))
    return ids, [0, *(np.flatnonzero(np.diff(owner)) + 1).tolist()]


def roles_of(begins: np.ndarray, firsts: Sequence[int] = ()) -> np.ndarray:
    """Roles of a text's tokens from where its words and its sentences begin."""
    roles = np.where(begins, WORD, PIECE).astype(np.int64)
    roles[list(firsts)] = SENTENCE
    return roles


def _reader(tokenizer: Any) -> Any:
    """A function from a token's name to what it begins and ends with."""
    said = json.loads(tokenizer.backend_tokenizer.to_str())
    if said["model"]["type"] == "WordPiece":
        prefix = said["model"]["continuing_subword_prefix"]
        return lambda name: (_INNER if name.startswith(prefix) else _ALONE, _ALONE)
    if "ByteLevel" in json.dumps([said["pre_tokenizer"], said["decoder"]]):
        table = {chr(code): code for code in _PRINTED}
        table |= {chr(256 + i): code for i, code in enumerate(code for code in range(256) if code not in _PRINTED)}
        return lambda name: _ends(bytes(table.get(c, 63) for c in name))
    return lambda name: _ends(_bytes_of_piece(name))


def _bytes_of_piece(name: str) -> bytes:
    byte = _BYTE.fullmatch(name)
    return bytes([int(byte[1], 16)]) if byte else name.replace("\u2581", " ").encode()


def _ends(raw: bytes) -> tuple[int, int]:
    """What the first and the last character of some bytes are, where either may be cut."""
    if not raw.strip():
        return _BLANK, _ONLY_BLANK
    first = _INNER if 0x80 <= raw[0] < 0xC0 else _kind(raw[: _width(raw[0])])
    start = max((i for i, byte in enumerate(raw) if not 0x80 <= byte < 0xC0), default=-1)
    return first, _kind(raw[start:]) if start >= 0 else _INNER


def _width(lead: int) -> int:
    return 1 if lead < 0x80 else 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4


def _kind(raw: bytes) -> int:
    """The kind of one character; of one that is cut, what most characters with its first byte are."""
    try:
        character = raw.decode()
    except UnicodeDecodeError:
        # C2..DF: Latin with accents, Greek, Cyrillic, Hebrew, Arabic. E0, E1, EA..ED: mostly letters, Hangul.
        return _LETTER if raw[0] < 0xE2 or 0xEA <= raw[0] <= 0xED else _ALONE
    if character.isspace():
        return _BLANK
    category = unicodedata.category(character)
    if category[0] == "M" or category == "Cf":
        return _INNER
    return _LETTER if category[0] in "LN" and not _UNSPACED.match(character) else _ALONE

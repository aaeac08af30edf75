"""Text to token ids and back: the only functions that do it, so that what is served is what was trained.

A prompt and its completion are tokenised apart and then joined. Tokens never span the seam, so the ids that a model
reads before it answers are the ids it was trained to answer after, whatever the answer turns out to be.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from escalade.errors import BadInput
from escalade.values import Family


def encode_prompt(tokenizer: Any, family: Family, text: str, context: int | None = None) -> list[int]:
    """What a model reads before it answers.

    * decoder: the beginning token, where the tokenizer has one of its own, and the text. A text that begins with that
      token (a rendered chat template) does not get a second one; a tokenizer whose beginning and end are one token
      (GPT-2) gets it only where the text is empty.
    * encoder and encoder-decoder: the text with the special tokens that the tokenizer itself puts around it.

    Args:
        tokenizer: A fast tokenizer, as ``load_tokenizer`` gives it.
        family: The model's architecture family.
        text: The rendered prompt.
        context: The most tokens the caller can use. It bounds nothing here: a prompt that is too long comes back
            whole, so that its caller can refuse it (serving), or cut it with ``cut_prompt`` and say so (training).

    Returns:
        Token ids.
    """
    if family != "decoder":
        return _ids(tokenizer, text, special=True)
    ids = _ids(tokenizer, text, special=False)
    begin = tokenizer.bos_token_id
    if begin is None or ids[:1] == [begin] or (begin == tokenizer.eos_token_id and ids):
        return ids
    return [begin, *ids]


def encode_completion(tokenizer: Any, text: str) -> list[int]:
    """What a model answers: the text's ids and the end token.

    Raises:
        BadInput: The tokenizer has no end token, so that no model could learn where to stop.
    """
    if tokenizer.eos_token_id is None:
        raise BadInput("models.no_end_token", place=getattr(tokenizer, "name_or_path", ""))
    return [*_ids(tokenizer, text, special=False), tokenizer.eos_token_id]


def encode_words(tokenizer: Any, words: Sequence[str]) -> tuple[list[int], list[int]]:
    """Words that carry one tag each, with the tokenizer's special tokens around them.

    Words are tokenised one by one; tokenizers that tell a word's beginning by a blank get one before every word but
    the first, as in running text. A word of which the tokenizer makes nothing becomes the unknown token.

    Returns:
        Token ids, and per word the index of its first token.
    """
    gap = "" if _ids(tokenizer, " a", special=False) == _ids(tokenizer, "a", special=False) else _gap(tokenizer)
    unknown = [tokenizer.unk_token_id if tokenizer.unk_token_id is not None else tokenizer.pad_token_id]
    before, after = frame(tokenizer)
    ids, firsts = list(before), []
    for i, word in enumerate(words):
        firsts.append(len(ids))
        ids += _ids(tokenizer, gap + word if i else word, special=False) or unknown
    return ids + after, firsts


def cut_prompt(tokenizer: Any, family: Family, ids: Sequence[int], room: int) -> list[int]:
    """A prompt cut to ``room`` tokens.

    A decoder's prompt keeps its beginning token and its end, where the question and the cue to answer stand; the
    others keep their beginning and the special tokens that close them.
    """
    if len(ids) <= room:
        return list(ids)
    if family == "decoder":
        begin = [ids[0]] if ids[0] == tokenizer.bos_token_id and room > 1 else []
        return begin + list(ids[len(ids) - room + len(begin) :])
    special = set(tokenizer.all_special_ids)
    closing = 1 if ids[-1] in special and room > 1 else 0
    return list(ids[: room - closing]) + list(ids[len(ids) - closing :])


def cut_words(tokenizer: Any, ids: Sequence[int], firsts: Sequence[int], room: int) -> tuple[list[int], list[int]]:
    """What ``encode_words`` gave, cut to ``room`` tokens; words whose first token is gone have no place any more."""
    kept = cut_prompt(tokenizer, "encoder", ids, room)
    if len(kept) == len(ids):
        return kept, list(firsts)
    read = len(kept) - 1 if ids[-1] in tokenizer.all_special_ids else len(kept)
    return kept, [first for first in firsts if first < read]


def frame(tokenizer: Any) -> tuple[list[int], list[int]]:
    """The special tokens that the tokenizer puts before and after a text."""
    bare, framed = _ids(tokenizer, "a", special=False), _ids(tokenizer, "a", special=True)
    for start in range(len(framed) - len(bare) + 1):
        if framed[start : start + len(bare)] == bare:
            return framed[:start], framed[start + len(bare) :]
    return [], []


def encode_plain(tokenizer: Any, text: str) -> list[int]:
    """The text's own ids, without special tokens."""
    return _ids(tokenizer, text, special=False)


def encode_offsets(tokenizer: Any, text: str) -> tuple[list[int], list[tuple[int, int]]]:
    """The text's own ids, and from where to where in the text each of them stands."""
    made = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, truncation=False, verbose=False)
    return made["input_ids"], made["offset_mapping"]


def decode(tokenizer: Any, ids: Sequence[int]) -> str:
    """The text of token ids, without special tokens and without any tidying of blanks."""
    text: str = tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return text


def pieces(tokenizer: Any, text: str, room: int) -> list[str]:
    """A long text in pieces of at most ``room`` tokens each, which join to the whole.

    The text is tokenised once and cut before a word, where there is one, so that a piece by itself is tokenised as it
    was within the text; that is then seen to for all pieces together, and one that is not is cut again. Cuts fall
    between characters; a character whose tokens alone exceed ``room`` stays whole.
    """
    return [piece for piece, _ in measured_pieces(tokenizer, text, room)]


def measured_pieces(tokenizer: Any, text: str, room: int) -> list[tuple[str, int]]:
    """``pieces``, each with the number of its tokens."""
    made = _cut(tokenizer, text, room)
    found: list[tuple[str, int]] = []
    for piece, length in zip(made, _lengths(tokenizer, made), strict=True):
        if length <= room:
            found.append((piece, length))
        else:
            again = _cut_again(tokenizer, piece, room)
            found += zip(again, _lengths(tokenizer, again), strict=True)
    return found


def _lengths(tokenizer: Any, texts: list[str]) -> list[int]:
    """Tokens of each text, all of them tokenised in one call that keeps no offsets."""
    made = tokenizer.backend_tokenizer.encode_batch_fast(texts, add_special_tokens=False)
    return [len(one) for one in made]


def _cut(tokenizer: Any, text: str, room: int) -> list[str]:
    """The text cut after at most ``room`` tokens of its own, before a word where one begins among them."""
    read = tokenizer.backend_tokenizer.encode(text, add_special_tokens=False)
    count = len(read)
    made: list[str] = []
    start = first = 0
    while first < count:
        end = _end_of(read, first, min(first + room, count), count)
        # Asked for at the cuts alone: offsets of all tokens would be a list as long as the text.
        at = read.token_to_chars(end - 1)[1] if end < count else len(text)
        if at > start:
            made.append(text[start:at])
            start = at
        first = end
    if start < len(text):
        made.append(text[start:])
    return made


def _end_of(read: Any, first: int, last: int, count: int) -> int:
    """Where a piece of the tokens from ``first`` ends: before a word, else between characters, at most at ``last``."""

    def apart(end: int) -> bool:
        return bool(read.token_to_chars(end)[0] >= read.token_to_chars(end - 1)[1])

    if last >= count:
        return count
    within = range(last, first, -1)
    for end in within:
        if read.token_to_word(end) != read.token_to_word(end - 1) and apart(end):
            return end
    found = next((end for end in within if apart(end)), last)
    # A character of more tokens than there is room for: as far as it goes.
    while found < count and not apart(found):
        found += 1
    return found


def _cut_again(tokenizer: Any, text: str, room: int) -> list[str]:
    """The same, with every piece tokenised by itself before it is taken: slow, for what is tokenised otherwise then."""
    spans = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)["offset_mapping"]
    ends = sorted({end for _, end in spans} | {len(text)} - {0}) if text else []
    made: list[str] = []
    start, at = 0, 0
    while at < len(ends):
        last = min(at + room, len(ends)) - 1
        # A piece by itself may be tokenised otherwise than within the text, into more tokens than it had there.
        while last > at and len(_ids(tokenizer, text[start : ends[last]], special=False)) > room:
            last -= 1
        made.append(text[start : ends[last]])
        start, at = ends[last], last + 1
    return made


def _ids(tokenizer: Any, text: str, special: bool) -> list[int]:
    made = tokenizer(text, add_special_tokens=special, truncation=False, padding=False, verbose=False)
    ids: list[int] = made["input_ids"]
    return ids


def _gap(tokenizer: Any) -> str:
    """A blank, unless the tokenizer marks the beginning of every text as that of a word already (SentencePiece)."""
    marked = tokenizer.convert_ids_to_tokens(_ids(tokenizer, "a", special=False))
    return "" if marked and marked[0].startswith("\u2581") else " "

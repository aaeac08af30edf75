"""Between labels or tags and the text a model answers: written one way, read back tolerantly."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache

from escalade.records import Record, Tagged
from escalade.values import Facts

NONE = "none"
_BETWEEN = "; "
_LABELLED = ("classification", "relation-extraction")


def parse_output(text: str, record: Record, facts: Facts) -> str | tuple[str, ...] | None:
    """What a generated text says, in the terms of the task.

    Args:
        text: The model's answer.
        record: The record it answers; its tokens are what tags are laid upon.
        facts: Kind and labels.

    Returns:
        A label, or None where the text is none of them (which counts as wrong); one tag per token for tagging, ``O``
        where nothing was said; else the text without blanks around it.
    """
    if facts.kind in _LABELLED:
        return parse_label(text, facts.labels)
    if isinstance(record, Tagged):
        return parse_tags(text, record.tokens, facts.labels)
    return text.strip()


def parse_label(text: str, labels: Sequence[str]) -> str | None:
    """The label a text names: exactly, else but for case, blanks and punctuation, else at its beginning."""
    said = text.strip()
    if said in labels:
        return said
    plain = _plain(said)
    # From the longest, so that "not toxic" is not read as a label "not".
    by_length = sorted(labels, key=lambda label: (-len(label), label))
    for label in by_length:
        if _plain(label) and plain == _plain(label):
            return label
    for label in by_length:
        if _begins(plain, _plain(label)):
            return label
    return None


@lru_cache(maxsize=4096)
def _plain(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).casefold()
    return re.sub(r"\s+", " ", folded).strip(" \t\n\"'`*.,:;!?。，：；！？“”‘’（）()[]「」")


def _begins(text: str, label: str) -> bool:
    """Whether a text begins with a label that ends where a word does; Han characters need no blank."""
    if not label or not text.startswith(label):
        return False
    rest = text[len(label) :]
    return not rest or not rest[0].isalnum() or _is_unspaced(rest[0]) or _is_unspaced(label[-1])


def spans(tags: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    """The entities of BIO tags as (first token, token after the last, type); an I without a B begins one."""
    start, kind = 0, ""
    for i, tag in enumerate([*tags, "O"]):
        if kind and not (tag.startswith("I-") and tag[2:] == kind):
            yield start, i, kind
            kind = ""
        if not kind and tag[:2] in ("B-", "I-"):
            start, kind = i, tag[2:]


def is_bio(tag: str) -> bool:
    """Whether a tag is ``O``, ``B-type`` or ``I-type``."""
    return tag == "O" or (tag[:2] in ("B-", "I-") and len(tag) > 2)


def tagged_text(record: Tagged) -> str:
    """``entity: type; entity: type``, ``none`` without entities; tags that are not BIO as they are, with blanks."""
    if not all(map(is_bio, record.tags)):
        return " ".join(record.tags)
    found = [f"{join_words(record.tokens[start:end])}: {kind}" for start, end, kind in spans(record.tags)]
    return _BETWEEN.join(found) or NONE


def parse_tags(text: str, tokens: Sequence[str], labels: Sequence[str]) -> tuple[str, ...]:
    """One tag per token from what ``tagged_text`` writes.

    An entity is looked for after the one named before it, then from the beginning; one that is not in the text is
    passed over.
    """
    if not all(map(is_bio, labels)):
        said = [word if word in labels else "O" for word in text.split()]
        return tuple((said + ["O"] * len(tokens))[: len(tokens)])
    types = sorted({label[2:] for label in labels if label != "O"}, key=lambda kind: (-len(kind), kind))
    tags = ["O"] * len(tokens)
    if not types:
        return tuple(tags)
    words = ["".join(token.split()) for token in tokens]
    position = 0
    pattern = rf"\s*(.+?)\s*[:：]\s*({'|'.join(map(re.escape, types))})\s*(?:[;；\n]|$)"
    for entity, kind in re.findall(pattern, text):
        place = _find(entity, words, tags, position) or _find(entity, words, tags, 0)
        if place is not None:
            start, position = place
            tags[start:position] = [f"B-{kind}"] + [f"I-{kind}"] * (position - start - 1)
    return tuple(tags)


def _find(entity: str, words: Sequence[str], tags: Sequence[str], start: int) -> tuple[int, int] | None:
    """The first run of untagged tokens from ``start`` on that spells an entity, blanks aside."""
    wanted = "".join(entity.split())
    for first in range(start, len(words)):
        spelt = ""
        for after in range(first, len(words)):
            if tags[after] != "O" or not wanted.startswith(spelt + words[after]):
                break
            spelt += words[after]
            if spelt == wanted:
                return first, after + 1
    return None


def join_words(words: Sequence[str]) -> str:
    """Words as running text: with blanks, but none between two characters of a script that has none."""
    joined = ""
    for word in words:
        if joined and word and not (_is_unspaced(joined[-1]) and _is_unspaced(word[0])):
            joined += " "
        joined += word
    return joined


def _is_unspaced(char: str) -> bool:
    code = ord(char)
    return 0x2E80 <= code <= 0x9FFF or 0xF900 <= code <= 0xFAFF or 0xFF00 <= code <= 0xFF60 or 0x0E00 <= code <= 0x0EFF

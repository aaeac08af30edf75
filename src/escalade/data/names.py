"""Usual names of columns, best first, and what they suggest."""

from __future__ import annotations

import re

INPUT = (
    "text", "sentence", "review", "dialogue", "dialog", "document", "article", "abstract", "passage", "utterance",
    "query", "question", "instruction", "prompt", "input", "inputs", "content", "comment", "tweet", "message", "body",
    "docstring", "code", "src", "source", "context",
)  # fmt: skip
OUTPUT = (
    "label_text", "label", "labels", "class", "category", "sentiment", "intent", "relation", "summary", "highlights",
    "translation", "response", "completion", "answer", "answers", "output", "outputs", "target", "tgt", "headline",
    "title", "tldr", "topic", "star", "stars", "rating", "reference",
)  # fmt: skip
PAIRED_INPUT = (
    ("premise", "hypothesis"), ("sentence1", "sentence2"), ("question1", "question2"), ("text_a", "text_b"),
    ("instruction", "input"),
)  # fmt: skip
EMBEDDED = (("query", "positive"), ("anchor", "positive"), ("sentence1", "sentence2"), ("query", "document"))
TOKENS = ("tokens", "words", "token")
TAGS = ("tags", "ner_tags", "ner", "labels", "pos_tags", "tag", "label")
MESSAGES = ("messages", "conversations", "conversation", "turns")
CONTEXT = ("context", "passage", "paragraph", "document")
QUESTION = ("question", "query")
ANSWERS = ("answers", "answer")
HEAD = ("head", "subject", "e1", "entity1")
TAIL = ("tail", "object", "e2", "entity2")
PROMPT = ("prompt", "instruction", "question", "query", "input", "messages", "conversations")
CHOSEN = ("chosen", "preferred", "response_chosen")
REJECTED = ("rejected", "dispreferred", "response_rejected")

SUMMARIES = frozenset({"summary", "highlights", "headline", "title", "tldr"})
TRANSLATIONS = frozenset({"translation", "tgt"})
LANGUAGE_CODES = frozenset(
    "ar bn cs da de el en es et fa fi fr he hi hu id it ja ko lt lv ms nl no pl pt ro ru sk sv th tr uk vi zh".split()
)

_IDENTITY = re.compile(
    r"(.*_)?(id|ids|idx|index|uuid|guid|key|hash|sha)|f?name|file(name)?|path|url|link|split|column1"
)


def is_identity(name: str) -> bool:
    """Whether a name says "which row", not "what is in it"."""
    return _IDENTITY.fullmatch(folded(name)) is not None


def folded(name: str) -> str:
    """A name without case and with underscores for what parts its words."""
    return re.sub(r"[\s.-]+", "_", name.strip()).casefold()

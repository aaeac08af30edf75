"""What data is: the record types that every objective, prompt and metric reads.

Plain frozen dataclasses, not pydantic: there are hundreds of thousands of them. Every record has an ``id`` that is
unique and stable within its data (``<split>:<row number>``) and, where rows belong together, a ``group``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from escalade.values import Kind


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Text:
    """Running text."""

    id: str
    text: str
    group: str | None = None


@dataclass(frozen=True, slots=True)
class Piece(Text):
    """A part of a text that goes on behind it."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """A text and its label."""

    id: str
    text: str
    label: str
    group: str | None = None


@dataclass(frozen=True, slots=True)
class Tagged:
    """Words and one tag each (BIO)."""

    id: str
    tokens: tuple[str, ...]
    tags: tuple[str, ...]
    group: str | None = None


@dataclass(frozen=True, slots=True)
class Related:
    """A text with two marked spans and the relation between them."""

    id: str
    text: str
    head: str
    tail: str
    label: str
    group: str | None = None


@dataclass(frozen=True, slots=True)
class Pair:
    """An input text and the text wanted for it."""

    id: str
    input: str
    output: str
    group: str | None = None


@dataclass(frozen=True, slots=True)
class Chat:
    """A conversation whose last turn is the assistant's."""

    id: str
    messages: tuple[Message, ...]
    group: str | None = None


@dataclass(frozen=True, slots=True)
class Preference:
    """A prompt, the better answer and the worse one."""

    id: str
    prompt: str
    chosen: str
    rejected: str
    group: str | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """A question about a context, with the accepted answers."""

    id: str
    question: str
    context: str
    answers: tuple[str, ...]
    group: str | None = None


@dataclass(frozen=True, slots=True)
class Segments:
    """Two pieces of running text, the second of which follows the first or comes from another document."""

    id: str
    first: str
    second: str
    follows: bool
    group: str | None = None


Record = Text | Labelled | Tagged | Related | Pair | Chat | Preference | Question | Segments

RECORD_OF: dict[Kind, type[Any]] = {
    "classification": Labelled,
    "token-classification": Tagged,
    "relation-extraction": Related,
    "question-answering": Question,
    "summarization": Pair,
    "translation": Pair,
    "generation": Pair,
    "chat": Chat,
    "embedding": Pair,
}
"""The record type each kind of task reads."""


def to_json(record: Record) -> dict[str, Any]:
    """A record as plain JSON types, tuples as lists, without the fields that are None."""
    return {k: v for k, v in dataclasses.asdict(record).items() if v is not None}


def from_json(cls: type[Any], row: dict[str, Any]) -> Any:
    """The record of type ``cls`` that ``to_json`` wrote."""
    made = {k: tuple(v) if isinstance(v, list) else v for k, v in row.items()}
    if cls is Chat:
        made["messages"] = tuple(Message(**m) for m in row["messages"])
    return cls(**made)


def input_text(record: Record) -> str:
    """What a model is given, as one text: for baselines, duplicate search and length statistics."""
    match record:
        case Text(text=text) | Labelled(text=text):
            return text
        case Tagged(tokens=tokens):
            return " ".join(tokens)
        case Related(text=text, head=head, tail=tail):
            return f"{text}\n{head}\n{tail}"
        case Pair(input=text):
            return text
        case Chat(messages=messages):
            return "\n".join(m.content for m in messages[:-1])
        case Preference(prompt=prompt):
            return prompt
        case Question(question=question, context=context):
            return f"{question}\n{context}"
        case Segments(first=first, second=second):
            return f"{first}\n{second}"


def output_text(record: Record) -> str:
    """What is wanted, as one text; empty for running text."""
    match record:
        case Text():
            return ""
        case Labelled(label=label) | Related(label=label):
            return label
        case Tagged(tags=tags):
            return " ".join(tags)
        case Pair(output=text):
            return text
        case Chat(messages=messages):
            return messages[-1].content
        case Preference(chosen=chosen):
            return chosen
        case Question(answers=answers):
            return answers[0] if answers else ""
        case Segments(follows=follows):
            return "next" if follows else "random"


def groups_of(records: Iterable[Record]) -> Iterator[str]:
    """The unit each record is resampled by: its group, or itself."""
    for record in records:
        yield record.group if record.group is not None else record.id

"""A row of cells as a record of its kind, or the reason why it is none."""

from __future__ import annotations

import math
import os.path
from typing import Any, Literal

from escalade.project import Columns
from escalade.records import Chat, Labelled, Message, Pair, Preference, Question, Record, Related, Tagged
from escalade.values import Kind, Setting

_ROLES: dict[str, Literal["system", "user", "assistant"]] = {
    "system": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
}
_MARK = "\n\nAssistant:"
_TURNS = {"system": "System", "user": "Human", "assistant": "Assistant"}


class Refusal(Exception):
    """A row that cannot become a record; never leaves this room.

    Args:
        key: The reason's key in the messages.
        facts: What fills its placeholders.
    """

    def __init__(self, key: str, /, **facts: Setting) -> None:
        super().__init__(key)
        self.key, self.facts = key, facts


def to_record(cells: dict[str, Any], kind: Kind, columns: Columns, id: str) -> Record:
    """The record of a row.

    Input texts stay as they are, since that is what will be asked; blanks around labels and outputs are cut.

    Raises:
        Refusal: Something needed is empty, or does not fit together.
    """
    group = text_of(cells, columns.group).strip() or None if columns.group else None
    output = columns.output or ""
    match kind:
        case "classification":
            return Labelled(id, _input(cells, columns), _output(cells, output), group)
        case "relation-extraction":
            return _related(cells, columns, id, group)
        case "token-classification":
            return _tagged(cells, columns, id, group)
        case "question-answering":
            context = _needed(cells, columns.context or "")
            return Question(id, _input(cells, columns), context, _answers(cells, output), group)
        case "chat":
            return Chat(id, _conversation(cells, columns), group)
        case _:
            return Pair(id, _input(cells, columns), _output(cells, output), group)


def to_preference(cells: dict[str, Any], columns: Columns, id: str) -> Preference:
    """The preference of a row; where no column holds the prompt it is what both dialogues begin with.

    Raises:
        Refusal: An answer or the prompt is empty, or both answers are equal.
    """
    group = text_of(cells, columns.group).strip() or None if columns.group else None
    chosen, rejected = _said(cells, columns.chosen or ""), _said(cells, columns.rejected or "")
    if columns.prompt:
        prompt = _said(cells, columns.prompt)
        chosen, rejected = chosen.removeprefix(prompt), rejected.removeprefix(prompt)
    else:
        prompt = _common_dialogue(chosen, rejected)
        chosen, rejected = chosen[len(prompt) :], rejected[len(prompt) :]
    if not prompt.strip():
        raise Refusal("data.refused_empty", column=columns.prompt or f"{columns.chosen}, {columns.rejected}")
    chosen, rejected = chosen.strip(), rejected.strip()
    for column, answer in ((columns.chosen, chosen), (columns.rejected, rejected)):
        if not answer:
            raise Refusal("data.refused_empty", column=column)
    if chosen == rejected:
        raise Refusal("data.refused_equal")
    return Preference(id, prompt, chosen, rejected, group)


def text_of(cells: dict[str, Any], column: str | None) -> str:
    """A cell as text: numbers and truth values as JSON writes them, nothing as "".

    Raises:
        Refusal: The cell holds something without a text, or characters that no file can hold.
    """
    cell = cells.get(column) if column else None
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return ""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, int | float):
        return str(cell)
    if not isinstance(cell, str):
        raise Refusal("data.refused_not_text", column=column)
    return _sound(cell, column)


def _sound(text: str, column: str | None) -> str:
    """The text itself, if it can be written: JSON can spell half a surrogate pair, UTF-8 cannot."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise Refusal("data.refused_surrogate", column=column) from None
    return text


def _needed(cells: dict[str, Any], column: str) -> str:
    text = text_of(cells, column)
    if not text.strip():
        raise Refusal("data.refused_empty", column=column)
    return text


def _input(cells: dict[str, Any], columns: Columns) -> str:
    parts = [text_of(cells, name) for name in columns.input]
    text = "\n".join(part for part in parts if part.strip())
    if not text:
        raise Refusal("data.refused_empty", column=", ".join(columns.input))
    return text


def _output(cells: dict[str, Any], column: str) -> str:
    return _needed(cells, column).strip()


def _related(cells: dict[str, Any], columns: Columns, id: str, group: str | None) -> Related:
    text, spans = _input(cells, columns), []
    for column in (columns.head or "", columns.tail or ""):
        cell = cells.get(column)
        named = {column: cell.get("text", cell.get("name"))} if isinstance(cell, dict) else cells
        span = _needed(named, column).strip()
        if span not in text:
            raise Refusal("data.refused_span", column=column, span=span[:60])
        spans.append(span)
    return Related(id, text, spans[0], spans[1], _output(cells, columns.output or ""), group)


def _tagged(cells: dict[str, Any], columns: Columns, id: str, group: str | None) -> Tagged:
    tokens = _words(cells, columns.tokens or "")
    tags = _words(cells, columns.output or "")
    if len(tokens) != len(tags):
        raise Refusal("data.refused_lengths", tokens=len(tokens), tags=len(tags))
    return Tagged(id, tokens, tags, group)


def _words(cells: dict[str, Any], column: str) -> tuple[str, ...]:
    """A list of words or tags; a text is parted at its blanks."""
    cell = cells.get(column)
    parts = cell.split() if isinstance(cell, str) else cell
    if not parts:
        raise Refusal("data.refused_empty", column=column)
    if not isinstance(parts, list | tuple):
        raise Refusal("data.refused_not_text", column=column)
    words = tuple(text_of({column: part}, column).strip() for part in parts)
    if not all(words):
        raise Refusal("data.refused_empty_word", column=column, position=words.index("") + 1)
    return words


def _answers(cells: dict[str, Any], column: str) -> tuple[str, ...]:
    """The accepted answers: a text, a list of texts, SQuAD's list of objects, or the hub's object of lists."""
    cell = cells.get(column)
    if isinstance(cell, dict):
        cell = cell.get("text")
    members = cell if isinstance(cell, list | tuple) else [cell]
    texts = (text_of({column: m.get("text") if isinstance(m, dict) else m}, column).strip() for m in members)
    answers = tuple(dict.fromkeys(text for text in texts if text))
    if not answers:
        raise Refusal("data.refused_empty", column=column)
    return answers


def _conversation(cells: dict[str, Any], columns: Columns) -> tuple[Message, ...]:
    if columns.messages is None:
        said = _input(cells, columns), _output(cells, columns.output or "")
        return Message("user", said[0]), Message("assistant", said[1])
    turns = _turns(cells.get(columns.messages), columns.messages)
    if turns[-1].role != "assistant":
        raise Refusal("data.refused_last_turn", role=turns[-1].role)
    if all(turn.role != "user" for turn in turns):
        raise Refusal("data.refused_no_user")
    return turns


def _turns(cell: Any, column: str) -> tuple[Message, ...]:
    if not cell:
        raise Refusal("data.refused_empty", column=column)
    if not isinstance(cell, list | tuple) or not all(isinstance(turn, dict) for turn in cell):
        raise Refusal("data.refused_not_turns", column=column)
    return tuple(_turn(turn, column) for turn in cell)


def _turn(turn: dict[str, Any], column: str) -> Message:
    said = str(turn.get("role", turn.get("from", "")))
    role = _ROLES.get(said.casefold())
    if role is None:
        raise Refusal("data.refused_role", role=said[:40])
    content = turn.get("content", turn.get("value"))
    if isinstance(content, list):
        # The API's parts of a message; what is not text cannot be read here.
        content = "".join(text_of(part, "text") for part in content if isinstance(part, dict)) or None
    text = text_of({column: content}, column)
    if not text.strip():
        raise Refusal("data.refused_empty", column=column)
    return Message(role, text)


def _said(cells: dict[str, Any], column: str) -> str:
    """A prompt or an answer, be it a text, one turn, or a whole conversation."""
    cell = cells.get(column)
    if isinstance(cell, dict):
        return _turn(cell, column).content
    if isinstance(cell, list | tuple):
        turns = _turns(cell, column)
        if len(turns) == 1:
            return turns[0].content
        return "".join(f"\n\n{_TURNS[turn.role]}: {turn.content}" for turn in turns)
    return _needed(cells, column)


def _common_dialogue(chosen: str, rejected: str) -> str:
    """What two dialogues share, up to and with the mark after which the assistant answers differently."""
    shared = os.path.commonprefix([chosen, rejected])
    mark = shared.rfind(_MARK)
    if mark >= 0:
        return shared[: mark + len(_MARK)]
    # Without marks: whole lines only, so that no word is torn apart.
    return shared[: shared.rfind("\n") + 1]

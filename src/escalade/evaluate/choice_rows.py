"""Reads questions with choices: rows with a list of choices, BLiMP's pairs of sentences, and MMLU's five columns.

Three layouts, told apart row by row in JSONL and JSON; CSV and TSV hold MMLU's alone, with a header or without one:

* ``question`` or ``prompt``, ``choices`` and ``answer``. A question is asked as the model is asked anything; a prompt
  and its choices stand behind each other exactly as they are written, blanks included.
* ``sentence_good`` and ``sentence_bad`` (Warstadt et al. 2020): two whole texts, the first of them right.
* ``question``, ``A`` to ``D`` and the letter of the answer (Hendrycks et al. 2021), asked as its authors do: all four
  below the question, and the letter is the answer.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from escalade.errors import BadInput
from escalade.evaluate.read_texts import TABLES, Row, content_of, json_lines, json_rows, place_of

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
EMPTY = "N/A"
"""The content-free input of Zhao et al. (2021, section 5)."""
_MMLU = ("question", "A", "B", "C", "D", "answer")
_GROUPS = ("group", "UID", "subject")
_SPLIT = re.compile(r"_(?:test|val|dev|auxiliary_train)$")
Ask = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Item:
    """One question with its choices."""

    place: str
    """File and line."""
    prompt: str
    """All that stands before a choice; empty where the choices are whole texts."""
    choices: tuple[str, ...]
    answer: int
    """Place of the right choice, from 0."""
    group: str | None = None
    """What it is resampled and listed with."""
    empty: str | None = None
    """The prompt without its content; None where there is no prompt."""


def on_a_line(question: str) -> str:
    """How a model without a prompt of its own is asked: the answer begins a new line."""
    return f"{question}\n"


def read_choices(file: Path, ask: Ask = on_a_line) -> list[Item]:
    """Reads a file of questions with choices.

    Args:
        file: ``.jsonl``, ``.json``, ``.csv`` or ``.tsv``, each also with ``.gz``.
        ask: The prompt that a model gets for a question.

    Raises:
        BadInput: The file cannot be read or holds no rows, or a row is none of the layouts: a key is missing or of the
            wrong kind, there are fewer than two choices, one is empty, or the answer is none of them.
    """
    items = [_item(place, row, ask) for place, row in _rows(file)]
    if not items:
        raise BadInput("evaluate.choices_none", place=file)
    return items


def some_of(items: Sequence[Item], limit: int | None) -> list[Item]:
    """``limit`` items spread evenly over the file, so that files sorted by group keep all their groups."""
    if limit is None or limit >= len(items):
        return list(items)
    return [items[i * len(items) // limit] for i in range(limit)]


def _rows(file: Path) -> Iterator[Row]:
    ending = Path(file.name.removesuffix(".gz").lower()).suffix
    if ending in TABLES:
        return _table(file, content_of(file), TABLES[ending])
    if ending == ".json":
        return json_rows(file, content_of(file))
    if ending == ".jsonl":
        return json_lines(file, content_of(file))
    raise BadInput("evaluate.choices_format", place=file, ending=ending or file.name)


def _table(file: Path, content: str, delimiter: str) -> Iterator[Row]:
    """Rows by the names of their columns; MMLU's own files have no header, and name their subject themselves."""
    reader = csv.reader(io.StringIO(content, newline=""), delimiter=delimiter)
    header: Sequence[str] | None = None
    subject: dict[str, Any] = {}
    for cells in reader:
        if not cells:
            continue
        place = place_of(file, reader.line_num)
        if header is None:
            if {"question", "answer"} <= set(cells):
                header = cells
                continue
            header = _MMLU
            subject = {"subject": _SPLIT.sub("", file.name.removesuffix(".gz").rpartition(".")[0])}
        if len(cells) != len(header):
            raise BadInput("evaluate.choices_ragged", place=place, found=len(cells), wanted=len(header))
        yield place, subject | dict(zip(header, cells, strict=True))


def _item(place: str, row: Any, ask: Ask) -> Item:
    if not isinstance(row, dict):
        raise BadInput("evaluate.choices_layout", place=place, known=type(row).__name__)
    if "sentence_good" in row or "sentence_bad" in row:
        return _pair(place, row)
    if "choices" in row:
        return _question(place, row, ask)
    if set(_MMLU) <= set(row):
        return _lettered(place, row)
    raise BadInput("evaluate.choices_layout", place=place, known=", ".join(row))


def _pair(place: str, row: Mapping[str, Any]) -> Item:
    choices = (_text(place, row, "sentence_good"), _text(place, row, "sentence_bad"))
    return Item(place, "", choices, 0, _group(place, row))


def _question(place: str, row: Mapping[str, Any], ask: Ask) -> Item:
    choices = _choices(place, row["choices"])
    answer = _answer(place, row, choices)
    group = _group(place, row)
    if "prompt" in row:
        return Item(place, _text(place, row, "prompt"), choices, answer, group, EMPTY)
    question = _text(place, row, "question")
    return Item(place, ask(question), choices, answer, group, ask(EMPTY))


def _lettered(place: str, row: Mapping[str, Any]) -> Item:
    letters = LETTERS[:4]
    answer = _text(place, row, "answer").strip()
    if answer not in tuple(letters):
        raise BadInput("evaluate.choices_answer", place=place, answer=answer, count=len(letters), last=letters[-1])
    subject = _group(place, row)
    texts = {letter: _text(place, row, letter) for letter in letters}
    prompt = _multiple_choice(_text(place, row, "question"), texts, subject)
    empty = _multiple_choice(EMPTY, dict.fromkeys(letters, EMPTY), subject)
    return Item(place, prompt, tuple(f" {letter}" for letter in letters), letters.index(answer), subject, empty)


def _multiple_choice(question: str, choices: Mapping[str, str], subject: str | None) -> str:
    """The prompt of Hendrycks et al. (2021, figure 1 and appendix), without examples."""
    about = f" about {subject.replace('_', ' ')}" if subject else ""
    head = f"The following are multiple choice questions (with answers){about}."
    listed = "\n".join(f"{letter}. {text}" for letter, text in choices.items())
    return f"{head}\n\n{question}\n{listed}\nAnswer:"


def _choices(place: str, given: Any) -> tuple[str, ...]:
    if not isinstance(given, list) or not all(isinstance(choice, str) for choice in given):
        raise BadInput("evaluate.choices_not_texts", place=place)
    if not 2 <= len(given) <= len(LETTERS):
        raise BadInput("evaluate.choices_count", place=place, count=len(given), most=len(LETTERS))
    for number, choice in enumerate(given):
        if not choice.strip():
            raise BadInput("evaluate.choices_empty", place=place, letter=LETTERS[number])
    if len(set(given)) < len(given):
        raise BadInput("evaluate.choices_twice", place=place, text=next(c for c in given if given.count(c) > 1))
    return tuple(given)


def _answer(place: str, row: Mapping[str, Any], choices: Sequence[str]) -> int:
    """The place of the right choice, from its place, its letter or its text."""
    if "answer" not in row:
        raise BadInput("evaluate.choices_key", place=place, key="answer", known=", ".join(row))
    said = row["answer"]
    found: set[int] = set()
    if isinstance(said, int) and not isinstance(said, bool):
        found = {said} & set(range(len(choices)))
    elif isinstance(said, str):
        found = {i for i, choice in enumerate(choices) if said in (choice, LETTERS[i])}
    if len(found) > 1:
        raise BadInput("evaluate.choices_answer_twice", place=place, answer=said)
    if not found:
        last = LETTERS[len(choices) - 1]
        raise BadInput("evaluate.choices_answer", place=place, answer=said, count=len(choices), last=last)
    return found.pop()


def _group(place: str, row: Mapping[str, Any]) -> str | None:
    name = next((name for name in _GROUPS if row.get(name) is not None), None)
    return None if name is None else _text(place, row, name)


def _text(place: str, row: Mapping[str, Any], key: str) -> str:
    if key not in row:
        raise BadInput("evaluate.choices_key", place=place, key=key, known=", ".join(row))
    text = row[key]
    if not isinstance(text, str) or not text.strip():
        raise BadInput("evaluate.choices_no_text", place=place, key=key)
    return text

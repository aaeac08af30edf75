"""Which column holds what, and what kind of task that makes: guessed from names and cells, each guess with a reason."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from escalade import messages
from escalade.data import names
from escalade.data.table import Table, missing_column
from escalade.errors import BadInput
from escalade.project import Columns
from escalade.values import Kind, Setting, Value

Shape = Literal["text", "number", "words", "turns", "other", "empty"]
_LOOKED_AT = 5000
_LABEL_LENGTH = 60
_MOST_LABELS = 300


class Because(Value):
    """Why something was guessed, readable in any language."""

    key: str
    facts: dict[str, Setting] = {}

    @property
    def text(self) -> str:
        """The reason in the language in use."""
        return messages.text(self.key, **self.facts)


@dataclass(frozen=True)
class Reading:
    """How a source is to be read.

    Args:
        kind: The kind of task.
        columns: Every column the kind needs, named.
        preference: Whether a row is a prompt with a chosen and a rejected answer.
        why_kind: Why this kind.
        why: Why each column, by the field of ``columns``.
    """

    kind: Kind
    columns: Columns
    preference: bool
    why_kind: Because
    why: dict[str, Because]


@dataclass(frozen=True)
class Seen:
    """What the cells of a column look like."""

    name: str
    shape: Shape
    rows: int
    distinct: int
    mean_length: float
    longest: int

    @property
    def label_like(self) -> bool:
        """Few different short values, as labels are.

        Fewer than a fifth as many values as rows; with under 100 rows, than half.
        """
        most = max(2, self.rows // 2 if self.rows < 100 else min(_MOST_LABELS, self.rows // 5))
        return self.shape in ("text", "number") and 1 <= self.distinct <= most and self.longest <= _LABEL_LENGTH


def guess(table: Table, given: Columns, kind: Kind | None) -> Reading:
    """The columns and kind of a source, what is given taken as it is.

    Raises:
        BadInput: A named column is not there, or a needed one cannot be guessed.
    """
    check(table, given)
    return _Guess(table, given).reading(kind)


def guess_preferences(table: Table, given: Columns) -> Reading:
    """The columns of a source of preferences.

    Raises:
        BadInput: It has no chosen or no rejected answers, or a named column is not there.
    """
    # What names the task's own columns says nothing of another file's.
    wanted = Columns(prompt=given.prompt, chosen=given.chosen, rejected=given.rejected)
    check(table, wanted)
    return _Guess(table, wanted).preferences("generation")


def check(table: Table, columns: Columns) -> None:
    """Refuses columns that are named and not there.

    Raises:
        BadInput: With the name, the file, its columns and the closest of them.
    """
    for name in named(columns):
        if name not in table.columns:
            raise missing_column(name, table)


def named(columns: Columns) -> Iterable[str]:
    """Every column that is named."""
    for value in columns.model_dump().values():
        yield from value if isinstance(value, list | tuple) else [value] if value else []


def look(table: Table, name: str) -> Seen:
    """What a column's cells look like, over the first rows and again some from all over the table."""
    step = max(1, len(table.rows) // _LOOKED_AT)
    cells = [row.cells.get(name) for row in table.rows[::step]]
    filled = [cell for cell in cells if cell is not None and cell != ""]
    texts = [str(cell) for cell in filled]
    return Seen(
        name=name,
        shape=_shape(filled),
        rows=len(filled),
        distinct=len(set(texts)),
        mean_length=sum(map(len, texts)) / len(texts) if texts else 0.0,
        longest=max(map(len, texts), default=0),
    )


def _shape(cells: Sequence[Any]) -> Shape:
    if not cells:
        return "empty"
    if all(isinstance(cell, str) for cell in cells):
        return "text"
    if all(isinstance(cell, bool | int | float) for cell in cells):
        return "number"
    if all(isinstance(cell, list | tuple) for cell in cells):
        inner = [member for cell in cells for member in cell]
        if inner and all(isinstance(member, str | int) for member in inner):
            return "words"
        if inner and all(isinstance(member, dict) and ({"role", "from"} & set(member)) for member in inner):
            return "turns"
    # A mixture of texts and numbers, as labels "1" and 1 in one file, is still a text.
    return "text" if all(isinstance(cell, str | bool | int | float) for cell in cells) else "other"


class _Guess:
    """One guess under way: what is given, what was found, and why."""

    def __init__(self, table: Table, given: Columns) -> None:
        self.table, self.given = table, given
        self.found: dict[str, Any] = {}
        self.why: dict[str, Because] = {}
        for field, value in given.model_dump(exclude_defaults=True).items():
            self._take(field, tuple(value) if isinstance(value, list) else value, Because(key="data.why_given"))

    @cached_property
    def seen(self) -> dict[str, Seen]:
        return {name: look(self.table, name) for name in self.table.columns}

    def reading(self, kind: Kind | None) -> Reading:
        why = Because(key="data.why_given")
        if kind is None:
            kind, why = self._kind_by_shape()
        if kind == "generation" and self._is_preference():
            return self.preferences(kind, why)
        match kind:
            case "token-classification":
                self._need("tokens", names.TOKENS, ("words", "text"))
                self._need("output", names.TAGS, ("words", "text"))
            case "chat":
                self._need_turns()
            case "question-answering":
                self._need("input", names.QUESTION, ("text",))
                self._need("context", names.CONTEXT, ("text",))
                self._need("output", names.ANSWERS, ("text", "words", "other"))
            case "embedding":
                self._embedded()
            case "relation-extraction":
                for field, usual in (("head", names.HEAD), ("tail", names.TAIL)):
                    if self._is_free_of(field) and not self._by_name(field, usual, ("text", "other")):
                        raise self._unknown(field)
                self._labelled()
            case "classification":
                self._labelled()
            case _:
                self._text_to_text()
        if why.key == "data.why_open":
            kind, why = self._kind_by_output()
        return self._done(kind, why, preference=False)

    def preferences(self, kind: Kind, why: Because | None = None) -> Reading:
        self._need("chosen", names.CHOSEN, ("text", "turns", "other"))
        self._need("rejected", names.REJECTED, ("text", "turns", "other"))
        if "prompt" not in self.found and "input" in self.found:
            self.found["prompt"], self.why["prompt"] = self.found["input"][0], self.why["input"]
        if "prompt" not in self.found and not self._by_name("prompt", names.PROMPT, ("text", "turns")):
            self.why["prompt"] = Because(key="data.why_prefix")
        return self._done(kind, why or Because(key="data.why_kind_preference"), preference=True)

    def _done(self, kind: Kind, why: Because, preference: bool) -> Reading:
        return Reading(kind, Columns(**self.found), preference, why, dict(sorted(self.why.items())))

    def _kind_by_shape(self) -> tuple[Kind, Because]:
        """The kinds that a look at names and shapes settles; else "generation", still open."""
        if self._is_preference():
            return "generation", Because(key="data.why_kind_preference")
        if "messages" in self.found or self._is_free_of("input") and self._candidate(names.MESSAGES, ("turns",)):
            return "chat", Because(key="data.why_kind_chat")
        if "tokens" in self.found or self._candidate(names.TOKENS, ("words",)):
            return "token-classification", Because(key="data.why_kind_tokens")
        asked = [self._candidate(n, ("text", "words", "other")) for n in (names.QUESTION, names.ANSWERS)]
        if "context" in self.found or (all(asked) and self._candidate(names.CONTEXT, ("text",))):
            return "question-answering", Because(key="data.why_kind_question")
        spans = [self._candidate(n, ("text", "other")) for n in (names.HEAD, names.TAIL)]
        if {"head", "tail"} <= set(self.found) or (all(spans) and self._candidate(("relation", "label"), ("text",))):
            return "relation-extraction", Because(key="data.why_kind_relation")
        return "generation", Because(key="data.why_open")

    def _kind_by_output(self) -> tuple[Kind, Because]:
        output = self.found["output"]
        seen, name = self.seen[output], names.folded(output)
        if seen.label_like:
            facts: dict[str, Setting] = {"column": output, "distinct": seen.distinct, "rows": seen.rows}
            return "classification", Because(key="data.why_kind_labels", facts=facts)
        if name.rstrip("0123456789_") in names.SUMMARIES:
            return "summarization", Because(key="data.why_kind_name", facts={"column": output})
        if name in names.TRANSLATIONS or name in names.LANGUAGE_CODES:
            return "translation", Because(key="data.why_kind_name", facts={"column": output})
        return "generation", Because(key="data.why_kind_text", facts={"column": output})

    def _is_preference(self) -> bool:
        shapes: tuple[Shape, ...] = ("text", "turns", "other")
        pair = [
            field in self.found or self._candidate(n, shapes)
            for field, n in (("chosen", names.CHOSEN), ("rejected", names.REJECTED))
        ]
        return all(pair) and "output" not in self.found

    def _need_turns(self) -> None:
        if "messages" in self.found or self._by_name("messages", names.MESSAGES, ("turns",)):
            return
        if turns := [seen.name for seen in self.seen.values() if seen.shape == "turns"]:
            self._take("messages", turns[0], Because(key="data.why_turns"))
        else:
            self._text_to_text()

    def _embedded(self) -> None:
        for first, second in names.EMBEDDED:
            pair = self._candidate((first,), ("text",)), self._candidate((second,), ("text",))
            if all(pair) and self._is_free_of("input") and self._is_free_of("output"):
                self._take("input", (pair[0],), Because(key="data.why_name"))
                self._take("output", pair[1], Because(key="data.why_name"))
                return
        self._text_to_text()

    def _labelled(self) -> None:
        """Label and text; a column that looks like labels comes before one that is merely named so."""
        if self._is_free_of("output"):
            usual = [n for n in names.OUTPUT if (c := self._candidate((n,), ("text", "number"))) and self._labels(c)]
            like = [s for s in self.seen.values() if s.label_like and self._is_usable(s.name)]
            if not usual and len(like) == 1:
                facts: dict[str, Setting] = {"distinct": like[0].distinct, "rows": like[0].rows}
                self._take("output", like[0].name, Because(key="data.why_few", facts=facts))
            else:
                self._need("output", tuple(usual) or names.OUTPUT, ("text", "number"))
        self._input()

    def _labels(self, column: str) -> bool:
        return self.seen[column].label_like

    def _text_to_text(self) -> None:
        if self._is_free_of("output") and self._is_free_of("input") and self._languages():
            return
        if self._is_free_of("output") and not self._by_name("output", names.OUTPUT, ("text", "number")):
            self._input_by_name()
            left = [s for s in self.seen.values() if self._is_usable(s.name) and s.shape in ("text", "number")]
            few = [s for s in left if s.label_like]
            texts = [s for s in left if s.shape == "text"]
            if len(few) == 1 and len(left) > 1 or len(few) == 1 and "input" in self.found:
                facts: dict[str, Setting] = {"distinct": few[0].distinct, "rows": few[0].rows}
                self._take("output", few[0].name, Because(key="data.why_few", facts=facts))
            elif len(texts) == 1 and "input" in self.found:
                self._take("output", texts[0].name, Because(key="data.why_only"))
            else:
                raise self._unknown("output")
        self._input()

    def _languages(self) -> bool:
        """Columns named by two language codes: from the first to the second."""
        codes = [s.name for s in self.seen.values() if s.shape == "text" and s.name.casefold() in names.LANGUAGE_CODES]
        if len(codes) > 2:
            # Indonesian, or which row it is.
            codes = [name for name in codes if name.casefold() != "id"]
        if len(codes) != 2:
            return False
        self._take("input", (codes[0],), Because(key="data.why_language"))
        self._take("output", codes[1], Because(key="data.why_language"))
        return True

    def _input(self) -> None:
        if not self._is_free_of("input") or self._input_by_name():
            return
        left = [s for s in self.seen.values() if self._is_usable(s.name) and s.shape == "text"]
        if len(left) != 1:
            raise self._unknown("input")
        self._take("input", (left[0].name,), Because(key="data.why_only"))

    def _input_by_name(self) -> bool:
        if not self._is_free_of("input"):
            return True
        for pair in names.PAIRED_INPUT:
            both = [self._candidate((name,), ("text",)) for name in pair]
            if all(both):
                self._take("input", tuple(both), Because(key="data.why_name"))
                return True
        if column := self._candidate(names.INPUT, ("text",)):
            self._take("input", (column,), Because(key="data.why_name"))
            return True
        return False

    def _need(self, field: str, usual: Sequence[str], shapes: Sequence[Shape]) -> None:
        if not self._is_free_of(field) or self._by_name(field, usual, shapes):
            return
        left = [s.name for s in self.seen.values() if s.shape == shapes[0] and self._is_usable(s.name)]
        if len(left) != 1:
            raise self._unknown(field)
        self._take(field, (left[0],) if field == "input" else left[0], Because(key="data.why_only"))

    def _by_name(self, field: str, usual: Sequence[str], shapes: Sequence[Shape]) -> bool:
        column = self._candidate(usual, shapes)
        if column is not None:
            self._take(field, (column,) if field == "input" else column, Because(key="data.why_name"))
        return column is not None

    def _candidate(self, usual: Sequence[str], shapes: Sequence[Shape]) -> str | None:
        """The first column, by the order of ``usual``, that has such a name and shape and is not taken."""
        by_name = {names.folded(s.name): s.name for s in self.seen.values() if s.shape in shapes}
        found = (by_name[name] for name in usual if name in by_name and self._is_untaken(by_name[name]))
        return next(found, None)

    def _take(self, field: str, value: Any, why: Because) -> None:
        self.found[field], self.why[field] = value, why

    def _is_free_of(self, field: str) -> bool:
        return field not in self.found

    def _is_untaken(self, name: str) -> bool:
        return all(
            name != value and name not in (value if isinstance(value, tuple) else ()) for value in self.found.values()
        )

    def _is_usable(self, name: str) -> bool:
        return self._is_untaken(name) and not names.is_identity(name)

    def _unknown(self, field: str) -> BadInput:
        columns = ", ".join(self.table.columns)
        option = f"--{field}" if field in ("input", "output") else f"columns.{field}"
        return BadInput("data.cannot_guess", place=self.table.source, field=field, columns=columns, option=option)

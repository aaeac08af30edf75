"""Guessing columns and kind: from names, from cells, and refusing to guess."""

from __future__ import annotations

from typing import Any

import pytest

from escalade.data import Reading, guess
from escalade.data.columns import guess_preferences
from escalade.data.formats import rows_table
from escalade.errors import BadInput
from escalade.project import Columns
from escalade.values import Kind

TURNS = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]
HH = "\n\nHuman: hi\n\nAssistant: "


def reading(cells: list[dict[str, Any]], given: Columns | None = None, kind: Kind | None = None) -> Reading:
    return guess(rows_table(cells, "a.jsonl"), given or Columns(), kind)


def many(n: int = 40, **columns: Any) -> list[dict[str, Any]]:
    """Rows whose cells are made from templates: {i} counts, lists and functions of i are taken as they come."""
    return [
        {k: v(i) if callable(v) else v.format(i=i) if isinstance(v, str) else v for k, v in columns.items()}
        for i in range(n)
    ]


@pytest.mark.parametrize(
    ("cells", "kind", "columns"),
    [
        (many(text="row {i}", label=lambda i: "ab"[i % 2]), "classification", {"input": ("text",), "output": "label"}),
        (many(review="row {i}", stars=lambda i: i % 5), "classification", {"input": ("review",), "output": "stars"}),
        (many(zzz="row number {i}", yyy=lambda i: i % 2 == 0), "classification", {"input": ("zzz",), "output": "yyy"}),
        (
            many(text="row {i}", label=lambda i: i % 2, label_text=lambda i: "ab"[i % 2], idx=lambda i: i),
            "classification",
            {"input": ("text",), "output": "label_text"},
        ),
        (
            many(premise="row {i}", hypothesis="it {i}", label=lambda i: i % 3),
            "classification",
            {"input": ("premise", "hypothesis"), "output": "label"},
        ),
        (many(tokens=["a", "b"], ner_tags=[0, 1]), "token-classification", {"tokens": "tokens", "output": "ner_tags"}),
        (many(tokens=["a"], id="x{i}", tags=["O"]), "token-classification", {"tokens": "tokens", "output": "tags"}),
        (many(messages=TURNS), "chat", {"messages": "messages"}),
        (many(conversations=[{"from": "human", "value": "x"}]), "chat", {"messages": "conversations"}),
        (
            many(question="q {i}", context="c {i}", answers=["a"]),
            "question-answering",
            {"input": ("question",), "context": "context", "output": "answers"},
        ),
        (
            many(text="a {i} b", head="a", tail="b", relation=lambda i: "xy"[i % 2]),
            "relation-extraction",
            {"input": ("text",), "head": "head", "tail": "tail", "output": "relation"},
        ),
        (
            many(fname="f{i}", dialogue="long {i}", summary="short {i}", topic="t {i}"),
            "summarization",
            {"input": ("dialogue",), "output": "summary"},
        ),
        (many(abstract="long {i}", title="short {i}"), "summarization", {"input": ("abstract",), "output": "title"}),
        (many(en="one {i}", de="eins {i}", id="{i}"), "translation", {"input": ("en",), "output": "de"}),
        (many(src="one {i}", tgt="eins {i}"), "translation", {"input": ("src",), "output": "tgt"}),
        (
            many(instruction="do {i}", input="", output="done {i}"),
            "generation",
            {"input": ("instruction",), "output": "output"},
        ),
        (
            many(instruction="do {i}", input="with {i}", output="done {i}"),
            "generation",
            {"input": ("instruction", "input"), "output": "output"},
        ),
        (many(prompt="p {i}", completion="c {i}"), "generation", {"input": ("prompt",), "output": "completion"}),
        (many(docstring="d {i}", area=lambda i: "ab"[i % 2], file=lambda i: f"f{i % 3}"), "classification",
         {"input": ("docstring",), "output": "area"}),
    ],
)  # fmt: skip
def test_kinds_and_columns(cells: list[dict[str, Any]], kind: Kind, columns: dict[str, Any]) -> None:
    found = reading(cells)
    assert found.kind == kind and not found.preference
    assert found.columns.model_dump(exclude_defaults=True) == columns
    assert set(found.why) == set(columns)
    assert all(why.text for why in [*found.why.values(), found.why_kind])
    assert reading(cells, found.columns, found.kind).columns == found.columns, "what was shown can be written down"


@pytest.mark.parametrize(
    ("cells", "columns"),
    [
        (
            many(prompt="p {i}", chosen="c", rejected="r"),
            {"prompt": "prompt", "chosen": "chosen", "rejected": "rejected"},
        ),
        (many(chosen=HH + "a {i}", rejected=HH + "b"), {"chosen": "chosen", "rejected": "rejected"}),
        (many(chosen=TURNS, rejected=TURNS), {"chosen": "chosen", "rejected": "rejected"}),
    ],
)
def test_preferences(cells: list[dict[str, Any]], columns: dict[str, Any]) -> None:
    found = reading(cells)
    assert found.kind == "generation" and found.preference
    assert found.columns.model_dump(exclude_defaults=True) == columns
    assert guess_preferences(rows_table(cells, "p.jsonl"), Columns()).columns == found.columns
    again = reading(cells, found.columns, found.kind)
    assert again.preference and again.columns == found.columns


def test_what_is_given_is_taken() -> None:
    cells = many(text="row {i}", label=lambda i: i % 2, note="note {i}")
    found = reading(cells, Columns(input=("note",), output="text"))
    assert found.kind == "generation" and found.columns == Columns(input=("note",), output="text")
    assert found.why["input"].text == "the project says so"
    assert reading(cells, kind="classification").columns.output == "label"
    assert reading(cells, kind="classification").why_kind.key == "data.why_given"


def test_a_label_column_is_preferred_to_one_that_is_merely_named_so() -> None:
    cells = many(text="row {i}", title="title {i}", mood=lambda i: "ab"[i % 2])
    found = reading(cells, kind="classification")
    assert found.columns.output == "mood" and found.why["output"].text == "40 rows share 2 short values"


def test_embedding_and_chat_from_two_columns() -> None:
    assert reading(many(query="q {i}", positive="p {i}"), kind="embedding").columns.output == "positive"
    assert reading(many(prompt="q {i}", response="p {i}"), kind="chat").columns == Columns(
        input=("prompt",), output="response"
    )


@pytest.mark.parametrize(
    ("cells", "kind", "option"),
    [
        (many(text="row {i}"), None, "--output"),
        (many(foo="row {i}", bar="bar {i}"), None, "--output"),
        (many(foo="row {i}", bar="bar {i}", label=lambda i: i % 2), None, "--input"),
        (many(text="row {i}", label=lambda i: i % 2), "relation-extraction", "columns.head"),
        (many(a=["x"], b=["y"]), "token-classification", "columns.tokens"),
    ],
)
def test_what_cannot_be_guessed_says_how_to_name_it(
    cells: list[dict[str, Any]], kind: Kind | None, option: str
) -> None:
    with pytest.raises(BadInput) as caught:
        reading(cells, kind=kind)
    assert caught.value.key == "data.cannot_guess" and f"`{option} COLUMN`" in caught.value.cure
    assert caught.value.place == "a.jsonl"


def test_a_named_column_that_is_not_there() -> None:
    cells = many(text="row {i}", label=lambda i: i % 2)
    with pytest.raises(BadInput) as caught:
        reading(cells, Columns(output="lable"))
    assert (
        str(caught.value) == "a.jsonl: there is no column 'lable'; the columns are text, label. did you mean 'label'?"
    )
    with pytest.raises(BadInput) as caught:
        reading(cells, Columns(group="speaker"))
    assert caught.value.key == "data.missing_column"
    with pytest.raises(BadInput):
        guess_preferences(rows_table(cells, "p.jsonl"), Columns(chosen="better"))
    with pytest.raises(BadInput):
        guess_preferences(rows_table(cells, "p.jsonl"), Columns())

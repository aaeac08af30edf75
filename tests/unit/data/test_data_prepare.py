"""Preparing: from a task to records, every row kept or listed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from escalade import messages
from escalade.data import Prepared, load, prepare, read_texts, save, sources_of
from escalade.errors import BadInput, Damaged
from escalade.project import Task
from escalade.records import (
    RECORD_OF,
    Chat,
    Labelled,
    Message,
    Pair,
    Preference,
    Question,
    Related,
    Tagged,
    output_text,
)

WEATHER = (
    "Snow fell on the wall and they were cold",
    "The sun is out and all of them are glad",
    "It rained for an hour",
)


def put(folder: Path, name: str, rows: list[dict[str, Any]]) -> str:
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return name


def labelled(n: int, labels: str = "ab", start: int = 0) -> list[dict[str, Any]]:
    return [
        {"text": f"{WEATHER[i % 3]}, day {i}", "label": labels[i % len(labels)], "who": f"w{i % 20}"}
        for i in range(start, start + n)
    ]


def run(folder: Path, seed: int = 0, language: str | None = None, **task: Any) -> Prepared:
    return prepare(Task.model_validate(task), base=folder, seed=seed, language=language)


def refused(folder: Path, **task: Any) -> BadInput:
    with pytest.raises(BadInput) as caught:
        run(folder, **task)
    assert caught.value.cause and caught.value.cure
    messages.use("zh")
    assert caught.value.cause and caught.value.cure
    messages.use("en")
    return caught.value


def one(folder: Path, row: dict[str, Any], n: int = 40, **task: Any) -> Prepared:
    """A source of n good rows made from the first, by counting, and nothing else."""
    rows = [{k: f"{v} {i}" if k in ("text", "input", "question") else v for k, v in row.items()} for i in range(n)]
    return run(folder, data=put(folder, "a.jsonl", rows), **task)


def test_classification_from_one_file(tmp_path: Path) -> None:
    prepared = run(tmp_path, data=put(tmp_path, "a.jsonl", labelled(100)))
    assert prepared.facts.kind == "classification" and prepared.facts.labels == ("a", "b")
    assert (prepared.facts.language, prepared.facts.unit) == ("en", "row")
    assert {name: len(rows) for name, rows in prepared.splits.items()} == {"train": 55, "validation": 15, "test": 30}
    for name, records in prepared.splits.items():
        for record in records:
            assert isinstance(record, Labelled) and record.group is None
            split, _, number = record.id.partition(":")
            assert split == name and record.text.endswith(f"day {int(number) - 1}")
    assert prepared.preferences == prepared.preference_validation == prepared.refused == []


def test_the_account_says_everything_as_json(tmp_path: Path) -> None:
    rows = labelled(99)
    rows[4]["text"] = " "
    test = [{**rows[0]}, {"text": rows[1]["text"].upper(), "label": "a", "who": "w1"}, *labelled(30, start=200)]
    prepared = run(tmp_path, data={"train": put(tmp_path, "a.jsonl", rows), "test": put(tmp_path, "t.jsonl", test)})
    account = json.loads(json.dumps(prepared.account))
    assert account == prepared.account
    assert account["sources"]["train"] == {"file": "a.jsonl", "read": 99, "refused": 1, "kept": 98}
    assert account["splits"]["test"] == {"rows": 32, "groups": 32}
    assert account["split_rule"] == {
        "made": {"validation": 14}, "by": "label", "test": "auto", "validation": "auto", "seed": 0,
    }  # fmt: skip
    assert account["kind"]["kind"] == "classification" and account["columns"]["output"]["columns"] == "label"
    assert sum(account["labels"]["train"].values()) == len(prepared.splits["train"])
    between = {(pair["first"], pair["second"]): pair for pair in account["duplicates"]["between"]}
    leaked = account["leakage"]["test_rows_in_train"]
    assert leaked in ([], ["test:1"]) and between["train", "test"]["same"] == len(leaked)
    everywhere = [between["train", "test"], between["validation", "test"]]
    assert sum(pair["same"] for pair in everywhere) == 1 and sum(pair["same_input"] for pair in everywhere) == 1
    (row,) = prepared.refused
    assert (row.file, row.line, row.split, row.reason) == ("a.jsonl", 5, "train", "nothing stands in text")
    assert row.to_json()["key"] == "data.refused_empty"


def test_mending_a_text_moves_no_row(tmp_path: Path) -> None:
    rows = labelled(200)
    before = run(tmp_path, data=put(tmp_path, "a.jsonl", rows))
    for row in rows[::3]:
        row["text"] += " (mended)"
    after = run(tmp_path, data=put(tmp_path, "a.jsonl", rows))
    for name in before.splits:
        assert [r.id for r in before.splits[name]] == [r.id for r in after.splits[name]]
    assert before.splits != after.splits
    other = run(tmp_path, seed=1, data="a.jsonl")
    assert {r.id for r in other.splits["test"]} != {r.id for r in after.splits["test"]}


def test_groups(tmp_path: Path) -> None:
    put(tmp_path, "a.jsonl", labelled(200))
    for task in ({"split": {"by": "who"}}, {"columns": {"group": "who"}}):
        prepared = run(tmp_path, data="a.jsonl", **task)
        assert prepared.facts.unit == "group" and prepared.account["split_rule"]["by"] == "group"
        homes = [{record.group for record in records} for records in prepared.splits.values()]
        assert not homes[0] & homes[1] and not homes[1] & homes[2] and not homes[0] & homes[2]
        assert prepared.account["leakage"]["groups_in_two_splits"] == []
    assert refused(tmp_path, data="a.jsonl", split={"by": "who"}, columns={"group": "text"}).key == "data.two_groups"
    put(tmp_path, "b.jsonl", labelled(199))
    both = run(tmp_path, data={"train": "a.jsonl", "test": "b.jsonl"}, split={"by": "who"})
    assert len(both.account["leakage"]["groups_in_two_splits"]) == 20


def test_two_splits_from_one_file_are_refused(tmp_path: Path) -> None:
    put(tmp_path, "a.jsonl", labelled(60))
    put(tmp_path, "copy.jsonl", labelled(60))
    error = refused(tmp_path, data={"train": "a.jsonl", "test": "copy.jsonl"})
    assert (error.key, error.place) == ("data.same_source", "copy.jsonl")
    assert refused(tmp_path, data={"train": "a.jsonl", "validation": "a.jsonl"}).key == "data.same_source"


def test_labels_of_any_type_become_text(tmp_path: Path) -> None:
    rows = [{"text": f"day {i}", "label": [1, True, 2.0, " two "][i % 4]} for i in range(40)]
    assert run(tmp_path, data=put(tmp_path, "a.jsonl", rows), kind="classification").facts.labels == (
        "1",
        "2",
        "true",
        "two",
    )


def test_every_kind(tmp_path: Path) -> None:
    cases: list[tuple[dict[str, Any], dict[str, Any], Any]] = [
        (
            {"text": "Ann lives in Rome", "head": {"text": "Ann"}, "tail": "Rome", "relation": "lives"},
            {"kind": "relation-extraction"},
            Related,
        ),
        ({"tokens": ["Ann", "sits"], "tags": ["B-per", "O"]}, {}, Tagged),
        ({"question": "who?", "context": "Ann", "answers": {"text": ["Ann", "Ann", " "]}}, {}, Question),
        ({"question": "who?", "context": "Ann", "answers": ["Ann"]}, {}, Question),
        ({"question": "who?", "context": "Ann", "answer": "Ann"}, {}, Question),
        ({"input": "do", "output": " done "}, {"kind": "generation"}, Pair),
        ({"input": "do", "output": "done"}, {"kind": "embedding"}, Pair),
        ({"input": "do", "output": "done"}, {"kind": "chat"}, Chat),
        ({"messages": [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "ho"}]}, {}, Chat),
    ]
    for row, task, cls in cases:
        if cls is Related:
            made = [{**row, "text": f"{row['text']} {i}", "relation": ["lives", "born"][i % 2]} for i in range(40)]
            prepared = run(tmp_path, data=put(tmp_path, "a.jsonl", made), **task)
        else:
            prepared = one(tmp_path, row, **task)
        record = prepared.splits["train"][0]
        assert type(record) is cls is RECORD_OF[prepared.facts.kind]
        assert output_text(record) == output_text(record).strip() != ""
    assert isinstance(record, Chat) and record.messages == (Message("user", "hi"), Message("assistant", "ho"))


GOOD: dict[str, dict[str, Any]] = {
    "classification": {"text": "fine", "label": "a"},
    "generation": {"input": "do", "output": "done"},
    "token-classification": {"tokens": ["a", "b"], "tags": ["O", "B-x"]},
    "chat": {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]},
    "question-answering": {"question": "who?", "context": "Ann", "answers": ["Ann"]},
    "relation-extraction": {"text": "Ann in Rome", "head": "Ann", "tail": "Rome", "relation": "in"},
    "preference": {"prompt": "hi", "chosen": "ho", "rejected": "no"},
}
TURN = {"role": "user", "content": "hi"}


@pytest.mark.parametrize(
    ("kind", "change", "key"),
    [
        ("classification", {"text": " \n"}, "refused_empty"),
        ("classification", {"text": None}, "refused_empty"),
        ("classification", {"label": " "}, "refused_empty"),
        ("classification", {"label": float("nan")}, "refused_empty"),
        ("classification", {"text": ["a"]}, "refused_not_text"),
        ("classification", {"text": "half \ud83d"}, "refused_surrogate"),
        ("generation", {"output": ""}, "refused_empty"),
        ("token-classification", {"tags": ["O"]}, "refused_lengths"),
        ("token-classification", {"tokens": [], "tags": []}, "refused_empty"),
        ("token-classification", {"tokens": ["a", " "]}, "refused_empty_word"),
        ("token-classification", {"tokens": {"a": 1}}, "refused_not_text"),
        ("chat", {"messages": [TURN]}, "refused_last_turn"),
        ("chat", {"messages": []}, "refused_empty"),
        ("chat", {"messages": "hi"}, "refused_not_turns"),
        ("chat", {"messages": [{"role": "tool", "content": "x"}]}, "refused_role"),
        ("chat", {"messages": [{"role": "assistant", "content": "x"}]}, "refused_no_user"),
        ("chat", {"messages": [TURN, {"role": "assistant", "content": " "}]}, "refused_empty"),
        ("question-answering", {"answers": []}, "refused_empty"),
        ("question-answering", {"context": ""}, "refused_empty"),
        ("relation-extraction", {"tail": "Paris"}, "refused_span"),
        ("preference", {"chosen": "no"}, "refused_equal"),
        ("preference", {"rejected": ""}, "refused_empty"),
        ("preference", {"prompt": ""}, "refused_empty"),
    ],
)
def test_rows_that_cannot_be_used_are_listed(tmp_path: Path, kind: str, change: dict[str, Any], key: str) -> None:
    rows = [dict(GOOD[kind]) for _ in range(40)]
    for i, row in enumerate(rows):
        row |= (
            {"label": "ab"[i % 2]} if "label" in row else {"relation": ["in", "at"][i % 2]} if "relation" in row else {}
        )
    rows[20] |= change
    columns = {"classification": {"input": "text", "output": "label"}, "chat": {"messages": "messages"},
               "token-classification": {"tokens": "tokens", "output": "tags"}}.get(kind, {})  # fmt: skip
    task = {} if kind == "preference" else {"kind": kind}
    prepared = run(tmp_path, data=put(tmp_path, "a.jsonl", rows), columns=columns, **task)
    (row,) = prepared.refused
    assert (row.key, row.line, row.split) == (f"data.{key}", 21, "train")
    for language in ("en", "zh"):
        messages.use(language)
        assert row.reason
    assert sum(map(len, prepared.splits.values())) == 39


def test_too_many_refused_rows(tmp_path: Path) -> None:
    rows = labelled(40)
    rows[2]["text"] = rows[3]["label"] = ""
    assert len(run(tmp_path, data=put(tmp_path, "a.jsonl", rows)).refused) == 2
    rows[5]["text"] = ""
    error = refused(tmp_path, data=put(tmp_path, "a.jsonl", rows))
    assert error.key == "data.too_many_refused" and error.place == "a.jsonl"
    assert error.facts["refused"] == 3 and error.facts["line"] == 3
    assert "nothing stands in text" in error.cause


def test_labels_that_only_test_knows(tmp_path: Path) -> None:
    train = put(tmp_path, "a.jsonl", labelled(100))
    test = labelled(200)
    test[0]["label"] = "c"
    data = {"train": train, "test": put(tmp_path, "t.jsonl", test)}
    prepared = run(tmp_path, data=data)
    assert prepared.account["unseen_labels"] == ["c"] and prepared.facts.labels == ("a", "b")
    assert len(prepared.splits["test"]) == 200
    test[1]["label"] = test[2]["label"] = "d"
    put(tmp_path, "t.jsonl", test)
    error = refused(tmp_path, data=data)
    assert error.key == "data.unseen_labels" and error.place == "t.jsonl" and "c, d" in error.cause


def test_labels_spelt_in_two_ways_are_listed(tmp_path: Path) -> None:
    rows = [{"text": f"day {i}", "label": ["Good", "good", "bad"][i % 3]} for i in range(60)]
    assert run(tmp_path, data=put(tmp_path, "a.jsonl", rows)).account["similar_labels"] == [["Good", "good"]]


def test_other_refusals(tmp_path: Path) -> None:
    put(tmp_path, "a.jsonl", labelled(100))
    assert refused(tmp_path, data=put(tmp_path, "b.jsonl", labelled(9))).key == "data.too_few_rows"
    same = [{"text": f"day {i}", "label": "a"} for i in range(40)]
    assert refused(tmp_path, data=put(tmp_path, "c.jsonl", same)).key == "data.one_label"
    other = put(tmp_path, "d.jsonl", [{"sentence": "x", "label": "a"}])
    error = refused(tmp_path, data={"train": "a.jsonl", "test": other})
    assert error.key.startswith("data.missing_column") and error.place == "d.jsonl"
    assert refused(tmp_path, data={"train": "a.jsonl", "test": "nowhere.jsonl"}).key.startswith("data.missing_file")


def test_given_splits_are_kept_as_they_are(tmp_path: Path) -> None:
    files = {
        n: put(tmp_path, f"{n}.jsonl", labelled(6, start=k))
        for n, k in (("train", 0), ("validation", 50), ("test", 90))
    }
    prepared = run(tmp_path, data=files)
    assert [len(prepared.splits[name]) for name in ("train", "validation", "test")] == [6, 6, 6]
    assert [r.id for r in prepared.splits["test"]] == [f"test:{i}" for i in range(1, 7)]
    assert prepared.account["split_rule"]["made"] == {}


def preferences(n: int) -> list[dict[str, Any]]:
    return [{"prompt": f"{WEATHER[i % 3]}? {i // 2}", "chosen": f"yes {i}", "rejected": f"no {i}"} for i in range(n)]


def test_preferences_as_the_main_data(tmp_path: Path) -> None:
    prepared = run(tmp_path, data=put(tmp_path, "p.jsonl", preferences(100)))
    assert prepared.facts.kind == "generation" and prepared.account["kind"]["preference"]
    assert len(prepared.preferences) == len(prepared.splits["train"]) == 55
    assert len(prepared.preference_validation) == len(prepared.splits["validation"]) == 15
    for preference, pair in zip(prepared.preferences, prepared.splits["train"], strict=True):
        assert isinstance(pair, Pair) and preference.id == pair.id
        assert (preference.prompt, preference.chosen) == (pair.input, pair.output)
    assert prepared.preference_validation[0].id.startswith("validation:")


def test_preferences_beside_the_main_data(tmp_path: Path) -> None:
    main = [{"prompt": f"{WEATHER[i % 3]}? {i}", "response": f"it is so {i}"} for i in range(60)]
    put(tmp_path, "a.jsonl", main)
    better = [{**row, "better": row["chosen"]} for row in preferences(100)]
    put(tmp_path, "p.jsonl", [{k: v for k, v in row.items() if k != "chosen"} for row in better])
    prepared = run(tmp_path, data="a.jsonl", preferences="p.jsonl", columns={"chosen": "better"})
    assert isinstance(prepared.splits["train"][0], Pair)
    assert len(prepared.preferences) == 85 and len(prepared.preference_validation) == 15
    asked = {p.prompt for p in prepared.preferences} & {p.prompt for p in prepared.preference_validation}
    assert len(asked) <= 1, "the answers to a prompt stay together"
    assert {p.id.partition(":")[0] for p in prepared.preferences} == {"preferences"}
    tested = {r.input for r in prepared.splits["test"] if isinstance(r, Pair)}
    leaking = [p.id for p in prepared.preferences if p.prompt in tested]
    assert prepared.account["leakage"]["preferences_in_test"] == leaking != []
    assert set(sources_of(Task.model_validate({"data": "a.jsonl", "preferences": "p.jsonl"}), tmp_path)) == {
        "train", "preferences",
    }  # fmt: skip


def test_dialogues_share_their_beginning_as_prompt(tmp_path: Path) -> None:
    talk = "\n\nHuman: hi {i}\n\nAssistant: ho\n\nHuman: why?\n\nAssistant:"
    rows = [
        {"chosen": f"{talk.format(i=i)} Since it is so.", "rejected": f"{talk.format(i=i)} Since you ask."}
        for i in range(20)
    ]
    first = run(tmp_path, data=put(tmp_path, "p.jsonl", rows)).preferences[0]
    assert first.prompt == talk.format(i=int(first.id.partition(":")[2]) - 1)
    assert (first.chosen, first.rejected) == ("Since it is so.", "Since you ask.")
    turns = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "ho"},
        {"role": "user", "content": "why?"},
    ]
    rows = [
        {
            "chosen": [*turns, {"role": "assistant", "content": f"so {i}"}],
            "rejected": [*turns, {"role": "assistant", "content": "no"}],
        }
        for i in range(20)
    ]
    first = run(tmp_path, data=put(tmp_path, "p.jsonl", rows)).preferences[0]
    assert first.prompt == "\n\nHuman: hi\n\nAssistant: ho\n\nHuman: why?\n\nAssistant:" and first.rejected == "no"


def test_language_given_or_guessed_from_the_outputs(tmp_path: Path) -> None:
    put(tmp_path, "a.jsonl", labelled(40))
    assert run(tmp_path, language="de", data="a.jsonl").facts.language == "de"
    code = [{"code": f"x{i} = f(y{i})", "summary": f"{WEATHER[0]} and it is {i} in the book"} for i in range(40)]
    assert run(tmp_path, data=put(tmp_path, "c.jsonl", code)).facts.language == "en"


def test_progress_is_told(tmp_path: Path) -> None:
    told: list[tuple[float, float | None, str]] = []

    class Listener:
        def update(self, done: float, total: float | None, note: str = "") -> None:
            told.append((done, total, note))

    put(tmp_path, "a.jsonl", labelled(40))
    prepare(Task.model_validate({"data": "a.jsonl"}), base=tmp_path, seed=0, language=None, progress=Listener())
    done, total = [entry[0] for entry in told], told[0][1]
    assert done == sorted(done) and total is not None and done[-1] <= total and all(entry[2] for entry in told)


def test_sources_are_known_by_their_bytes(tmp_path: Path) -> None:
    put(tmp_path, "a.jsonl", labelled(10))
    task = Task.model_validate({"data": "a.jsonl"})
    before = sources_of(task, tmp_path)
    assert set(before) == {"train"}
    put(tmp_path, "a.jsonl", labelled(11))
    assert sources_of(task, tmp_path) != before


def test_running_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\n\ntwo\n", encoding="utf-8")
    assert [(t.id, t.text) for t in read_texts("a.txt", tmp_path)] == [("text:1", "one"), ("text:2", "two")]
    put(tmp_path, "b.jsonl", [{"n": 1, "body": "x"}, {"n": 2, "body": " "}])
    assert [t.text for t in read_texts("b.jsonl", tmp_path)] == ["x"]
    with pytest.raises(BadInput):
        read_texts(put(tmp_path, "c.jsonl", [{"a": "x", "b": "y"}]), tmp_path)


def test_records_on_disk(tmp_path: Path) -> None:
    for records in (
        [Labelled("train:1", "snow 雪\u2028 \n", "a"), Labelled("train:2", "x", "b", "g")],
        [Tagged("train:1", ("a",), ("O",))],
        [Chat("train:1", (Message("user", "hi"), Message("assistant", "ho")))],
        [Preference("train:1", "p", "c", "r")],
        [],
    ):
        save(records, tmp_path / "r.jsonl")
        first = (tmp_path / "r.jsonl").read_bytes()
        assert load(tmp_path / "r.jsonl", type(records[0]) if records else Labelled) == records
        save(records, tmp_path / "r.jsonl")
        assert (tmp_path / "r.jsonl").read_bytes() == first
    (tmp_path / "r.jsonl").write_text('{"id": "x", "text": "a", "label": "b"}\n{"id": "x"}\n', encoding="utf-8")
    with pytest.raises(Damaged) as caught:
        load(tmp_path / "r.jsonl", Labelled)
    assert caught.value.place == "r.jsonl, line 2"


@pytest.mark.slow
def test_nothing_heavy_is_imported() -> None:
    heavy = "torch", "transformers", "datasets", "pandas", "pyarrow", "sklearn", "scipy"
    code = f"import sys, escalade.data; print([m for m in {heavy} if m in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"

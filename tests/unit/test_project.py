"""The project file: what is accepted, and what is refused with place, cause and cure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from escalade import project as projects
from escalade.cli import main
from escalade.document import RunDocument
from escalade.errors import BadInput
from escalade.project import Project


def parse(**said: Any) -> Project:
    return projects.parse({"tasks": [{"data": "rows.csv"}]} | said, "escalade.yaml")


def refusal(**said: Any) -> BadInput:
    with pytest.raises(BadInput) as caught:
        parse(**said)
    assert caught.value.cause and caught.value.cure and caught.value.exit_code == 2
    return caught.value


def task(**said: Any) -> list[dict[str, Any]]:
    return [{"data": "rows.csv"} | said]


def test_the_smallest_project_is_one_file_of_rows() -> None:
    project = parse()
    assert project.tasks[0].data.train == "rows.csv" and project.tasks[0].data.test is None
    assert project.tasks[0].target is None and project.budget.time is None


def test_the_whole_of_a_project_can_be_said() -> None:
    project = parse(
        name="dialogues",
        seed=3,
        language="en",
        use="commercial",
        tasks=[
            {
                "name": "summarise",
                "kind": "summarization",
                "data": {"train": "train.jsonl", "validation": "dev.jsonl", "test": "test.jsonl"},
                "columns": {"input": ["dialogue", "about"], "output": "summary", "group": "fname"},
                "split": {"by": "fname", "test": 0.2, "validation": "auto"},
                "preferences": "prefs.jsonl",
                "target": {"metric": "rougeL", "at_least": 0.3, "confidence": 0.9, "origin": "the paper"},
                "instruction": "Summarise the dialogue.",
                "input_limit": 512,
            }
        ],
        keep=[{"data": "general.jsonl", "worsen_at_most": 0.05}],
        candidates=["scratch", {"model": "m", "api": "https://h/v1", "key_env": "KEY", "price_in": 1e-6}],
        rungs=["baseline", "full"],
        budget={"time": "1h", "money": "5 USD"},
        limits={"memory": "4GB", "latency_p95": "300ms"},
        traffic={"requests_per_month": 1000},
    )
    assert project.tasks[0].columns.input == ("dialogue", "about")
    assert project.tasks[0].target is not None and project.tasks[0].target.rising
    assert [c.model for c in project.candidates] == ["scratch", "m"]
    assert (project.budget.time, project.limits.memory, project.limits.latency_p95) == (3600, 4e9, 0.3)
    assert project.traffic is not None and project.traffic.months == 12
    assert project.keep[0].metric == "bits_per_byte"


# -- unknown keys ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "place", "close"),
    [
        ({"taskss": []}, "taskss", "tasks"),
        ({"sead": 1}, "sead", "seed"),
        ({"candidate": []}, "candidate", "candidates"),
        ({"budget": {"tme": "3m"}}, "budget.tme", "time"),
        ({"limits": {"latency": 1}}, "limits.latency", "latency_p95"),
        ({"traffic": {"requests_per_month": 1, "month": 3}}, "traffic.month", "months"),
        ({"candidates": ["scratch", {"model": "m", "apy": "x"}]}, "candidates[1].apy", "api"),
        ({"candidates": [{"modle": "m"}]}, "candidates[0].modle", "model"),
        ({"keep": [{"data": "x", "worsen_at_least": 0.1}]}, "keep[0].worsen_at_least", "worsen_at_most"),
        ({"tasks": task(targt={})}, "tasks[0].targt", "target"),
        ({"tasks": task(columns={"inputs": "a"})}, "tasks[0].columns.inputs", "input"),
        ({"tasks": task(split={"tests": 0.2})}, "tasks[0].split.tests", "test"),
        ({"tasks": task(data={"trian": "x"})}, "tasks[0].data.trian", "train"),
        ({"tasks": [*task(name="a"), *task(name="b", kinds="x")]}, "tasks[1].kinds", "kind"),
        ({"tasks": task(target={"metrc": "accuracy", "at_least": 0.5})}, "tasks[0].target.metrc", "metric"),
        (
            {"tasks": task(target={"metric": "accuracy", "at_lest": 0.5})},
            "tasks[0].target.at_lest",
            "at_least",
        ),
    ],
)
def test_a_misspelt_key_is_answered_with_the_right_one_at_every_depth(
    said: dict[str, Any], place: str, close: str
) -> None:
    error = refusal(**said)
    assert error.place == f"escalade.yaml, {place}"
    assert error.cause == f"unknown key '{place.rpartition('.')[2]}'" and error.cure == f"did you mean '{close}'?"


def test_a_key_that_resembles_none_is_answered_with_the_known_ones() -> None:
    error = refusal(budget={"zzz": 1})
    assert error.place == "escalade.yaml, budget.zzz" and error.cure == "the keys known here are: money, time"


@given(key=st.text(min_size=1, max_size=12))
@settings(max_examples=40, deadline=None)
def test_no_unknown_key_ever_passes(key: str) -> None:
    if key in projects.Budget.model_fields:
        return
    with pytest.raises(BadInput) as caught:
        projects.parse({"tasks": [{"data": "x"}], "budget": {key: 1}}, "file")
    assert str(caught.value)


# -- times, sizes, money --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        (90, 90),
        (1.5, 1.5),
        ("90s", 90),
        ("5m", 300),
        ("1h", 3600),
        ("1h30m", 5400),
        ("1h 30m", 5400),
        ("0.5h", 1800),
        (".5h", 1800),
        ("2d", 172_800),
        ("300ms", 0.3),
        ("1s500ms", 1.5),
        (" 5 m ", 300),
    ],
)
def test_times(said: object, seconds: float) -> None:
    assert parse(budget={"time": said}).budget.time == pytest.approx(seconds)


@pytest.mark.parametrize("said", ["abc", "5", "5 minutes", "-5m", "1.2.3m", "..s", "m", "", "5m!", True, [5]])
def test_what_is_no_time_is_refused(said: object) -> None:
    error = refusal(budget={"time": said})
    assert error.key == "project.not_a_time" and repr(said) in error.cause and "90s" in error.cure


@pytest.mark.parametrize("said", [0, "0s", -5, "0m"])
def test_a_budget_of_nothing_is_refused(said: object) -> None:
    error = refusal(budget={"time": said})
    assert (error.place, error.key) == ("escalade.yaml, budget.time", "project.more_than")
    assert repr(said) in error.cause and "0" in error.cure


@pytest.mark.parametrize(
    ("said", "size"),
    [
        (1000, 1000),
        ("500B", 500),
        ("1KB", 1e3),
        ("4GB", 4e9),
        ("4 gb", 4e9),
        ("1.5GiB", 1.5 * 2**30),
        ("2mib", 2**21),
        ("1TB", 1e12),
        ("1TiB", 2**40),
    ],
)
def test_sizes(said: object, size: float) -> None:
    assert parse(limits={"memory": said}).limits.memory == pytest.approx(size)


@pytest.mark.parametrize("said", ["4 gigs", "4iB", "4.4.4GB", "GB", "-1GB", "4", False])
def test_what_is_no_size_is_refused(said: object) -> None:
    assert refusal(limits={"memory": said}).key == "project.not_a_size"


@pytest.mark.parametrize(("said", "amount"), [(5, 5), ("5 USD", 5), ("5usd", 5), ("$2.50", 2.5), (0, 0), ("7", 7)])
def test_money(said: object, amount: float) -> None:
    assert parse(budget={"money": said}).budget.money == amount


@pytest.mark.parametrize("said", ["5 EUR", "five", "5 USD a day", "-3 USD", True])
def test_what_is_no_money_is_refused(said: object) -> None:
    assert refusal(budget={"money": said}).key == "project.not_money"


# -- everything else that no project may say ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "place", "key", "cure"),
    [
        ({"tasks": []}, ", tasks", "need_one", "init"),
        ({"tasks": {"data": "x"}}, ", tasks", "need_list", "[a, b]"),
        ({"tasks": ["x.csv"]}, ", tasks[0]", "need_section", "data"),
        ({"tasks": [{}]}, ", tasks[0].data", "key_needed", "add it"),
        ({"tasks": task(data={})}, ", tasks[0].data.train", "key_needed", "add it"),
        ({"tasks": task(data=["a", "b"])}, ", tasks[0].data", "need_section", "train, validation"),
        ({"tasks": [*task(), *task()]}, "", "same_name", "name"),
        ({"tasks": [*task(name="a"), *task(name="a")]}, "", "same_name", "name"),
        ({"tasks": task(name="a b")}, ", tasks[0].name", "bad_name", "letters"),
        ({"tasks": task(name="../x")}, ", tasks[0].name", "bad_name", "letters"),
        ({"tasks": task(kind="clasification")}, ", tasks[0].kind", "not_a_choice_close", "'classification'"),
        ({"tasks": task(kind="xyz")}, ", tasks[0].kind", "not_a_choice", "summarization"),
        ({"tasks": task(target=0.9)}, ", tasks[0].target", "need_section", "at_least"),
        ({"tasks": task(target={"metric": "accuracy"})}, ", tasks[0].target", "one_bound", "keep the one"),
        (
            {"tasks": task(target={"metric": "accuracy", "at_least": 0.5, "at_most": 0.6})},
            ", tasks[0].target",
            "one_bound",
            "keep the one",
        ),
        ({"tasks": task(target={"at_least": 0.5})}, ", tasks[0].target.metric", "key_needed", "add it"),
        (
            {"tasks": task(target={"metric": "accuracy", "at_least": "much"})},
            ", tasks[0].target.at_least",
            "need_number",
            "0.9",
        ),
        (
            {"tasks": task(target={"metric": "accuracy", "at_least": float("nan")})},
            ", tasks[0].target.at_least",
            "need_number",
            "0.9",
        ),
        (
            {"tasks": task(target={"metric": "accuracy", "at_least": 0.5, "confidence": 95})},
            ", tasks[0].target.confidence",
            "less_than",
            "less than 1",
        ),
        (
            {"tasks": task(target={"metric": "accuracy", "at_least": 0.5, "confidence": 0.5})},
            ", tasks[0].target.confidence",
            "more_than",
            "more than 0.5",
        ),
        ({"tasks": task(split={"test": 0.9})}, ", tasks[0].split.test", "not_a_share", "0.5"),
        ({"tasks": task(split={"validation": "some"})}, ", tasks[0].split.validation", "not_a_share", "auto"),
        ({"tasks": task(input_limit=0)}, ", tasks[0].input_limit", "more_than", "more than 0"),
        ({"tasks": task(columns="text")}, ", tasks[0].columns", "need_section", "input"),
        ({"budget": "5m"}, ", budget", "need_section", "time"),
        ({"budget": None}, ", budget", "need_section", "time"),
        ({"candidates": "scratch"}, ", candidates", "need_list", "[a, b]"),
        ({"candidates": [None]}, ", candidates[0]", "need_section", "model"),
        ({"candidates": [{"model": "m", "price_in": -1}]}, ", candidates[0].price_in", "at_least", "at least 0"),
        ({"keep": [{"data": "x", "worsen_at_most": -1}]}, ", keep[0].worsen_at_most", "at_least", "at least 0"),
        ({"name": 3}, ", name", "need_text", "quotes"),
        ({"language": False}, ", language", "need_text", "quotes"),
        ({"seed": "abc"}, ", seed", "need_whole", "whole number"),
        ({"seed": 1.5}, ", seed", "need_whole", "whole number"),
        ({"use": "personal"}, ", use", "not_a_choice", "commercial, research"),
        ({"rungs": "full"}, ", rungs", "need_list", "[a, b]"),
        ({"traffic": {"requests_per_month": 0}}, ", traffic.requests_per_month", "more_than", "more than 0"),
    ],
)
def test_a_mistake_is_named_with_place_cause_and_cure(said: dict[str, Any], place: str, key: str, cure: str) -> None:
    error = refusal(**said)
    assert error.place == f"escalade.yaml{place}" and error.key == f"project.{key}"
    assert cure in error.cure


# -- the file -------------------------------------------------------------------------------------------------------


def loading(folder: Path, content: bytes) -> BadInput:
    (folder / "escalade.yaml").write_bytes(content)
    with pytest.raises(BadInput) as caught:
        projects.load(folder)
    return caught.value


def test_a_folder_or_a_file_can_be_named(tmp_path: Path) -> None:
    (tmp_path / "escalade.yaml").write_text("tasks: [{data: a.csv}]", encoding="utf-8")
    assert projects.load(tmp_path) == projects.load(tmp_path / "escalade.yaml") == parse(tasks=[{"data": "a.csv"}])


@pytest.mark.parametrize(
    ("content", "key", "place"),
    [
        (b"tasks:\n - data: 'x\n", "not_yaml", ", line "),
        (b"tasks: [\n", "not_yaml", ", line 2"),
        (b"tasks:\n\t- data: x\n", "not_yaml", ", line 2"),
        (b"- a\n- b\n", "not_mapping", "escalade.yaml"),
        (b"", "not_mapping", "escalade.yaml"),
        (b"name: \xff\n", "not_utf8", "escalade.yaml"),
        (b"seed: 1\ntasks: [{data: x}]\nseed: 2\n", "key_twice", ", line 3"),
        (b"tasks:\n- data: x\n  kind: chat\n  kind: generation\n", "key_twice", ", line 4"),
        (b"3: x\ntasks: [{data: x}]\n", "key_not_text", "[3]"),
    ],
)
def test_a_file_that_is_no_project_is_refused_with_its_line(
    tmp_path: Path, content: bytes, key: str, place: str
) -> None:
    error = loading(tmp_path, content)
    assert error.key == f"project.{key}" and place in error.place and error.cause and error.cure


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        projects.load(tmp_path)
    assert caught.value.place == str(tmp_path / "escalade.yaml") and "init" in caught.value.cure


def test_merged_keys_of_yaml_are_no_repetition(tmp_path: Path) -> None:
    text = "tasks:\n- &a {data: x, metric: accuracy, name: a}\n- {<<: *a, name: b}\n"
    (tmp_path / "escalade.yaml").write_text(text, encoding="utf-8")
    assert [t.metric for t in projects.load(tmp_path).tasks] == ["accuracy", "accuracy"]


# -- the schemas ----------------------------------------------------------------------------------------------------


def validates(value: Any, schema: dict[str, Any], root: dict[str, Any]) -> bool:
    """The part of JSON schema that the project's own schema uses."""
    if "$ref" in schema:
        return validates(value, root["$defs"][schema["$ref"].rpartition("/")[2]], root)
    if "anyOf" in schema:
        return any(validates(value, one, root) for one in schema["anyOf"])
    if "const" in schema and value != schema["const"]:
        return False
    if "enum" in schema and value not in schema["enum"]:
        return False
    kinds = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "null": type(None)}
    if "type" in schema and not isinstance(value, kinds[schema["type"]]):
        return False
    if isinstance(value, dict):
        known = schema.get("properties", {})
        open_ended = schema.get("additionalProperties", True) is not False
        return set(schema.get("required", ())) <= set(value) and all(
            validates(v, known[k], root) if k in known else open_ended for k, v in value.items()
        )
    if isinstance(value, list) and "items" in schema:
        return len(value) >= schema.get("minItems", 0) and all(validates(v, schema["items"], root) for v in value)
    return True


def test_the_schema_validates_what_init_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["init", str(tmp_path / "new"), "--json"])
    assert left.value.code == 0
    written = json.loads(capsys.readouterr().out)
    schema = json.loads(Path(written["schema"]).read_text("utf-8"))
    text = Path(written["project"]).read_text("utf-8")
    assert schema == projects.schema()
    assert validates(yaml.safe_load(text), schema, schema)
    assert projects.load(tmp_path / "new").candidates[0].model == "scratch"
    assert text.startswith(f"# yaml-language-server: $schema=./{Path(written['schema']).name}")


@pytest.mark.parametrize(
    "wrong",
    [
        {"tasks": []},
        {"tasks": [{"data": "x"}], "sed": 1},
        {"tasks": [{"data": "x", "kind": "sorting"}]},
        {"tasks": [{"name": "x"}]},
        {"tasks": [{"data": "x"}], "use": "personal"},
        {"tasks": [{"data": "x", "split": {"test": "some"}}]},
    ],
)
def test_the_schema_refuses_what_the_program_refuses(wrong: dict[str, Any]) -> None:
    assert not validates(wrong, projects.schema(), projects.schema())
    with pytest.raises(BadInput):
        projects.parse(wrong)


@pytest.mark.parametrize(
    "right",
    [
        {"tasks": [{"data": "x"}]},
        {"tasks": [{"data": {"train": "x"}, "columns": {"input": "a"}}], "budget": {"time": "5m"}},
        {"tasks": [{"data": "x", "columns": {"input": ["a", "b"]}, "split": {"test": 0.2}}], "candidates": ["scratch"]},
        {"tasks": [{"data": "x"}], "limits": {"memory": "4GB", "latency_p95": 0.3}, "budget": {"money": 5}},
    ],
)
def test_the_schema_accepts_what_the_program_accepts(right: dict[str, Any]) -> None:
    projects.parse(right)
    assert validates(right, projects.schema(), projects.schema())


def test_the_schema_lists_every_enum_and_explains_its_keys() -> None:
    schema = projects.schema()
    task = schema["$defs"]["Task"]["properties"]
    kinds = next(one["enum"] for one in task["kind"]["anyOf"] if "enum" in one)
    assert {"classification", "summarization", "chat", "embedding"} <= set(kinds) and len(kinds) == 9
    assert schema["properties"]["use"]["enum"] == ["commercial", "research"]
    assert "metric" in task and schema["$schema"].endswith("2020-12/schema")
    assert "origin" in schema["$defs"]["Target"]["properties"]
    assert schema["$defs"]["Sources"]["properties"]["train"]["description"].startswith("A file (JSONL")


def test_the_schema_of_the_document_lists_every_enum() -> None:
    schema = RunDocument.model_json_schema()
    assert schema["properties"]["verdict"]["enum"] == ["met", "not confirmed", "not met", "no-go"]
    assert schema["$defs"]["AttemptDocument"]["properties"]["status"]["enum"] == [
        "done",
        "not tried",
        "stopped",
        "failed",
    ]
    assert schema["$defs"]["ScoreDocument"]["properties"]["split"]["enum"] == ["train", "validation", "test"]

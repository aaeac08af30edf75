"""Whatever is wrong is named with place, cause and cure, in text and as JSON, before anything is written."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from command_line import Call, caller, texts, tree, write_csv, write_project
from safetensors.numpy import save_file

Case = Callable[[Path], list[object]]
CASES: dict[str, tuple[Case, str, str]] = {}
"""By name: what sets the case up and gives the arguments, the key of the error, and what its place names."""


def case(key: str, place: str) -> Callable[[Case], Case]:
    """Registers a case."""

    def register(made: Case) -> Case:
        CASES[made.__name__] = (made, key, place)
        return made

    return register


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Call:
    monkeypatch.chdir(tmp_path)
    write_csv(tmp_path / "rows.csv", texts(120))
    return caller(capsys)


# -- the project file -----------------------------------------------------------------------------------------------


@case("project.unknown_key_close", "escalade.yaml, budget.tme")
def unknown_key(folder: Path) -> list[object]:
    return ["run", write_project(folder, budget={"tme": "3m"})]


@case("project.missing", "escalade.yaml")
def a_folder_without_a_project(folder: Path) -> list[object]:
    return ["run", folder]


@case("project.more_than", "escalade.yaml, budget.time")
def a_budget_of_nothing(folder: Path) -> list[object]:
    return ["run", write_project(folder, budget={"time": 0})]


@case("project.more_than", "budget.time")
def a_budget_of_nothing_as_an_option(folder: Path) -> list[object]:
    return ["run", "--data", "rows.csv", "--budget", "0m"]


@case("stages.rung_unknown", "rungs")
def an_unknown_rung(folder: Path) -> list[object]:
    return ["run", write_project(folder, rungs=["baseline", "ful"])]


@case("stages.rung_unknown", "rungs")
def an_unknown_rung_as_an_option(folder: Path) -> list[object]:
    return ["run", "--data", "rows.csv", "--rung", "lra"]


# -- the rows -------------------------------------------------------------------------------------------------------


@case("data.missing_file_close", "rws.csv")
def a_misspelt_file(folder: Path) -> list[object]:
    return ["run", "--data", "rws.csv"]


@case("data.missing_file", "nothing/there.csv")
def a_missing_file(folder: Path) -> list[object]:
    return ["run", write_project(folder, {"data": "nothing/there.csv"})]


@case("data.missing_file_close", "tst.csv")
def a_missing_test_file(folder: Path) -> list[object]:
    write_csv(folder / "test.csv", texts(20, seed=1))
    return ["run", write_project(folder, {"data": {"train": "rows.csv", "test": "tst.csv"}})]


@case("data.empty_file", "rows.csv")
def an_empty_file(folder: Path) -> list[object]:
    (folder / "rows.csv").write_bytes(b"")
    return ["run", "--data", "rows.csv"]


@case("data.no_rows", "rows.csv")
def a_header_alone(folder: Path) -> list[object]:
    (folder / "rows.csv").write_text("text,label\n", encoding="utf-8")
    return ["run", "--data", "rows.csv"]


@case("data.missing_column_close", "rows.csv")
def a_column_that_is_not_there(folder: Path) -> list[object]:
    return ["run", "--data", "rows.csv", "--output", "labl"]


@case("data.broken_json", "rows.jsonl, line 3")
def broken_json(folder: Path) -> list[object]:
    (folder / "rows.jsonl").write_text('{"text": "a", "label": "b"}\n' * 2 + '{"text": "a",\n', encoding="utf-8")
    return ["run", "--data", "rows.jsonl"]


@case("data.not_utf8", "rows.csv, line 2")
def another_encoding(folder: Path) -> list[object]:
    (folder / "rows.csv").write_bytes("text,label\ncafé,good\n".encode("latin-1"))
    return ["run", "--data", "rows.csv"]


@case("data.unseen_labels", "test.csv")
def labels_only_in_test(folder: Path) -> list[object]:
    write_csv(folder / "test.csv", [*texts(40, seed=1), ("the film was odd", "strange")])
    return ["run", write_project(folder, {"data": {"train": "rows.csv", "test": "test.csv"}})]


# -- the target -----------------------------------------------------------------------------------------------------


@case("evaluate.metric_unfit", "tasks[0].target")
def a_metric_of_another_kind(folder: Path) -> list[object]:
    return ["run", write_project(folder, {"target": {"metric": "rougeL", "at_least": 0.3}})]


@case("evaluate.metric_unfit", "tasks[0].metric")
def a_metric_of_another_kind_without_a_target(folder: Path) -> list[object]:
    return ["run", write_project(folder, {"metric": "rougeL"})]


@case("evaluate.unknown_metric_close", "tasks[0].target")
def an_unknown_metric(folder: Path) -> list[object]:
    return ["run", write_project(folder, {"target": {"metric": "acuracy", "at_least": 0.3}})]


@case("evaluate.unknown_metric_close", "--metric")
def an_unknown_metric_as_an_option(folder: Path) -> list[object]:
    return ["run", "--data", "rows.csv", "--metric", "acuracy", "--target", "0.3"]


@case("cli.need_metric", "--target")
def a_target_without_its_metric(folder: Path) -> list[object]:
    return ["run", "--data", "rows.csv", "--target", "0.9"]


@case("climb.no_go", "tasks[0].target")
def a_target_that_these_rows_cannot_prove(folder: Path) -> list[object]:
    return ["run", write_project(folder, {"target": {"metric": "accuracy", "at_least": 0.99}})]


@case("stages.target_range", "tasks[0].target")
def a_target_outside_the_metric(folder: Path) -> list[object]:
    return ["run", write_project(folder, {"target": {"metric": "accuracy", "at_least": 90}})]


@case("stages.metric_direction", "tasks[0].target")
def at_most_for_a_metric_that_rises(folder: Path) -> list[object]:
    return ["run", write_project(folder, {"target": {"metric": "accuracy", "at_most": 0.9}})]


# -- the candidates -------------------------------------------------------------------------------------------------


def a_model(folder: Path) -> Path:
    """The folder of an encoder as others publish it, but for its tokenizer."""
    made = folder / "encoder"
    made.mkdir()
    config = {"model_type": "bert", "architectures": ["BertModel"], "vocab_size": 8, "hidden_size": 4}
    (made / "config.json").write_text(json.dumps(config), encoding="utf-8")
    save_file({"embeddings.word_embeddings.weight": np.zeros((8, 4), np.float32)}, made / "model.safetensors")
    return made


def with_tokenizer(folder: Path) -> Path:
    made = a_model(folder)
    (made / "tokenizer.json").write_text('{"version": "1.0"}', encoding="utf-8")
    return made


@case("models.no_tokenizer", "encoder")
def a_model_without_tokenizer(folder: Path) -> list[object]:
    a_model(folder)
    return ["run", "--data", "rows.csv", "--candidate", "encoder"]


@case("models.pickle", "pytorch_model.bin")
def a_model_in_pickle(folder: Path) -> list[object]:
    made = with_tokenizer(folder)
    (made / "model.safetensors").unlink()
    (made / "pytorch_model.bin").write_bytes(b"\x80\x02}q\x00.")
    return ["run", "--data", "rows.csv", "--candidate", "encoder"]


@case("models.truncated", "model.safetensors")
def truncated_weights(folder: Path) -> list[object]:
    weights = with_tokenizer(folder) / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-40])
    return ["run", "--data", "rows.csv", "--candidate", "encoder"]


@case("models.no_config", "empty")
def a_folder_without_a_model(folder: Path) -> list[object]:
    (folder / "empty").mkdir()
    return ["run", "--data", "rows.csv", "--candidate", "./empty"]


@case("stages.scratch_form", "scratch:encodr")
def an_unknown_family(folder: Path) -> list[object]:
    return ["run", "--data", "rows.csv", "--candidate", "scratch:encodr"]


@case("stages.scratch_form", "scratch:encoder:huge")
def an_unknown_size(folder: Path) -> list[object]:
    return ["run", "--data", "rows.csv", "--candidate", "scratch:encoder:huge"]


@case("stages.api_needs_key", "gpt-x")
def an_api_without_its_key(folder: Path) -> list[object]:
    candidate = {"model": "gpt-x", "api": "http://127.0.0.1:9/v1", "key_env": "ESCALADE_TEST_NO_KEY"}
    return ["run", write_project(folder, candidates=[candidate])]


# -- other verbs ----------------------------------------------------------------------------------------------------


@case("project.missing", "escalade.yaml")
def check_without_a_project(folder: Path) -> list[object]:
    return ["check", folder]


@case("cli.exists", "escalade.yaml")
def init_over_a_project(folder: Path) -> list[object]:
    return ["init", write_project(folder)]


@case("models.not_a_model", "empty")
def predict_with_a_folder_that_is_no_model(folder: Path) -> list[object]:
    (folder / "empty").mkdir()
    return ["predict", "empty", "a text"]


@case("data.missing_file", "none.csv")
def predict_rows_that_are_not_there(folder: Path) -> list[object]:
    return ["predict", "empty", "--data", "none.csv"]


@case("serve.needs_token", "--host 0.0.0.0")
def serve_to_everybody(folder: Path) -> list[object]:
    return ["serve", "empty", "--host", "0.0.0.0"]


@case("models.not_a_model", "empty")
def serve_what_is_no_model(folder: Path) -> list[object]:
    (folder / "empty").mkdir()
    return ["serve", "empty"]


@case("ledger.none_here", "")
def runs_of_no_project(folder: Path) -> list[object]:
    return ["runs", "list"]


@case("ledger.none_here", "")
def report_of_no_run(folder: Path) -> list[object]:
    return ["report", write_project(folder)]


@case("ledger.none_here", "")
def compare_in_no_project(folder: Path) -> list[object]:
    return ["compare", "baseline linear", "baseline majority"]


@case("ledger.none_here", "")
def evaluate_before_any_run(folder: Path) -> list[object]:
    write_project(folder)
    return ["evaluate", "baseline linear"]


@case("cli.bad_show", "--show worst:many")
def examples_in_no_number(folder: Path) -> list[object]:
    return ["evaluate", "baseline linear", "--show", "worst:many"]


@case("cli.exists", "encoder")
def pretraining_over_another_model(folder: Path) -> list[object]:
    a_model(folder)
    return ["pretrain", "--family", "encoder", "--text", "rows.csv", "--out", "encoder"]


@case("ledger.none_here", "")
def deploy_before_any_run(folder: Path) -> list[object]:
    write_project(folder)
    return ["deploy", "baseline linear"]


@case("cli.no_such_attempt", "full scratch:encoder:tny")
def adapt_what_is_not_there(folder: Path) -> list[object]:
    write_project(folder)
    return ["adapt", "full", "scratch:encoder:tny"]


@case("cli.task_unknown", "--task")
def a_task_that_is_not_there(folder: Path) -> list[object]:
    write_project(folder)
    return ["scope", "--task", "other"]


@case("evaluate.counts_differ", "said.txt, wanted.txt")
def texts_of_different_lengths(folder: Path) -> list[object]:
    (folder / "said.txt").write_text("a\nb\n", encoding="utf-8")
    (folder / "wanted.txt").write_text("a\n", encoding="utf-8")
    return ["score", "--predictions", "said.txt", "--references", "wanted.txt"]


@case("evaluate.unknown_metric_close", "metrics")
def scoring_by_an_unknown_metric(folder: Path) -> list[object]:
    (folder / "said.txt").write_text("a\n", encoding="utf-8")
    return ["score", "--metrics", "rogue1", "--predictions", "said.txt", "--references", "said.txt"]


@case("evaluate.file_missing", "none.txt")
def scoring_what_is_not_there(folder: Path) -> list[object]:
    return ["score", "--predictions", "none.txt", "--references", "none.txt"]


@case("stages.scratch_form", "scratch:x")
def planning_an_unknown_family(folder: Path) -> list[object]:
    return ["plan", "--model", "scratch:x"]


@case("data.missing_file", "none.txt")
def pretraining_on_nothing(folder: Path) -> list[object]:
    return ["pretrain", "--family", "encoder", "--text", "none.txt", "--out", "base"]


@case("models.not_a_size", "size huge")
def pretraining_an_unknown_size(folder: Path) -> list[object]:
    return ["pretrain", "--family", "encoder", "--size", "huge", "--text", "rows.csv", "--out", "base"]


@case("cli.no_such_verb_close", "escalade")
def a_misspelt_verb(folder: Path) -> list[object]:
    return ["rum"]


@case("cli.no_such_verb", "escalade")
def no_verb_at_all(folder: Path) -> list[object]:
    return ["xyzzy"]


@case("cli.no_such_verb_close", "escalade runs")
def a_misspelt_verb_of_the_ledger(folder: Path) -> list[object]:
    return ["runs", "lst"]


@case("cli.no_such_option_close", "escalade run")
def a_misspelt_option(folder: Path) -> list[object]:
    return ["run", "--bugdet", "3m"]


@case("cli.parameter_missing", "escalade evaluate")
def an_argument_left_out(folder: Path) -> list[object]:
    return ["evaluate"]


@case("cli.not_a_choice", "escalade evaluate --split")
def a_value_that_is_no_choice(folder: Path) -> list[object]:
    return ["evaluate", "x", "--split", "dev"]


@case("cli.bad_value", "escalade serve --port")
def a_port_that_is_no_number(folder: Path) -> list[object]:
    return ["serve", "x", "--port", "many"]


@case("cli.usage", "escalade adapt")
def an_argument_too_many(folder: Path) -> list[object]:
    return ["adapt", "a", "b", "c"]


@case("cli.not_a_choice", "escalade --lang")
def a_language_that_is_not_spoken(folder: Path) -> list[object]:
    return ["doctor", "--lang", "fr"]


@case("cli.path_and_data", "rows")
def a_project_and_rows(folder: Path) -> list[object]:
    return ["run", write_project(folder / "rows"), "--data", "rows.csv"]


@case("cli.data_or_project", "--seed")
def a_seed_for_a_project_that_names_its_own(folder: Path) -> list[object]:
    return ["run", write_project(folder), "--seed", "3"]


@case("cli.data_or_project", "--candidate")
def a_candidate_for_a_project_that_names_its_own(folder: Path) -> list[object]:
    return ["run", write_project(folder), "--candidate", "scratch"]


@case("cli.data_or_project", "--output")
def an_option_about_rows_without_rows(folder: Path) -> list[object]:
    return ["run", "--output", "label"]


@case("cli.bad_value", "--seed")
def a_seed_below_zero(folder: Path) -> list[object]:
    return ["run", "--data", "rows.csv", "--seed", "-1"]


@case("project.at_least", "seed")
def a_seed_below_zero_in_the_file(folder: Path) -> list[object]:
    return ["check", write_project(folder, seed=-1)]


@case("stages.scratch_size", "scratch:encoder:0M")
def a_network_of_nothing(folder: Path) -> list[object]:
    return ["run", "--data", "rows.csv", "--candidate", "scratch:encoder:0M"]


@case("stages.scratch_size", "scratch:encoder:999999999M")
def a_network_larger_than_any(folder: Path) -> list[object]:
    return ["run", "--data", "rows.csv", "--candidate", "scratch:encoder:999999999M"]


@case("project.empty_text", "candidates[0]")
def a_candidate_without_a_name(folder: Path) -> list[object]:
    return ["run", "--data", "rows.csv", "--candidate", ""]


@case("project.empty_text", "train")
def rows_without_a_name(folder: Path) -> list[object]:
    return ["run", "--data", ""]


@case("project.not_a_language", "language")
def a_language_by_its_name(folder: Path) -> list[object]:
    return ["check", write_project(folder, language="klingon")]


@case("project.not_an_address", "api")
def an_api_without_an_address(folder: Path) -> list[object]:
    return ["check", write_project(folder, candidates=[{"model": "m", "api": "not a url"}])]


@case("project.need_one", "rungs")
def no_rung_at_all(folder: Path) -> list[object]:
    return ["check", write_project(folder, rungs=[])]


@case("data.same_source", "rows.csv")
def learnt_and_tested_on_one_file(folder: Path) -> list[object]:
    return ["run", "--data", "rows.csv", "--test", "rows.csv"]


@case("cli.not_a_folder", "rows.csv")
def a_project_that_is_a_file(folder: Path) -> list[object]:
    return ["run", "--data", "rows.csv", "--rung", "baseline", "--project", "rows.csv"]


@case("cli.not_a_folder", "rows.csv")
def init_into_a_file(folder: Path) -> list[object]:
    return ["init", "rows.csv"]


@case("cli.bad_value", "--context")
def pretraining_without_context(folder: Path) -> list[object]:
    return ["pretrain", "--family", "encoder", "--text", "rows.csv", "--out", "made", "--context", "0"]


@case("cli.bad_value", "--epochs")
def pretraining_for_no_time(folder: Path) -> list[object]:
    return ["pretrain", "--family", "encoder", "--text", "rows.csv", "--out", "made", "--epochs", "-1"]


@case("cli.bad_value", "--seq")
def planning_backwards(folder: Path) -> list[object]:
    return ["plan", "--model", a_model(folder), "--seq", "-5"]


@case("models.tokenizer_unreadable", "tokenizer_config.json")
def a_tokenizer_configuration_that_is_a_list(folder: Path) -> list[object]:
    model = a_model(folder)
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({k: v for k, v in config.items() if "position" not in k}))
    (model / "tokenizer.json").write_text("{}", encoding="utf-8")
    (model / "tokenizer_config.json").write_text("[1]", encoding="utf-8")
    return ["check", write_project(folder, candidates=["encoder"])]


@pytest.mark.parametrize("name", CASES)
def test_it_is_refused_with_place_cause_and_cure_and_nothing_is_written(
    name: str, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ESCALADE_TOKEN", raising=False)
    made, key, place = CASES[name]
    arguments = made(tmp_path)
    before = tree(tmp_path)

    told = call(*arguments)
    assert told.code == 2 and told.out == "", told.err
    error = told.err.splitlines()[-2:]
    assert error[0].startswith("error: ") and place in error[0], told.err
    assert error[1].startswith("  ") and error[1].strip(), told.err

    said = call(*arguments, "--json")
    assert said.code == 2 and list(said.json) == ["error"]
    found = said.json["error"]
    assert found["key"] == key and place in found["place"]
    assert found["cause"] in error[0] and found["cure"] == error[1].strip()
    assert found["cause"] and found["place"]
    assert tree(tmp_path) == before


def test_a_no_go_says_how_many_rows_it_takes(call: Call, tmp_path: Path) -> None:
    write_project(tmp_path, {"target": {"metric": "accuracy", "at_least": 0.99}})
    cause, cure = (call("run", tmp_path, "--json").json["error"][part] for part in ("cause", "cure"))
    # The first look may err at 2.5 %: a flawless answer to n rows proves 0.99 where 0.025 ** (1 / n) >= 0.99.
    assert "36 test rows cannot prove accuracy >= 0.99 at 95% confidence" in cause and "368 test rows" in cure


def test_a_few_labels_seen_only_in_test_are_listed_and_scored_as_wrong(call: Call, tmp_path: Path) -> None:
    write_csv(tmp_path / "test.csv", [*texts(299, seed=1), ("the film was odd", "strange")])
    data = {"train": "rows.csv", "test": "test.csv"}
    write_project(tmp_path, {"data": data, "target": {"metric": "accuracy", "at_least": 0.5}})
    answer = call("run", tmp_path, "--json")
    assert "labels seen only in test, scored as wrong: strange" in answer.err
    test = answer.json["tasks"][0]["test"]
    assert answer.code == 0 and test["n"] == 300 and test["value"] <= 299 / 300
    assert "strange" in (tmp_path / "report.html").read_text("utf-8")


def test_an_error_can_be_had_in_chinese(call: Call, tmp_path: Path) -> None:
    write_project(tmp_path, budget={"tme": "3m"})
    answer = call("run", tmp_path, "--lang", "zh")
    assert answer.code == 2
    assert "错误: " in answer.err and "未知的键" in answer.err and "您是否想写 'time'？" in answer.err


def test_a_fault_of_our_own_is_one_json_document_with_the_trace_on_stderr(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("escalade.cli.doctor.examine", broken)
    answer = call("doctor", "--json")
    assert answer.code == 1 and answer.json["error"]["key"] == "cli.our_fault"
    assert "ZeroDivisionError: a bug" in answer.json["error"]["cause"] and "Traceback" in answer.err


# -- as processes ---------------------------------------------------------------------------------------------------

COMMAND = [sys.executable, "-m", "escalade"]


def environment() -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": "1"}


def test_a_process_leaves_with_the_code_and_speaks_on_the_right_stream(tmp_path: Path) -> None:
    done = subprocess.run([*COMMAND, "run", str(tmp_path)], capture_output=True, text=True, env=environment())
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith(f"error: {tmp_path}/escalade.yaml: ") and "\x1b" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_reader_that_has_had_enough_is_no_error(tmp_path: Path) -> None:
    line = f"{shlex.quote(sys.executable)} -m escalade check --schema | head -c 10"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", line], capture_output=True, text=True, env=environment())
    assert done.returncode == 0 and done.stderr == "" and len(done.stdout) == 10


@pytest.mark.slow
def test_an_interrupted_run_says_so_and_the_same_command_goes_on(tmp_path: Path) -> None:
    write_csv(tmp_path / "rows.csv", texts(120))
    write_project(tmp_path, candidates=["scratch:encoder:tiny"], rungs=["full"], budget={"time": "3m"})
    command = [*COMMAND, "run", str(tmp_path), "--json"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "env": environment()}
    with subprocess.Popen(command, **pipes) as first:  # type: ignore[call-overload]
        until_it_trains(tmp_path, first)
        first.send_signal(signal.SIGINT)
        out, err = first.communicate(timeout=60)
    assert first.returncode == 130, err
    assert json.loads(out)["error"]["key"].endswith(".interrupted") and "Traceback" not in err

    again = subprocess.run(command, capture_output=True, text=True, env=environment(), timeout=240)
    document = json.loads(again.stdout)
    assert again.returncode in (0, 3), again.stderr
    trained = next(a for a in document["attempts"] if a["rung"] == "full")
    assert trained["status"] == "done"
    events = subprocess.run(
        [*COMMAND, "runs", "show", trained["runs"][0], "--project", str(tmp_path), "--json"],
        capture_output=True, text=True, env=environment(), check=True,
    )  # fmt: skip
    assert "resumed" in [event["event"] for event in json.loads(events.stdout)["events"]]


def until_it_trains(folder: Path, process: subprocess.Popen[str]) -> None:
    """Waits for the first checkpoint of a training under way."""
    end = time.monotonic() + 120
    while time.monotonic() < end and process.poll() is None:
        ledger = folder / ".escalade" / "index.sqlite"
        if ledger.exists():
            with contextlib.closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)) as index:
                with contextlib.suppress(sqlite3.OperationalError):
                    if index.execute("select count(*) from events where kind = 'step'").fetchone()[0]:
                        return
        time.sleep(0.05)
    pytest.fail(f"no training began: {process.poll()}")

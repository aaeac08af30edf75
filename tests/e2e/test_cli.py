"""Every verb as a user meets it: its exit code, its one JSON document, its plain text, and both languages."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from command_line import Answer, Call, caller, texts, write_csv, write_jsonl, write_project

from escalade.cli import VERBS
from escalade.cli import console as consoles
from escalade.document import RunDocument
from escalade.ledger import Ledger

CHINESE = re.compile(r"[\u4e00-\u9fff]")
TARGET = {"metric": "accuracy", "at_least": 0.6, "origin": "the user's wish"}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that is climbed once; the verbs then look at it."""
    folder = tmp_path_factory.mktemp("reviews")
    write_csv(folder / "rows.csv", texts(120))
    return write_project(folder, {"name": "mood", "target": TARGET})


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, project: Path) -> Call:
    monkeypatch.chdir(project)
    monkeypatch.delenv("COLUMNS", raising=False)
    return caller(capsys)


@pytest.fixture
def climbed(call: Call, project: Path) -> Path:
    """The project, climbed: the first time for real, then by look-up."""
    if not (project / "report.html").exists():
        fine(call("run", project, "--quiet"))
    return project


def fine(answer: Answer) -> Answer:
    """A call that did what it was asked, with nothing coloured and no fault told."""
    assert answer.code == 0, answer.err
    assert "\x1b" not in answer.out + answer.err and "Traceback" not in answer.err
    return answer


# -- before anything is run -----------------------------------------------------------------------------------------


def test_help_lists_every_verb_in_both_languages(call: Call) -> None:
    english, chinese = fine(call("--help")).out, fine(call("--lang", "zh", "--help")).out
    assert all(re.search(rf"^  {verb} ", english, re.MULTILINE) for verb in VERBS)
    assert "Verbs:" in english and "命令:" in chinese and len(CHINESE.findall(chinese)) > 100
    assert fine(call()).out == english


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(call: Call, verb: str) -> None:
    said, chinese = fine(call(verb, "--help")).out, fine(call("--lang", "zh", verb, "--help")).out
    assert said.startswith(f"Usage: escalade {verb}") and not CHINESE.search(said) and "help." not in said
    options = re.split(r"^ +(?=--|-h)", chinese, flags=re.MULTILINE)[1:-1]
    assert all(CHINESE.search(option) for option in options) and CHINESE.search(chinese)


def test_the_version_is_the_installed_one(call: Call) -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*\n", fine(call("--version")).out)


def test_init_writes_a_project_for_the_rows_that_are_there(call: Call, project: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    made = fine(call("init", folder, "--data", "rows.csv", "--json")).json
    text = Path(made["project"]).read_text("utf-8")
    assert "kind: classification" in text and '"output": "label"' in text and Path(made["schema"]).exists()
    assert fine(call("check", folder, "--json")).json["tasks"][0]["rows"]["train"] > 50
    again = call("init", folder)
    assert again.code == 2 and Path(made["project"]).read_text("utf-8") == text


def test_check_tells_what_was_understood_and_writes_nothing(call: Call, tmp_path: Path) -> None:
    write_csv(tmp_path / "rows.csv", texts(120))
    write_project(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    said = fine(call("check", tmp_path, "--json")).json
    task = said["tasks"][0]
    assert said["project"] == str(tmp_path) and task["labels"] == ["bad", "good"] and task["refused"] == 0
    assert task["columns"] == {"input": ["text"], "output": "label"} and sum(task["rows"].values()) == 120
    plain = fine(call("check", tmp_path)).out
    assert f"{task['rows']['test']} test rows" in plain and "{" not in plain
    assert CHINESE.search(fine(call("check", tmp_path, "--lang", "zh")).out)
    assert sorted(tmp_path.rglob("*")) == before


def test_check_prints_both_schemas(call: Call) -> None:
    assert fine(call("check", "--schema")).json["properties"]["tasks"]
    assert fine(call("check", "--document-schema")).json == RunDocument.model_json_schema()


@pytest.mark.slow
def test_doctor_looks_at_the_machine(call: Call) -> None:
    found = fine(call("doctor", "--json")).json
    assert found["cores"] >= 1 and found["packages"]["torch"] and found["missing"] == [] and found["offline"] is True
    assert "torch" in fine(call("doctor")).out


def test_plan_counts_a_model_and_a_method(call: Call) -> None:
    said = fine(call("plan", "--model", "scratch:encoder:5M", "--json")).json
    assert said["parameters"] == said["trainable"] == 5_000_000 and said["family"] == "encoder"
    assert said["peak_bytes"]["value"] > 16 * 5e6 and said["verdict"] == "fits" and said["cure"] is None
    assert "5,000,000 parameters, 5,000,000 trained" in fine(call("plan", "--model", "scratch:encoder:5M")).out


# -- the climb ------------------------------------------------------------------------------------------------------


def test_run_gives_one_document_that_keeps_its_schema(call: Call, project: Path) -> None:
    answer = fine(call("run", project, "--json"))
    assert answer.out.count("\n") == 1 and answer.out.endswith("\n")
    document = RunDocument.model_validate_json(answer.out)
    said = answer.json
    assert {"verdict", "executed", "project", "report", "tasks", "attempts"} <= set(said)
    task, attempt = said["tasks"][0], said["attempts"][0]
    assert {"name", "verdict", "target", "kept", "test", "served", "release"} <= set(task)
    wanted = {"metric", "split", "value", "lower", "upper", "decision_bound", "confidence", "n", "clusters", "unit"}
    assert wanted | {"looks"} <= set(task["test"]) and task["test"]["split"] == "test"
    wanted = {"id", "tasks", "rung", "family", "base", "status", "reason", "scores", "versus", "forgetting"}
    assert wanted | {"predicted", "measured"} <= set(attempt)
    assert {"name", "revision", "digest"} <= set(attempt["base"])
    assert {"seconds", "peak_bytes", "money", "lifetime_money"} <= set(attempt["predicted"])
    assert {"seconds", "peak_bytes"} <= set(attempt["measured"])
    assert document.verdict == "met" and task["target"] == TARGET | {"at_most": None, "confidence": 0.95}
    kept = next(a for a in said["attempts"] if a["id"] == task["kept"])
    assert kept["status"] == "done" and kept["scores"]["mood"]["split"] == "validation"
    assert task["test"]["lower"] <= task["test"]["value"] <= task["test"]["upper"]
    assert task["served"]["value"] == task["test"]["value"] and task["gate"]["passed"] is True
    assert (project / task["release"] / "escalade.json").exists() and Path(said["report"]).exists()


def test_a_repeated_run_executes_nothing_and_says_the_same(call: Call, climbed: Path) -> None:
    first, second = (fine(call("run", climbed, "--json")).json for _ in range(2))
    assert first["executed"] == second["executed"] == 0
    assert [t | {"seconds": 0} for t in first["tasks"]] == [t | {"seconds": 0} for t in second["tasks"]]


def test_progress_is_told_on_stderr_alone_and_quiet_drops_it(call: Call, climbed: Path) -> None:
    told = fine(call("run", climbed, "--json"))
    assert "baseline linear" in told.err or "baseline nearest" in told.err
    assert fine(call("run", climbed, "--json", "--quiet")).err == ""


def test_run_shows_a_ladder_with_its_verdict(call: Call, climbed: Path) -> None:
    said = fine(call("run", climbed)).out
    assert "mood: classification, accuracy >= 0.6 (the user's wish)" in said
    row = next(line for line in said.splitlines() if line.startswith("baseline majority"))
    assert re.search(r"baseline majority +0\.\d{4} \[0\.\d{4}, 0\.\d{4}\]", row)
    assert "mood: target met. no model is needed" in said and "0 stages executed" in said
    chinese = fine(call("run", climbed, "--lang", "zh")).out
    assert "已达到目标" in chinese and "无需模型" in chinese


def test_run_makes_a_project_from_rows(call: Call, project: Path, tmp_path: Path) -> None:
    options = ["--metric", "accuracy", "--target", "0.6", "--rung", "baseline", "--candidate", "scratch"]
    made = tmp_path / "new"
    first = fine(call("run", "--data", "rows.csv", *options, "--project", made, "--json")).json
    assert first["verdict"] == "met" and Path(first["project"]) == made
    assert fine(call("run", made, "--json")).json["executed"] == 0
    again = ["run", "--data", "rows.csv", *options, "--project", made, "--json"]
    assert fine(call(*again)).json["executed"] == 0
    file = made / "escalade.yaml"
    file.write_text(file.read_text("utf-8").replace("0.6", "0.55"), encoding="utf-8")
    refused = call(*again)
    assert refused.code == 2 and refused.json["error"]["key"] == "cli.edited_project"
    assert "0.55" in file.read_text("utf-8"), "what the user wrote is still there"


def test_a_target_that_is_not_proven_leaves_with_three(call: Call, project: Path, tmp_path: Path) -> None:
    target = {"metric": "accuracy", "at_least": 0.9}
    write_csv(tmp_path / "rows.csv", [(text, label) for text, (_, label) in zip(*halves(), strict=True)])
    write_project(tmp_path, {"target": target})
    answer = call("run", tmp_path, "--json")
    assert answer.code == 3 and answer.json["verdict"] == "not met"
    assert "best so far" in answer.json["tasks"][0]["reason"]
    assert "target not met" in call("run", tmp_path).out


def halves() -> tuple[list[str], list[tuple[str, str]]]:
    """Texts, and the labels of other texts: nothing can be learnt from them."""
    rows = texts(120)
    return [text for text, _ in rows], texts(120, seed=5)


def test_scope_forecasts_before_it_is_spent(call: Call, climbed: Path) -> None:
    said = fine(call("scope", climbed, "--json")).json
    assert {b["name"] for b in said["baselines"]} == {"majority", "nearest", "linear"}
    assert said["target"]["bound"] == 0.6 and 0.6 < said["needed_score"] < 1
    assert all(a["refused"] for a in said["attempts"])
    plain = fine(call("scope", climbed)).out
    assert "to prove accuracy 0.6 with 95% confidence" in plain and "refused: " in plain
    assert CHINESE.search(fine(call("scope", climbed, "--lang", "zh")).out)


def test_select_names_the_bases_and_explains_the_rungs(call: Call, climbed: Path) -> None:
    said = fine(call("select", climbed, "--json")).json
    assert [base["name"] for base in said["bases"]] == ["scratch:encoder:tiny"]
    plain = fine(call("select", climbed, "--explain")).out
    assert "scratch:encoder:tiny" in plain and "  strengths: " in plain and "lora" in plain.splitlines()


def test_adapt_does_one_rung_and_grades_it(call: Call, climbed: Path) -> None:
    said = fine(call("adapt", "baseline", "linear", "--project", climbed, "--json")).json
    assert said["name"] == "baseline linear" and {"accuracy", "macro_f1"} <= {s["metric"] for s in said["scores"]}
    assert "the model lies at" in fine(call("adapt", "baseline", "linear")).out
    refused = call("adapt", "lora", "scratch:encoder:tiny", "--json")
    assert refused.code == 2 and "no pretrained weights" in refused.json["error"]["cause"]


def test_evaluate_grades_and_shows_the_worst_rows(call: Call, climbed: Path) -> None:
    said = fine(call("evaluate", "baseline majority", "--show", "worst:3", "--json")).json
    assert said["split"] == "validation" and said["look"] is None and len(said["examples"]) == 3
    assert all(one["score"] == 0 and one["output"] != one["reference"] for one in said["examples"])
    plain = fine(call("evaluate", "baseline majority", "--show", "best:1")).out
    assert plain.startswith("baseline majority, n = ") and "score 1.000" in plain and plain.count("input:") == 1
    assert "验证集 [95 %]" in fine(call("evaluate", "baseline majority", "--lang", "zh")).out


def test_looking_at_test_is_counted(call: Call, tmp_path: Path, climbed: Path) -> None:
    said = fine(call("evaluate", "baseline majority", "--split", "test", "--json")).json
    again = fine(call("evaluate", "baseline majority", "--split", "test")).out
    assert said["look"] >= 2 and f"look {said['look']} at the test rows" in again


def test_compare_is_a_paired_test(call: Call, climbed: Path) -> None:
    said = fine(call("compare", "baseline majority", "baseline nearest", "--json")).json
    assert said["difference"] > 0 and said["wins"] + said["ties"] + said["losses"] == said["n"]
    assert said["lower"] <= said["difference"] <= said["upper"] and 0 < said["p"] <= 1
    back = fine(call("compare", "baseline nearest", "baseline majority", "--json")).json
    assert back["difference"] == pytest.approx(-said["difference"]) and back["wins"] == said["losses"]
    plain = fine(call("compare", "baseline majority", said["b"])).out
    assert plain.startswith(said["sentence"][:40]) and "baseline nearest" in plain and "baseline majority" in plain
    assert {s["by"] for s in said["slices"]} <= {"length", "label"} and said["split"] == "validation"
    several = fine(call("compare", "baseline majority", "baseline nearest", "baseline majority", "--json")).json
    first, second = several["comparisons"]
    assert first["p"] == said["p"] and first["p_holm"] == pytest.approx(min(1, 2 * said["p"]))
    assert second["b"] == "baseline majority" and second["p_holm"] == 1


def test_compare_reads_files_of_predictions(call: Call, tmp_path: Path) -> None:
    wanted = [f"the {word} sat on the mat" for word in "cat dog cow owl hen fox bee ant".split()]
    (tmp_path / "wanted.txt").write_text("\n".join(wanted) + "\n", encoding="utf-8")
    (tmp_path / "a.txt").write_text("the mat\n" * 8, encoding="utf-8")
    (tmp_path / "b.txt").write_text("\n".join(wanted) + "\n", encoding="utf-8")
    (tmp_path / "groups.txt").write_text("x\nx\ny\ny\nz\nz\nw\nw\n", encoding="utf-8")
    files = (tmp_path / "a.txt", tmp_path / "b.txt", "--references", tmp_path / "wanted.txt")
    said = fine(call("compare", *files, "--metric", "rouge1", "--json")).json
    assert said["value_b"] == 1 and said["difference"] == pytest.approx(1 - said["value_a"])
    assert said["p"] < 0.05 and (said["wins"], said["n"], said["clusters"]) == (8, 8, 8)
    grouped = fine(call("compare", *files, "--groups", tmp_path / "groups.txt", "--json")).json
    assert grouped["clusters"] == 4 and grouped["p"] > 0.05, "four groups cannot show what eight rows did"
    (tmp_path / "b.txt").write_text("one\n", encoding="utf-8")
    refused = call("compare", *files, "--json")
    assert refused.code == 2 and refused.json["error"]["key"] == "evaluate.counts_differ"
    assert call("compare", "alone", "--json").code == 2


def test_deploy_ships_an_attempt_through_the_gate(call: Call, climbed: Path) -> None:
    said = fine(call("deploy", "baseline majority", "--json")).json
    assert said["gate"]["passed"] and said["gate"]["differing"] == 0
    assert Path(said["release"]) == climbed / "releases" / "mood"
    assert (climbed / "releases" / "mood" / "README.md").exists()
    plain = fine(call("deploy", "baseline nearest")).out
    assert "the release gate passed" in plain and "releases/mood" in plain


def test_report_retells_the_run(call: Call, climbed: Path) -> None:
    (climbed / "report.html").unlink()
    said = fine(call("report", climbed, "--json")).json
    assert said["executed"] == 0 and "mood" in Path(said["report"]).read_text("utf-8")


# -- using what was made --------------------------------------------------------------------------------------------


@pytest.fixture
def release(call: Call, climbed: Path) -> Path:
    """A release that answers with probabilities."""
    fine(call("deploy", "baseline linear"))
    return climbed / "releases" / "mood"


def test_predict_answers_texts(call: Call, release: Path) -> None:
    said = fine(call("predict", release, "the film was lovely and warm", "the meal was grim", "--json")).json
    assert said["kind"] == "classification" and [p["label"] for p in said["predictions"]] == ["good", "bad"]
    assert sum(said["predictions"][0]["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    plain = fine(call("predict", release, "the film was lovely and warm")).out
    assert re.fullmatch(r"good    good 0\.\d{3}  bad 0\.\d{3}\n", plain)


def test_predict_answers_a_pipe(call: Call, release: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("the film was dreary\n"))
    assert fine(call("predict", release)).out.startswith("bad ")
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert call("predict", release, "--json").json["error"]["key"] == "cli.needs_text"


def test_predict_answers_texts_or_a_file_and_says_so(call: Call, release: Path) -> None:
    assert call("predict", release, "a text", "--data", "rows.csv", "--json").json["error"]["place"] == "--data"
    masks = call("predict", release, "--data", "rows.csv", "--fill-mask", "--json")
    assert masks.code == 2 and masks.json["error"]["key"] == "cli.masks_in_text"
    assert call("predict", release, "a text", "--max-tokens", "0", "--json").code == 2


def test_evaluate_grades_a_release_as_the_attempt_it_was_made_from(call: Call, release: Path) -> None:
    said = fine(call("evaluate", release, "--json")).json
    attempt = fine(call("evaluate", "baseline linear", "--json")).json
    assert said["attempt"] == attempt["attempt"] and said["scores"] == attempt["scores"]


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_predict_answers_a_file_and_goes_on_where_it_was_cut(
    call: Call, release: Path, tmp_path: Path, ending: str
) -> None:
    rows = [{"id": i, "text": f'{text}, "{i}"\nand so on'} for i, (text, _) in enumerate(texts(150, seed=3))]
    write_jsonl(tmp_path / "new.jsonl", rows)
    out = tmp_path / f"out.{ending}"
    asked = ("predict", release, "--data", tmp_path / "new.jsonl", "--out", out, "--json")
    assert fine(call(*asked)).json["answered"] == 150
    whole = out.read_bytes()
    assert len(read(out)) == 150 and read(out)[7]["id"] in (7, "7")
    for cut in (len(whole) // 2, len(whole) - 1, 3, 0):
        out.write_bytes(whole[:cut])
        again = fine(call(*asked)).json["answered"]
        assert out.read_bytes() == whole and 0 < again <= 150
    assert fine(call(*asked)).json["answered"] == 0


def test_predict_touches_no_file_but_its_own(call: Call, release: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    write_csv(rows, texts(70))
    asked = ("predict", release, "--data", rows, "--json", "--out")
    before = rows.read_bytes()
    assert call(*asked, rows).json["error"]["key"] == "stages.out_is_source" and rows.read_bytes() == before
    foreign = tmp_path / "foreign.csv"
    foreign.write_text("a,b\n1,last line", encoding="utf-8")
    assert call(*asked, foreign).json["error"]["key"] == "stages.out_foreign"
    assert foreign.read_text("utf-8") == "a,b\n1,last line"
    assert call(*asked, tmp_path / "out.txt").json["error"]["key"] == "stages.out_ending"
    assert call(*asked, tmp_path).json["error"]["key"] == "stages.out_ending"
    assert call(*asked, "/proc/none.csv").json["error"]["key"] == "cli.cannot_use_path"
    out = tmp_path / "out.csv"
    assert fine(call(*asked, out)).json["answered"] == 70 and fine(call(*asked, out)).json["answered"] == 0
    write_csv(rows, texts(70, seed=9))
    assert call(*asked, out).json["error"]["key"] == "stages.out_foreign", "these are answers to other rows"


def test_predict_names_the_row_that_has_no_input(call: Call, release: Path, tmp_path: Path) -> None:
    rows = tmp_path / "new.jsonl"
    rows.write_text('{"text": "warm"}\n{"text": null}\n', encoding="utf-8")
    error = call("predict", release, "--data", rows, "--json").json["error"]
    assert error["key"] == "stages.row_without_input" and "line 2" in error["place"]


def test_predict_keeps_every_column_of_rows_that_differ(call: Call, release: Path, tmp_path: Path) -> None:
    rows, out = tmp_path / "new.jsonl", tmp_path / "out.csv"
    rows.write_text('{"text": "warm"}\n{"text": "cold", "note": "kept"}\n', encoding="utf-8")
    fine(call("predict", release, "--data", rows, "--input", "text", "--out", out))
    assert [row["note"] for row in read(out)] == ["", "kept"]


def test_a_damaged_release_is_said_to_be_one(call: Call, release: Path, tmp_path: Path) -> None:
    for name, content in (("logistic.json", '["a"]'), ("logistic.safetensors", "")):
        broken = tmp_path / name
        shutil.copytree(release, broken)
        (broken / name).write_text(content, encoding="utf-8")
        said = call("predict", broken, "a text", "--json")
        assert said.code == 2 and said.json["error"]["key"] == "stages.model_damaged"


def test_deploy_says_what_it_replaces_and_spares_what_is_not_its_own(call: Call, release: Path) -> None:
    plain = fine(call("deploy", "baseline nearest")).out
    assert "takes the place of another release" in plain
    assert "takes the place" not in fine(call("deploy", "baseline nearest")).out
    (release / "mine.txt").write_text("do not lose this", encoding="utf-8")
    refused = call("deploy", "baseline linear", "--json")
    assert refused.code == 2 and refused.json["error"]["key"] == "climb.foreign_release"
    assert (release / "mine.txt").exists()
    (release / "mine.txt").unlink()


def test_two_tasks_are_not_mixed(call: Call, tmp_path: Path) -> None:
    write_csv(tmp_path / "rows.csv", texts(120))
    long = [(text, "long" if len(text) > 30 else "short") for text, _ in texts(120)]
    write_csv(tmp_path / "length.csv", long)
    tasks = [{"name": "mood", "data": "rows.csv"}, {"name": "length", "data": "length.csv"}]
    said = {"tasks": [t | {"metric": "accuracy"} for t in tasks], "rungs": ["baseline"], "language": "en"}
    (tmp_path / "escalade.yaml").write_text(json.dumps(said), encoding="utf-8")
    document = call("run", tmp_path, "--json", "--quiet").json
    for task in ("mood", "length"):
        wanted = next(a for a in document["attempts"] if a["name"] == "baseline linear" and a["tasks"] == [task])
        asked = ("baseline linear", "--project", tmp_path, "--task", task, "--json")
        scores = {s["metric"]: s["value"] for s in fine(call("evaluate", *asked)).json["scores"]}
        assert scores["accuracy"] == wanted["scores"][task]["value"]
        fine(call("deploy", *asked))
        pair = ("baseline majority", "baseline linear", "--project", tmp_path, "--task", task, "--metric", "accuracy")
        assert fine(call("compare", *pair, "--json")).json["value_b"] == wanted["scores"][task]["value"]
        labels = fine(call("predict", tmp_path / "releases" / task, "a text", "--json")).json["predictions"][0]
        assert set(labels["probabilities"]) == ({"good", "bad"} if task == "mood" else {"long", "short"})


def read(path: Path) -> list[dict[str, Any]]:
    text = path.read_text("utf-8")
    if path.suffix == ".csv":
        return list(csv.DictReader(io.StringIO(text)))
    return [json.loads(line) for line in text.splitlines()]


def test_score_compares_two_files(call: Call, tmp_path: Path) -> None:
    said, wanted = tmp_path / "said.txt", tmp_path / "wanted.txt"
    said.write_text("the cat sat on the mat\na dog\n", encoding="utf-8")
    wanted.write_text("the cat sat on the mat\na cat\n", encoding="utf-8")
    pair = ("--predictions", said, "--references", wanted)
    found = fine(call("score", *pair, "--json")).json
    assert found["n"] == 2 and set(found["metrics"]) == {"rouge1", "rouge2", "rougeL", "bleu", "chrf"}
    assert found["metrics"]["rouge1"]["value"] == pytest.approx(0.75)
    plain = fine(call("score", *pair, "--metrics", "rouge1")).out
    assert plain.startswith("n = 2") and "0.7500 [" in plain and "tok:" in plain
    more = tmp_path / "more.csv"
    more.write_text("id,a,b\n1,x,y\n2,z,a dog\n", encoding="utf-8")
    columns = ("--references", f"{more}:a", "--references", f"{more}:b")
    found = fine(call("score", *pair, *columns, "--metrics", "rougeL:stem=yes,ter", "--items", "--json")).json
    assert found["items"] == {"rougeL:stem=yes": [1.0, 1.0], "ter": [0.0, 0.0]}
    assert found["metrics"]["ter"]["signature"].startswith("nrefs:3")
    worst = fine(call("score", *pair, "--metrics", "rouge1", "--items")).out
    assert worst.index("a dog") < worst.index("the cat sat")


def test_score_takes_the_language_of_its_texts(call: Call, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("été\n", encoding="utf-8")
    both = ("--predictions", tmp_path / "a.txt", "--references", tmp_path / "a.txt", "--metrics", "rouge1")
    assert "tok:words" in fine(call("score", *both, "--lang", "fr")).out
    assert "metric" in fine(call("score", *both, "--language", "zh")).out
    assert "metric" in fine(call("score", *both, "--lang", "zh")).out, "behind score it is the texts' language"
    assert "指标" in fine(call("--lang", "zh", "score", *both)).out


# -- what happened --------------------------------------------------------------------------------------------------


def test_runs_are_listed_and_shown(call: Call, climbed: Path) -> None:
    runs = fine(call("runs", "list", "--json")).json["runs"]
    stages = [run["stage"] for run in runs]
    assert stages[:3] == ["ingest", "profile", "select"] and {"adapt", "evaluate", "deploy"} <= set(stages)
    assert "baseline majority, validation" in [run["what"] for run in runs]
    assert any(run["what"].startswith("release of baseline") for run in runs if run["stage"] == "deploy")
    plain = fine(call("runs", "list")).out
    assert runs[0]["id"][3:13] in plain and "ingest" in plain
    shown = fine(call("runs", "show", runs[0]["id"][:10], "--json")).json
    assert shown["id"] == runs[0]["id"] and shown["inputs"] and isinstance(shown["events"], list)
    assert json.loads(fine(call("runs", "show", runs[0]["id"])).out)["stage"] == "ingest"
    assert fine(call("runs")).out.startswith("Usage: escalade runs")


def test_a_run_that_is_not_there_is_refused(call: Call, climbed: Path) -> None:
    for id in ("ffffffffffffffff", "b2:"):
        answer = call("runs", "show", id, "--json")
        assert answer.code == 2 and answer.json["error"]["key"] == "ledger.no_such_run"
        assert answer.json["error"]["place"] == id and answer.json["error"]["cure"]


def test_the_ledger_is_verified_collected_and_rebuilt(call: Call, climbed: Path) -> None:
    said = fine(call("runs", "verify", "--json")).json
    assert said["faults"] == [] and said["runs"] == len(Ledger(climbed / ".escalade").runs())
    assert "every digest agrees" in fine(call("runs", "verify")).out
    assert fine(call("runs", "rebuild", "--json")).json["runs"] == said["runs"]
    assert isinstance(fine(call("runs", "gc", "--json")).json["deleted"], list)
    assert fine(call("runs", "verify", "--json")).json["faults"] == []
    for verb in ("gc", "rebuild"):
        assert CHINESE.search(fine(call("runs", verb, "--lang", "zh")).out)


def test_an_edited_run_is_found(call: Call, climbed: Path, tmp_path: Path) -> None:
    share = tmp_path / "share"
    fine(call("runs", "push", share))
    copy = tmp_path / "copy"
    fine(call("runs", "pull", share, "--project", copy))
    record = next((copy / ".escalade" / "runs").glob("*.json"))
    record.write_text(record.read_text("utf-8").replace('"seconds":', '"secunds":', 1), encoding="utf-8")
    answer = call("runs", "verify", "--project", copy, "--json")
    assert answer.code == 1 and len(answer.json["faults"]) >= 1
    assert "run" in call("runs", "verify", "--project", copy).out


def test_runs_are_pushed_and_pulled(call: Call, climbed: Path, tmp_path: Path) -> None:
    share, copy = tmp_path / "share", tmp_path / "copy"
    first = fine(call("runs", "push", share, "--json")).json["copied"]
    assert first > 0 and fine(call("runs", "push", share, "--json")).json["copied"] == 0
    assert fine(call("runs", "pull", share, "--project", copy, "--json")).json["copied"] == first
    mine, theirs = (fine(call("runs", "list", "--project", p, "--json")).json["runs"] for p in (climbed, copy))
    assert [run["id"] for run in mine] == [run["id"] for run in theirs]


# -- with torch -----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_pretrain_makes_a_base_that_fills_masks(call: Call, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("".join(f"{said}.\n" for said, _ in texts(200)), encoding="utf-8")
    base = tmp_path / "base"
    asked = ("pretrain", "--family", "encoder", "--text", text, "--out", base, "--context", 32, "--vocabulary", 300)
    said = fine(call(*asked, "--json")).json
    assert said["objective"] == "mlm" and said["steps"] > 0 and said["tokens"] > 0 and said["family"] == "encoder"
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {p.name for p in base.iterdir()}
    assert f"{base}: encoder" in fine(call(*asked)).out

    masks = fine(call("predict", base, "the film was [MASK] and warm", "--fill-mask", "--json")).json["masks"]
    shares = [one["probability"] for one in masks[0][0]["candidates"]]
    assert len(shares) == 5 and shares == sorted(shares, reverse=True) and 0 < sum(shares) <= 1
    assert re.match(r"'.+' 0\.\d{3}", fine(call("predict", base, "a [MASK] song", "--fill-mask")).out)
    none = call("predict", base, "no mask here", "--fill-mask", "--json")
    assert none.code == 2 and none.json["error"]["key"] == "rungs.no_mask_in_text"


# -- how it looks ---------------------------------------------------------------------------------------------------


def lines_of(print_it: Any, width: int | None, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    if width is None:
        monkeypatch.delenv("COLUMNS", raising=False)
    else:
        monkeypatch.setenv("COLUMNS", str(width))
    print_it()
    return [line.rstrip() for line in out.getvalue().splitlines()]


ROWS = [["full scratch:encoder:tiny", "0.8111 [0.7001, 0.9002]", "+0.0100 p=0.3 (no better)", "15.2"]]


def test_a_table_that_fits_is_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    found = lines_of(lambda: consoles.print_table(["a", "b", "c", "d"], ROWS), 100, monkeypatch)
    assert found == [
        "a                          b                        c                          d",
        "full scratch:encoder:tiny  0.8111 [0.7001, 0.9002]  +0.0100 p=0.3 (no better)  15.2",
    ]


def test_a_table_that_does_not_fit_is_never_broken_into_words(monkeypatch: pytest.MonkeyPatch) -> None:
    found = lines_of(lambda: consoles.print_table(["a", "score", "versus", "took"], ROWS), 60, monkeypatch)
    assert found == [
        "full scratch:encoder:tiny",
        "  score: 0.8111 [0.7001, 0.9002]",
        "  versus: +0.0100 p=0.3 (no better)   took: 15.2",
    ]


def test_a_file_gets_whole_lines_of_any_width(monkeypatch: pytest.MonkeyPatch) -> None:
    found = lines_of(lambda: consoles.print_table(["a", "b"], [["x" * 300, "[bold]y[/bold]"]]), None, monkeypatch)
    assert found[1] == "x" * 300 + "  [bold]y[/bold]"


def test_a_terminal_of_eighty_columns_is_kept_to(climbed: Path) -> None:
    said = on_a_terminal(["run", str(climbed), "--quiet"])
    assert "\x1b" not in said and "validation [95 %]: " in said
    fits_eighty_columns(said, climbed)


def test_every_table_fits_eighty_columns(call: Call, climbed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for verb in (["run"], ["scope"], ["select", "--explain"], ["runs", "list"], ["evaluate", "baseline majority"]):
        fits_eighty_columns(fine(call(*verb)).out, climbed)


def fits_eighty_columns(said: str, folder: Path) -> None:
    """No line is too long but a path, none is cut short, and no text stands as a column of single words."""
    lines = [line for line in said.splitlines() if str(folder) not in line]
    assert "…" not in said and max(map(len, lines)) <= 80, said
    words = [len(line.split()) for line in lines]
    assert (1, 1, 1) not in zip(words, words[1:], words[2:], strict=False), said


def on_a_terminal(arguments: list[str]) -> str:
    """What a terminal of 80 columns without colours shows."""
    ours, theirs = pty.openpty()
    environment = os.environ | {"COLUMNS": "80", "NO_COLOR": "1", "TERM": "dumb", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "escalade", *arguments]
    with subprocess.Popen(command, stdout=theirs, stderr=subprocess.DEVNULL, env=environment) as process:
        os.close(theirs)
        said = b""
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:
                break
            if not piece:
                break
            said += piece
        assert process.wait(60) == 0
    os.close(ours)
    return said.decode().replace("\r\n", "\n")

"""``escalade evaluate MODEL --benchmark`` with a harness that is not there, one that is played, and the real one."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from command_line import Call, caller, write_jsonl

from conftest import real_data
from escalade.catalogue.engines import LM_EVAL
from escalade.models import presets
from escalade.models.save import save_model
from escalade.models.tokenizers import train_tokenizer
from escalade.stages import engines
from escalade.values import Family

PLAYED = """
import json, pathlib, sys, urllib.request
words = [word for word in sys.argv[2:] if word != "--log_samples"]
said = dict(zip(words[::2], words[1::2]))
model = json.loads(said["--model_args"])
assert (pathlib.Path(model["tokenizer"]) / "tokenizer.json").exists()
if said["--tasks"] == "broken":
    raise ValueError("Tasks not found: broken")
body = {"model": model["model"], "prompt": [[5, 6, 7]], "temperature": 0, "max_tokens": 1, "logprobs": 1,
        "seed": 1234, "echo": True}
ask = urllib.request.Request(model["base_url"], json.dumps(body).encode(), {"Content-Type": "application/json"})
told = json.load(urllib.request.urlopen(ask))["choices"][0]["logprobs"]
assert len(told["token_logprobs"]) == 4 and told["token_logprobs"][0] is None
print("Requesting API: 100%|###| 2/2 [00:00<00:00, 1.0it/s]")
out = pathlib.Path(said["--output_path"]) / "m"
out.mkdir(parents=True)
limit = int(said["--limit"])
whole = {"results": {"pairs": {"acc,none": 1.0, "acc_stderr,none": 0.0}}, "lm_eval_version": "0",
         "n-samples": {"pairs": {"effective": limit}}}
(out / "results_1.json").write_text(json.dumps(whole))
(out / "samples_pairs_1.jsonl").write_text((json.dumps({"filter": "none", "acc": 1.0}) + "\\n") * limit)
"""


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Call:
    monkeypatch.chdir(tmp_path)
    return caller(capsys)


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An engine whose Python is ours and whose harness is the script above."""
    monkeypatch.setenv("ESCALADE_HOME", str(tmp_path / "home"))
    folder = tmp_path / "home" / "engines" / LM_EVAL.name
    (folder / "bin").mkdir(parents=True)
    (folder / "harness.py").write_text(PLAYED, encoding="utf-8")
    (folder / "engine.json").write_text(json.dumps({"packages": LM_EVAL.packages}), encoding="utf-8")
    script = f'#!/bin/sh\nshift 2\nexec "{sys.executable}" "{folder}/harness.py" "$@"\n'
    (folder / "bin" / "python").write_text(script, encoding="utf-8")
    os.chmod(folder / "bin" / "python", 0o755)


def a_model(folder: Path, family: Family) -> Path:
    tokenizer = train_tokenizer(["a cat sat on the mat"] * 3, family, 400)
    save_model(presets.create(presets.preset(family, "100K", len(tokenizer), 64), seed=0), tokenizer, folder)
    return folder


@pytest.mark.usefixtures("played")
def test_a_benchmark_asks_our_server_and_gets_an_interval(call: Call, tmp_path: Path) -> None:
    model = a_model(tmp_path / "model", "decoder")
    found = call("evaluate", model, "--benchmark", "pairs", "--limit", "5", "--json")
    assert found.code == 0, found.out
    (score,) = found.json["benchmarks"]
    assert (score["task"], score["metric"], score["value"], score["n"]) == ("pairs", "acc", 1.0, 5)
    assert score["lower"] == pytest.approx(0.025 ** (1 / 5)) and found.json["model"] == "model"
    plain = call("evaluate", model, "--benchmark", "pairs", "--limit", "5").out
    assert plain.startswith("lm_eval[api]==") and "pairs" in plain and "1.0000 [0.4782, 1.0000]" in plain
    error = call("evaluate", model, "--benchmark", "broken", "--json").json["error"]
    assert error["key"] == "stages.benchmark_failed" and "Tasks not found: broken" in error["cause"]


@pytest.mark.usefixtures("played")
def test_only_a_decoder_is_asked(call: Call, tmp_path: Path) -> None:
    error = call("evaluate", a_model(tmp_path / "m", "encoder"), "--benchmark", "pairs", "--json").json["error"]
    assert error["key"] == "stages.benchmark_family" and error["cure"]


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        (["--benchmark", "pairs"], "stages.engine_missing"),
        (["--benchmark", ","], "cli.no_benchmark"),
        (["--benchmark", "pairs", "--benchmark-tasks", "nowhere"], "cli.no_task_folder"),
        (["--benchmark", "pairs", "--show", "worst:2"], "cli.benchmark_alone"),
        (["--limit", "3"], "cli.needs_benchmark"),
    ],
)
def test_what_is_missing_is_told(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], key: str
) -> None:
    monkeypatch.setenv("ESCALADE_HOME", str(tmp_path / "home"))
    error = call("evaluate", "m", *arguments, "--json").json["error"]
    assert error["key"] == key and error["place"] and error["cause"] and error["cure"]


def test_engines_are_listed_and_removed(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ESCALADE_HOME", str(tmp_path / "home"))
    (one,) = call("engines", "list", "--json").json["engines"]
    assert one["name"] == "lm-eval" and one["here"] is False and one["current"] is None
    assert "lm-eval  no" in call("engines", "list").out and "add" in call("engines").out
    assert call("engines", "remove", "lm-eval", "--json").json == {"name": "lm-eval", "removed": False}
    assert call("engines", "add", "lm-evl", "--json").json["error"]["key"] == "stages.engine_close"


TASK = """
task: whole_texts
dataset_path: json
dataset_kwargs: {{data_files: {{test: {rows}}}}}
test_split: test
output_type: multiple_choice
doc_to_text: ""
doc_to_target: 0
doc_to_choice: "{{{{[sentence_good, sentence_bad]}}}}"
target_delimiter: ""
metric_list: [{{metric: acc}}]
"""


@pytest.mark.slow
def test_the_real_harness_agrees_with_choices_by_likelihood(call: Call, tmp_path: Path) -> None:
    """Both score the same whole texts: the harness over HTTP by token ids, we in this process."""
    if not engines.find(LM_EVAL).here:
        pytest.skip("the engine lm-eval is not on this machine (escalade engines add lm-eval)")
    model, tasks = real_data("stories260k") / "hf", tmp_path / "tasks"
    good = ["She saw the big dog.", "They play in the park.", "He was happy.", "The cats are red.", "I am him."]
    bad = ["She saw big the dog.", "They plays in the park.", "Him was happy.", "The cats is red.", "Me am he."]
    pairs = [{"sentence_good": a, "sentence_bad": b} for a, b in zip(good, bad, strict=True)]
    rows = write_jsonl(tmp_path / "rows.jsonl", pairs)
    tasks.mkdir()
    (tasks / "whole_texts.yaml").write_text(TASK.format(rows=rows), encoding="utf-8")
    found = call("evaluate", model, "--benchmark", "whole_texts", "--benchmark-tasks", tasks, "--json")
    assert found.code == 0, found.out
    (score,) = found.json["benchmarks"]
    ours = call("score", "--choices", rows, "--model", model, "--json").json["metrics"]["choice_accuracy"]
    assert score["n"] == 5 and {name: score[name] for name in ("value", "lower", "upper")} == pytest.approx(
        {name: ours[name] for name in ("value", "lower", "upper")}
    )

"""``escalade score --choices`` with real and tiny models of each family."""

from __future__ import annotations

import gzip
import json
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from command_line import Call, caller, texts, write_csv, write_jsonl

from conftest import real_data
from escalade.models import presets
from escalade.models.save import save_model
from escalade.models.tokenizers import train_tokenizer
from escalade.values import Family

ROWS: list[dict[str, Any]] = [
    {"question": "What purrs?", "choices": ["a cat", "the mat"], "answer": "A", "group": "animals"},
    {"question": "What lies there?", "choices": ["a cat", "the mat"], "answer": 1, "group": "things"},
]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Call:
    monkeypatch.chdir(tmp_path)
    write_jsonl(tmp_path / "rows.jsonl", ROWS)
    return caller(capsys)


def a_model(folder: Path, family: Family, headless: bool = False) -> Path:
    tokenizer = train_tokenizer(["a cat sat on the mat"] * 3, family, 400 if family == "encoder-decoder" else 270)
    model = presets.create(presets.preset(family, "100K", len(tokenizer), 64), seed=0)
    save_model(model.base_model if headless else model, tokenizer, folder)
    return folder


@pytest.mark.parametrize(
    ("family", "likelihood"),
    [("decoder", "next token"), ("encoder-decoder", "completion given prompt"), ("encoder", "PLL")],
)
def test_every_family_chooses(call: Call, tmp_path: Path, family: Family, likelihood: str) -> None:
    asked = ("score", "--choices", "rows.jsonl", "--model", a_model(tmp_path / "model", family))
    for normalise in ("sum", "token", "byte", "calibrated"):
        found = call(*asked, "--normalise", normalise, "--out", "items.jsonl", "--json")
        assert found.code == 0, found.out
        said = found.json
        assert set(said) == {"n", "clusters", "metrics", "margin", "groups", "ties", "seconds"}
        score = said["metrics"]["choice_accuracy"]
        assert 0 <= score["lower"] <= score["value"] <= score["upper"] <= 1 and said["n"] == 2
        assert score["signature"].startswith(f"likelihood:{likelihood}|normalise:{normalise}|")
        assert [group["name"] for group in said["groups"]] == ["animals", "things"]
    items = [json.loads(line) for line in Path("items.jsonl").read_text("utf-8").splitlines()]
    assert [item["answer"] for item in items] == [0, 1] and items[1]["place"] == "rows.jsonl, line 2"
    plain = call(*asked, "--limit", "1")
    assert plain.out.startswith("n = 1") and "choice_accuracy" in plain.out and "animals" in plain.out
    assert not (tmp_path / ".escalade").exists(), "nothing is recorded"


def test_the_words_of_an_encoder_can_be_hidden_whole(call: Call, tmp_path: Path) -> None:
    write_jsonl(tmp_path / "rare.jsonl", [{"prompt": "the ", "choices": ["zyzzyva", "mat"], "answer": 0}])
    asked = ("score", "--choices", "rare.jsonl", "--model", a_model(tmp_path / "model", "encoder"), "--json")
    one, other = call(*asked, "--masking", "token").json, call(*asked, "--masking", "word").json
    assert one["metrics"]["choice_accuracy"]["signature"].startswith("likelihood:PLL|")
    assert "PLL-word-l2r" in other["metrics"]["choice_accuracy"]["signature"] and one["margin"] != other["margin"]


def test_an_encoder_without_a_head_is_refused(call: Call, tmp_path: Path) -> None:
    model = a_model(tmp_path / "bare", "encoder", headless=True)
    error = call("score", "--choices", "rows.jsonl", "--model", model, "--json").json["error"]
    assert (error["key"], error["place"]) == ("stages.no_mask_head", str(model)) and error["cause"] and error["cure"]


@pytest.mark.slow
def test_a_baseline_is_refused(call: Call, tmp_path: Path) -> None:
    write_csv(tmp_path / "reviews.csv", texts(120))
    climb = ("run", "--data", "reviews.csv", "--rung", "baseline", "--metric", "accuracy", "--target", "0.5")
    assert call(*climb).code == 0
    model = "escalade-reviews/releases/reviews"
    error = call("score", "--choices", "rows.jsonl", "--model", model, "--json").json["error"]
    assert error["key"] == "stages.no_likelihood"


@pytest.mark.parametrize(
    ("arguments", "key", "place"),
    [
        (["--choices", "rows.jsonl", "--model", "m", "--predictions", "p"], "cli.choices_and_texts", "--predictions"),
        (["--choices", "rows.jsonl"], "cli.parameter_missing", "escalade score"),
        (["--model", "m", "--predictions", "p", "--references", "r"], "cli.needs_choices", "--model"),
        (["--predictions", "p"], "cli.parameter_missing", "escalade score"),
        (["--choices", "none.jsonl", "--model", "m"], "evaluate.file_missing", "none.jsonl"),
        (["--choices", "broken.jsonl", "--model", "m"], "evaluate.row_not_json", "broken.jsonl, line 2"),
        (["--choices", "rows.jsonl", "--model", "m", "--limit", "0"], "cli.bad_value", "--limit"),
        (["--choices", "rows.jsonl", "--model", "m", "--normalise", "length"], "cli.not_a_choice", "--normalise"),
    ],
)
def test_what_does_not_go_together_is_refused(call: Call, arguments: list[str], key: str, place: str) -> None:
    Path("broken.jsonl").write_text(json.dumps(ROWS[0]) + "\n{]\n", encoding="utf-8")
    found = call("score", *arguments, "--json")
    error = found.json["error"]
    assert found.code == 2 and error["key"] == key and place in error["place"] and error["cause"] and error["cure"]


def test_a_tiny_real_decoder_knows_an_easy_paradigm(call: Call, tmp_path: Path) -> None:
    """Which case a pronoun has, and irregular participles, are there in any children's story."""
    model, wanted = real_data("stories260k") / "hf", {"principle_A_case_1", "irregular_past_participle_verbs"}
    with gzip.open(real_data("blimp") / "first100.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [row for row in map(json.loads, lines) if row["UID"] in wanted and int(row["pairID"]) < 30]
    file = write_jsonl(tmp_path / "pairs.jsonl", rows)
    said = call("score", "--choices", file, "--model", model, "--json").json
    assert said["n"] == 60 and said["ties"] == 0 and said["margin"] > 0
    assert {group["name"] for group in said["groups"]} == wanted
    assert all(group["lower"] > 0.5 for group in said["groups"])


@pytest.mark.slow
def test_a_tiny_real_decoder_takes_an_examination(call: Call, tmp_path: Path) -> None:
    """It knows nothing of it; what is held is that the number is one, and its interval holds it."""
    model = real_data("stories260k") / "hf"
    with (real_data("mmlu") / "dev.jsonl").open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in islice(lines, 285)]
    short = [row for row in rows if sum(map(len, row.values())) < 250][:40]
    file = write_jsonl(tmp_path / "exam.jsonl", short)
    found = call("score", "--choices", file, "--model", model, "--normalise", "calibrated", "--json")
    assert found.code == 0, found.out
    score = found.json["metrics"]["choice_accuracy"]
    assert found.json["n"] == len(short) and 0 <= score["lower"] <= score["value"] <= score["upper"] <= 1

"""Toxicity by classifiers: a bare one, one whose labels do not exclude each other, and one that escalade made."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from escalade import api, project
from escalade.errors import BadInput
from escalade.models.load import load_model, load_tokenizer
from escalade.models.save import save_model
from escalade.stages.attempts import find
from escalade.stages.workspace import open_workspace
from tiny_bases import make_base

ANSWERS = ["the method returns a list", "", "raises an error"]


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bases")
    make_base(folder / "base", "encoder", steps=1)
    model = load_model(folder / "base", "classify", ("mild", "toxic"), seed=1)
    save_model(model, load_tokenizer(folder / "base"), folder / "classifier")
    return folder / "classifier"


def by_hand(folder: Path, texts: list[str]) -> torch.Tensor:
    model, tokenizer = load_model(folder, "classify"), load_tokenizer(folder)
    with torch.no_grad():
        return torch.stack([model(**tokenizer(text, return_tensors="pt")).logits[0] for text in texts])


def test_the_mean_probability_of_the_label(classifier: Path) -> None:
    name = f"toxicity:model={classifier}"
    found = api.score(ANSWERS, ANSWERS, [name], items=True)
    first, third = by_hand(classifier, [ANSWERS[0], ANSWERS[2]]).softmax(-1)[:, 1].tolist()
    assert found["items"][name] == pytest.approx([first, 0, third], abs=1e-5)
    assert found["metrics"][name]["value"] == pytest.approx((first + third) / 3, abs=1e-5)
    other = api.score(ANSWERS, ANSWERS, [f"{name}:label=mild"])["metrics"][f"{name}:label=mild"]
    assert other["value"] == pytest.approx((2 - first - third) / 3, abs=1e-5)
    with pytest.raises(BadInput, match="no label 'rude'.*mild, toxic"):
        api.score(ANSWERS, ANSWERS, [f"{name}:label=rude"])


def test_labels_that_do_not_exclude_each_other_stand_alone(classifier: Path, tmp_path: Path) -> None:
    folder = tmp_path / "several"
    folder.mkdir()
    for file in classifier.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"problem_type": "multi_label_classification"}))
    name = f"toxicity:model={folder}"
    found = api.score(ANSWERS[:1], ANSWERS[:1], [name])["metrics"][name]["value"]
    assert found == pytest.approx(by_hand(folder, ANSWERS[:1]).sigmoid()[0, 1].item(), abs=1e-5)


def test_what_does_not_classify_is_refused(classifier: Path) -> None:
    with pytest.raises(BadInput, match="does not classify texts"):
        api.score(["a"], ["a"], [f"toxicity:model={classifier.parent / 'base'}"])


@pytest.mark.slow
def test_a_model_that_escalade_made(tmp_path: Path) -> None:
    rows = [("you awful fool", "toxic"), ("thank you kindly", "mild"), ("stupid awful thing", "toxic")]
    rows += [("a kind word", "mild")]
    lines = [f"{text} {i},{label}\n" for i in range(20) for text, label in rows]
    (tmp_path / "rows.csv").write_text("text,label\n" + "".join(lines), encoding="utf-8")
    said = {"tasks": [{"name": "tone", "data": "rows.csv"}], "rungs": ["baseline"], "candidates": ["scratch"]}
    api.run_project(project.parse(said), tmp_path)
    ledger = open_workspace(tmp_path).ledger
    linear, nearest = (ledger.path(find(ledger, f"baseline {name}").model.artifact) for name in ("linear", "nearest"))
    name = f"toxicity:model={linear}"
    found = api.score(["awful fool", "thank you"], ["a", "b"], [name], items=True)["items"][name]
    assert found[0] > 0.6 > 0.4 > found[1]
    with pytest.raises(BadInput, match="labels without probabilities"):
        api.score(["a"], ["a"], [f"toxicity:model={nearest}"])

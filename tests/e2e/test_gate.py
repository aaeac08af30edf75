"""The release gate on real releases: it lets the evaluated model through and refuses each way of being another one."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from escalade import climb, project
from escalade.deploy.export import Merge
from escalade.document import RunDocument
from escalade.errors import NotProven
from escalade.ledger import Run
from escalade.models.manifest import Manifest
from escalade.models.presets import create, preset
from escalade.models.save import save_model
from escalade.models.tokenizers import train_tokenizer
from escalade.protocols import Prediction
from escalade.records import Record
from escalade.stages import deploy as deploying
from escalade.stages.deploy import deploy, hold
from escalade.stages.evaluate import predictions_of
from escalade.stages.ingest import records_of
from escalade.stages.workspace import Workspace, open_workspace
from escalade.values import Base, Data, Evaluation, Model

pytestmark = pytest.mark.slow
WORDS = "river stone cloud garden winter candle mirror engine harbour pepper violin lantern".split()
TEMPLATE = (
    "{% for m in messages %}<{{ m.role }}> {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}> {% endif %}"
)


class Released:
    """A project that was run, its release, and what was evaluated."""

    def __init__(self, root: Path, space: Workspace, document: RunDocument) -> None:
        self.root, self.space, self.document = root, space, document
        self.folder = root / str(document.tasks[0].release)
        data = next(r for r in space.ledger.used.values() if r.stage == "ingest")
        self.data = Data.model_validate_json(json.dumps(data.output))
        kept = next(a for a in document.attempts if a.id == document.tasks[0].kept)
        graded: Run = space.ledger.used[kept.runs[1]]
        self.evaluation = Evaluation.model_validate_json(json.dumps(graded.output))
        self.records: list[Record] = records_of(space, self.data.validation, self.data.facts)
        self.evaluated: list[Prediction] = predictions_of(space, self.evaluation)

    def held(self, folder: Path):  # type: ignore[no-untyped-def]
        return hold(self.space, folder, self.records, self.evaluated)


def run(root: Path, rows: list[dict[str, str]], said: dict[str, object]) -> Released:
    root.mkdir()
    (root / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    task = {"name": "task", "data": "rows.jsonl", **said.pop("task", {})}  # type: ignore[dict-item]
    space = open_workspace(root)
    document = climb.run(project.parse({"tasks": [task], **said}), space)
    return Released(root, space, document)


def texts(seed: int, count: int) -> list[str]:
    draw = random.Random(seed)
    return [" ".join(draw.choices(WORDS, k=draw.randint(3, 8))) + f" {i}" for i in range(count)]


def base_folder(folder: Path, family: str, chat: bool = False) -> Path:
    """A small base with random weights, saved as any hub model is."""
    tokenizer = train_tokenizer(texts(0, 300), family, 600)  # type: ignore[arg-type]
    if chat:
        tokenizer.chat_template = TEMPLATE
    save_model(create(preset(family, "120K", len(tokenizer), 128), seed=1), tokenizer, folder)  # type: ignore[arg-type]
    return folder


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Released:
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("labelled")
    base = base_folder(root / "base", "encoder")
    rows = [{"text": t, "label": "warm" if "candle" in t or "pepper" in t else "cold"} for t in texts(1, 160)]
    task = {
        "columns": {"input": "text", "output": "label"},
        "target": {"metric": "accuracy", "at_least": 0.1},
    }
    return run(root / "project", rows, {"candidates": [str(base)], "rungs": ["full"], "task": task})


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Released:
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("written")
    base = base_folder(root / "base", "decoder", chat=True)
    rows = [{"input": t, "output": t.split()[0]} for t in texts(2, 160)]
    task = {
        "columns": {"input": "input", "output": "output"},
        "kind": "generation",
        "target": {"metric": "chrf", "at_least": 1},
    }
    return run(root / "project", rows, {"candidates": [str(base)], "rungs": ["lora"], "task": task})


def kept_rung(released: Released) -> str:
    kept = next(a for a in released.document.attempts if a.id == released.document.tasks[0].kept)
    return kept.rung


def test_the_releases_are_of_trained_models_and_passed(labelled: Released, written: Released) -> None:
    assert (kept_rung(labelled), kept_rung(written)) == ("full", "lora")
    for released in (labelled, written):
        gate = released.document.tasks[0].gate
        assert gate is not None and gate.passed and gate.differing == 0
        assert released.held(released.folder).passed
        assert (released.folder / "README.md").exists() and not list(released.folder.glob("*.bin"))
    assert not (written.folder / "adapter").exists(), "the adapter is merged into the weights"


def scaled_layer(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    name = next(n for n in weights if n.endswith(("mlp.up_proj.weight", "intermediate.dense.weight")))
    save_file({**weights, name: weights[name] * 1.05}, folder / "model.safetensors", metadata={"format": "pt"})


def swapped_labels(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    names = config["id2label"]
    config["id2label"] = {"0": names["1"], "1": names["0"]}
    config["label2id"] = {names["1"]: 0, names["0"]: 1}
    (folder / "config.json").write_text(json.dumps(config))


def changed_tokenizer(folder: Path) -> None:
    said = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    vocabulary = said["model"]["vocab"]
    one, other = "\u0120river", "\u0120stone"  # two whole words of the rows, with the blank before them
    vocabulary[one], vocabulary[other] = vocabulary[other], vocabulary[one]
    (folder / "tokenizer.json").write_text(json.dumps(said, ensure_ascii=False), encoding="utf-8")


def other_chat_template(folder: Path) -> None:
    path = folder / "chat_template.jinja"
    if path.exists():
        path.write_text(TEMPLATE.replace("<{{ m.role }}>", "[{{ m.role }}]"))
    else:
        config = json.loads((folder / "tokenizer_config.json").read_text())
        config["chat_template"] = TEMPLATE.replace("<{{ m.role }}>", "[{{ m.role }}]")
        (folder / "tokenizer_config.json").write_text(json.dumps(config))


def other_prompt(folder: Path) -> None:
    manifest = json.loads((folder / "escalade.json").read_text())
    manifest["template"]["instruction"] = "Do something else."
    (folder / "escalade.json").write_text(json.dumps(manifest))


def lost_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


@pytest.mark.parametrize("fault", [scaled_layer, swapped_labels, changed_tokenizer, lost_weights])
def test_refuses_a_changed_classifier(labelled: Released, tmp_path: Path, fault: Callable[[Path], None]) -> None:
    folder = tmp_path / "release"
    shutil.copytree(labelled.folder, folder)
    fault(folder)
    gate = labelled.held(folder)
    assert not gate.passed and gate.reason


@pytest.mark.parametrize("fault", [scaled_layer, changed_tokenizer, other_chat_template, other_prompt])
def test_refuses_a_changed_writer(written: Released, tmp_path: Path, fault: Callable[[Path], None]) -> None:
    folder = tmp_path / "release"
    shutil.copytree(written.folder, folder)
    fault(folder)
    gate = written.held(folder)
    assert not gate.passed and gate.reason


def test_refuses_a_release_without_its_adapter(written: Released, tmp_path: Path) -> None:
    folder = tmp_path / "release"
    shutil.copytree(written.folder, folder)
    shutil.copyfile(written.root.parent / "base" / "model.safetensors", folder / "model.safetensors")
    gate = written.held(folder)
    assert not gate.passed and gate.reason


def test_a_refusal_is_an_error_and_nothing_is_released(written: Released, monkeypatch: pytest.MonkeyPatch) -> None:
    """An export that goes wrong, here by one scaled layer, ends in an error instead of a release."""
    real = deploying.export

    def wrong(folder: Path, base_folder: Path | None, out: Path, merger: Callable[[], Merge]) -> Manifest:
        made = real(folder, base_folder, out, merger)
        scaled_layer(out)
        return made

    monkeypatch.setattr(deploying, "export", wrong)
    attempt = next(a for a in written.document.attempts if a.id == written.document.tasks[0].kept)
    adapted = written.space.ledger.used[attempt.runs[0]]
    model = Model.model_validate_json(json.dumps(adapted.output)).model_copy(update={"findings": {"again": 1}})
    base = Base.model_validate_json(json.dumps(adapted.inputs["base"]))
    before = len(written.space.ledger.runs())
    with pytest.raises(NotProven, match="refused"):
        deploy(written.space, model, base, written.evaluation, written.data, [])
    assert len(written.space.ledger.runs()) == before

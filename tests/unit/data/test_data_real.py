"""Real data sets, read as a newcomer would: no column named, no kind given."""

from __future__ import annotations

import csv
import gzip
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from escalade.data import Prepared, parse_output, prepare, render_output, render_prompt, template_for
from escalade.data.harvest import write
from escalade.project import Task
from escalade.records import Pair, Question, Tagged

pytestmark = pytest.mark.slow
Folder = Callable[[str], Path]


def run(folder: Path, data: Any, **task: Any) -> Prepared:
    return prepare(Task.model_validate({"data": data, **task}), base=folder, seed=0, language=None)


def sizes(prepared: Prepared) -> tuple[int, int, int]:
    return len(prepared.splits["train"]), len(prepared.splits["validation"]), len(prepared.splits["test"])


def overlap(prepared: Prepared, first: str, second: str) -> dict[str, Any]:
    between = prepared.account["duplicates"]["between"]
    return next(pair for pair in between if (pair["first"], pair["second"]) == (first, second))


def test_sst2(tmp_path: Path, data_folder: Folder) -> None:
    for split in ("train", "dev", "test"):
        with (tmp_path / f"{split}.csv").open("w", newline="", encoding="utf-8") as file:
            lines = (data_folder("sst2") / f"{split}.txt").read_text(encoding="utf-8").splitlines()
            csv.writer(file).writerows([["label", "sentence"], *(line.split(" ", 1) for line in lines)])
    prepared = run(tmp_path, {"train": "train.csv", "validation": "dev.csv", "test": "test.csv"})
    assert sizes(prepared) == (6920, 872, 1821) and prepared.facts.labels == ("0", "1")
    assert (prepared.facts.kind, prepared.facts.language) == ("classification", "en")


def test_waimai(data_folder: Folder) -> None:
    prepared = run(data_folder("waimai_10k"), "waimai_10k.csv")
    assert prepared.facts.language == "zh" and prepared.facts.labels == ("0", "1")
    assert sizes(prepared) == (11987 - 2 * 1068, 1068, 1068)
    counts = prepared.account["labels"]["test"]
    assert counts["1"] / 1068 == pytest.approx(4000 / 11987, abs=0.001)


def test_wnut17(tmp_path: Path, data_folder: Folder) -> None:
    folder = data_folder("wnut17")
    shutil.copy(folder / "emerging.test.annotated", tmp_path / "test.conll")
    data = {"train": "wnut17train.conll", "validation": "emerging.dev.conll", "test": str(tmp_path / "test.conll")}
    prepared = run(folder, data)
    assert sizes(prepared) == (3394, 1009, 1287) and len(prepared.facts.labels) == 13
    assert sum(len(r.tokens) for r in prepared.splits["train"] if isinstance(r, Tagged)) == 62730
    same = total = 0
    for record in prepared.splits["train"]:
        assert isinstance(record, Tagged)
        total += 1
        same += parse_output(render_output(record), record, prepared.facts) == record.tags
    assert same / total > 0.99, "what is written is read back, but for entities written twice in a sentence"


def test_multi30k(tmp_path: Path, data_folder: Folder) -> None:
    folder = data_folder("multi30k")
    sides = [gzip.decompress((folder / f"train.{code}.gz").read_bytes()).decode().splitlines() for code in ("en", "de")]
    rows = (json.dumps({"en": en, "de": de}) + "\n" for en, de in zip(*sides, strict=True))
    (tmp_path / "a.jsonl").write_text("".join(rows), encoding="utf-8")
    prepared = run(tmp_path, "a.jsonl")
    assert prepared.facts.kind == "translation" and prepared.facts.language == "en"
    assert sum(sizes(prepared)) + len(prepared.refused) == 29000


def test_hh_preferences(data_folder: Folder) -> None:
    prepared = run(data_folder("hh_rlhf_harmless"), "test.jsonl.gz")
    assert prepared.facts.kind == "generation" and sum(sizes(prepared)) + len(prepared.refused) == 2312
    for preference in prepared.preferences:
        assert preference.prompt.startswith("\n\nHuman:") and preference.prompt.endswith("\n\nAssistant:")
        assert preference.chosen != preference.rejected


def test_dialogsum(data_folder: Folder) -> None:
    start = time.monotonic()
    prepared = run(data_folder("dialogsum"), {"train": "train.jsonl.gz", "validation": "dev.jsonl"})
    assert time.monotonic() - start < 60
    assert prepared.facts.kind == "summarization" and prepared.columns.input == ("dialogue",)
    assert prepared.columns.output == "summary"
    assert overlap(prepared, "train", "test")["same_input"] > 0, "some dialogues stand there twice"


def test_csl_and_its_quotes(tmp_path: Path, data_folder: Folder) -> None:
    for split in ("dev", "test"):
        content = (data_folder("csl_title") / f"{split}.tsv").read_text(encoding="utf-8")
        (tmp_path / f"{split}.tsv").write_text("task\tabstract\ttitle\n" + content, encoding="utf-8")
    prepared = run(tmp_path, {"train": "dev.tsv", "test": "test.tsv"})
    assert sizes(prepared) == (850, 150, 1000) and prepared.facts.language == "zh"
    template = template_for(prepared.facts)
    first = prepared.splits["test"][0]
    assert (
        isinstance(first, Pair)
        and render_prompt(first, template) == f"为原文写一段摘要。\n\n原文：{first.input}\n摘要：\n"
    )


def test_clinc150(tmp_path: Path, data_folder: Folder) -> None:
    held = json.loads(gzip.decompress((data_folder("clinc150") / "data_full.json.gz").read_bytes()))
    for split in ("train", "val", "test"):
        rows = ({"text": text, "intent": intent} for text, intent in held[split] + held[f"oos_{split}"])
        (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    prepared = run(tmp_path, {"train": "train.jsonl", "validation": "val.jsonl", "test": "test.jsonl"})
    assert sizes(prepared) == (15100, 3100, 5500) and len(prepared.facts.labels) == 151
    assert prepared.columns.output == "intent" and prepared.account["unseen_labels"] == []
    cut = run(tmp_path, "train.jsonl")
    assert sizes(cut) == (15100 - 2 * 1068, 1068, 1068)
    assert len(cut.account["labels"]["test"]) == len(cut.account["labels"]["validation"]) == 151


def test_cmrc(data_folder: Folder) -> None:
    prepared = run(data_folder("cmrc2018"), {"train": "cmrc2018_trial.json", "test": "cmrc2018_dev.json.gz"})
    assert prepared.facts.kind == "question-answering" and len(prepared.splits["test"]) == 3219
    assert all(isinstance(r, Question) and r.answers for r in prepared.splits["test"])


def test_the_harvest(tmp_path: Path) -> None:
    found = write(tmp_path)
    area = run(tmp_path, found.area.name, split={"by": "file"})
    assert area.facts.kind == "classification" and area.facts.unit == "group"
    assert area.columns.output == "area" and area.account["unseen_labels"] == []
    assert set(area.account["labels"]["test"]) == set(found.area_rows)
    summary = run(tmp_path, found.summary.name, split={"by": "file"})
    assert summary.facts.kind == "summarization" and summary.columns.input == ("code",)

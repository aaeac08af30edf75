"""A user's own metrics: what a file may say, what is refused, and that the numbers are those of the function."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import escalade
from escalade.catalogue.metrics import card, metrics_for, use_own
from escalade.catalogue.own import load_own
from escalade.cli import main
from escalade.errors import BadInput
from escalade.evaluate import load_metric, statistics_of
from escalade.protocols import Prediction
from escalade.records import Labelled, Pair
from escalade.values import Facts

HEAD = "import escalade\n\n"
FACTS = Facts(kind="generation")
PAIRS = [Pair("test:1", "in one", "abc"), Pair("test:2", "in two", "ab")]
ANSWERS = [Prediction(text="abc"), Prediction(text="")]


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    yield
    use_own(())


def known(folder: Path, body: str) -> None:
    (folder / "metrics.py").write_text(HEAD + body, encoding="utf-8")
    use_own(load_own(["metrics.py"], folder))


def refusal(folder: Path, body: str) -> BadInput:
    with pytest.raises(BadInput) as caught:
        known(folder, body)
    assert caught.value.cause and caught.value.cure
    return caught.value


def test_a_plain_function_is_a_metric(tmp_path: Path) -> None:
    known(
        tmp_path,
        '@escalade.metric\ndef same(prediction: str, reference: str) -> float:\n    "Equal texts."\n'
        "    return prediction == reference\n",
    )
    found = statistics_of("same", ANSWERS, PAIRS, FACTS)
    assert found.rows.tolist() == [[1, 1], [0, 1]] and found.value == 0.5
    assert card("same").what == "Equal texts." and "same" in metrics_for("chat")
    assert "same" not in metrics_for("chat", usual=True)
    assert load_metric("same", FACTS).signature.startswith("own|metrics.py|digest:")


def test_input_range_direction_and_kinds_are_taken(tmp_path: Path) -> None:
    known(
        tmp_path,
        "@escalade.metric(name='far', rising=False, low=0, high=99, kinds=['classification'])\n"
        "def f(prediction, reference, input):\n    return abs(len(prediction) - len(reference)) + len(input)\n",
    )
    rows = [Labelled("test:1", "xy", "good")]
    found = statistics_of("far", [Prediction(label="bad")], rows, Facts(kind="classification", labels=("bad", "good")))
    assert found.value == 3 and not card("far").rising and card("far").high == 99
    with pytest.raises(BadInput, match="does not fit"):
        load_metric("far", FACTS)


def test_the_best_of_several_references_counts(tmp_path: Path) -> None:
    body = (
        "def far(prediction, reference):\n    return abs(len(prediction) - len(reference))\n"
        "near = escalade.metric(name='near', rising=False, high=9)(far)\n"
        "@escalade.metric\ndef count(prediction, references):\n    return len(references) / 10\n"
    )
    known(tmp_path, body)
    said = escalade.score(["ab"], [["abcde", "abc", "a" * 9]], ["rougeL"], metrics_from=[tmp_path / "metrics.py"])
    assert said["metrics"]["near"]["value"] == 1 and said["metrics"]["count"]["value"] == 0.3
    assert set(said["metrics"]) == {"rougeL", "near", "count"}


def test_a_class_has_statistics_of_its_own(tmp_path: Path) -> None:
    body = """
import numpy as np
@escalade.metric(high=10)
class Longest:
    def __init__(self, setting):
        pass
    def statistics(self, predictions, records):
        return np.array([[len(p.text), 1.0] for p in predictions])
    def value(self, sums):
        return sums[..., 0] / sums[..., 1]
"""
    known(tmp_path, body)
    assert statistics_of("Longest", ANSWERS, PAIRS, FACTS).value == 1.5


@pytest.mark.parametrize(
    ("returned", "key", "said"),
    [
        ("float('nan')", "own_value", "test:1"),
        ("2", "own_value", "gave 2.0 at row test:1"),
        ("None", "own_value", "None"),
        (
            "1 / len(prediction)",
            "own_failed",
            "metrics.py, line 5: the metric 'm' failed at row test:2: ZeroDivisionError",
        ),
    ],
)
def test_what_is_no_value_is_refused_with_its_row(tmp_path: Path, returned: str, key: str, said: str) -> None:
    known(tmp_path, f"@escalade.metric\ndef m(prediction):\n    return {returned}\n")
    with pytest.raises(BadInput) as caught:
        statistics_of("m", ANSWERS, PAIRS, FACTS)
    assert caught.value.key == f"evaluate.{key}" and said in str(caught.value)


@pytest.mark.parametrize(
    ("body", "key", "place"),
    [
        ("x = 1\n", "own_none", "metrics.py"),
        ("1 / 0\n", "own_import", "metrics.py, line 3"),
        ("def (\n", "own_import", "metrics.py, line 3"),
        ("raise SystemExit(3)\n", "own_import", "metrics.py, line 3"),
        ("@escalade.metric\ndef bleu(prediction): return 1\n", "own_clash", "metrics.py"),
        ("@escalade.metric(name='a:b')\ndef f(prediction): return 1\n", "own_name", "metrics.py"),
        ("@escalade.metric(low=1, high=1)\ndef f(prediction): return 1\n", "own_range", "metrics.py, f"),
        ("@escalade.metric(high=float('inf'))\ndef f(prediction): return 1\n", "own_range", "metrics.py, f"),
        ("@escalade.metric(kinds=['chats'])\ndef f(prediction): return 1\n", "own_kind", "metrics.py, f"),
        ("@escalade.metric\ndef f(answer): return 1\n", "own_parameters", "metrics.py, f"),
        ("@escalade.metric\ndef f(prediction, other): return 1\n", "own_parameters", "metrics.py, f"),
        ("@escalade.metric\nclass F:\n    pass\n", "own_class", "metrics.py, F"),
    ],
)
def test_what_is_no_metric_is_refused_with_its_place(tmp_path: Path, body: str, key: str, place: str) -> None:
    found = refusal(tmp_path, body)
    assert (found.key, found.place) == (f"evaluate.{key}", place)


def test_a_file_that_is_not_there_is_refused_with_its_key(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        load_own(["gone.py"], tmp_path)
    assert (caught.value.key, caught.value.place) == ("evaluate.own_missing", "metrics[0]")


def test_two_files_may_not_share_a_name_and_a_name_may_not_stay_known(tmp_path: Path) -> None:
    for name in ("a.py", "b.py"):
        (tmp_path / name).write_text(HEAD + "@escalade.metric\ndef f(prediction): return 1\n", encoding="utf-8")
    with pytest.raises(BadInput) as caught:
        load_own(["a.py", "b.py"], tmp_path)
    assert caught.value.key == "evaluate.own_clash" and caught.value.place == "b.py"
    use_own(load_own(["a.py"], tmp_path))
    use_own(())
    with pytest.raises(BadInput, match="no metric named 'f'"):
        card("f")


def test_a_changed_file_is_read_anew_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    digests: list[Any] = []
    for value in ("0.25", "0.75"):  # of equal length, within one tick of the file system's clock
        known(tmp_path, f"@escalade.metric\ndef f(prediction): return {value}\n")
        assert statistics_of("f", ANSWERS, PAIRS, FACTS).value == float(value)
        digests.append(card("f").own)
    assert digests[0].digest != digests[1].digest and [p.name for p in tmp_path.iterdir()] == ["metrics.py"]


def test_the_verb_takes_files_from_anywhere_and_records_no_path(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "own.py").write_text(HEAD + "@escalade.metric\ndef f(prediction): return 0.5\n", encoding="utf-8")
    (tmp_path / "a.txt").write_text("one\ntwo\n", encoding="utf-8")
    a = str(tmp_path / "a.txt")
    words = ["score", "--predictions", a, "--references", a, "--metrics", "rouge1", "--json"]
    with pytest.raises(SystemExit) as left:
        main([*words, "--metrics-from", str(tmp_path / "own.py")])
    said = capsys.readouterr().out
    assert left.value.code == 0 and json.loads(said)["metrics"]["f"]["value"] == 0.5
    assert str(tmp_path) not in said


def test_importing_escalade_stays_light() -> None:
    code = "import sys, escalade; print(sorted(set(sys.modules) & {'numpy', 'pydantic', 'torch'}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

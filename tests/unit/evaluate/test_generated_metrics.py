"""Metrics of what answers are like, worked by hand."""

from __future__ import annotations

import pytest

from escalade.errors import BadInput
from escalade.evaluate import text_score
from escalade.evaluate.metric import statistics_of
from escalade.protocols import Prediction
from escalade.records import Pair
from escalade.values import Facts

FACTS = Facts(kind="summarization", language="en")


def value(name: str, answers: list[str], records: list[Pair] | None = None) -> float:
    records = records or [Pair(str(i), "", "one two three") for i in range(len(answers))]
    return statistics_of(name, [Prediction(text=text) for text in answers], records, FACTS).value


def test_distinct_counts_over_all_answers() -> None:
    """Five words, of which a, b and c are different; three pairs, a b twice."""
    assert value("distinct1", ["a b", "a b c"]) == pytest.approx(3 / 5)
    assert value("distinct2", ["a b", "a b c"]) == pytest.approx(2 / 3)
    assert value("distinct1", ["", ""]) == 0


def test_repetition_within_an_answer() -> None:
    """Of "a b a b a" the pairs are ab, ba, ab, ba: two of four repeat; another answer repeats nothing."""
    assert value("repetition:n=2", ["a b a b a"]) == pytest.approx(0.5)
    assert value("repetition:n=2", ["a b a b a", "a b c"]) == pytest.approx(2 / 6)
    assert value("repetition", ["a b c d a b c d"]) == pytest.approx(1 / 5)


def test_length_ratio_may_pass_its_usual_end() -> None:
    assert value("length_ratio", ["a b c", "a b c d e f"]) == pytest.approx(9 / 6)
    found = text_score(["a b c d e f g h i"] * 3 + ["a"], ["a"] * 4, ["length_ratio"])["metrics"]["length_ratio"]
    assert found["value"] == pytest.approx(7) and found["lower"] <= 7 <= found["upper"] <= 9


def test_copy_rate_needs_an_input() -> None:
    records = [Pair("0", "the cat sat on the mat", "x"), Pair("1", "dogs run", "x")]
    assert value("copy_rate:n=2", ["The cat sat down", "cats run"], records) == pytest.approx(2 / 4)
    with pytest.raises(BadInput, match="no record has one"):
        value("copy_rate", ["a b c d"])


def test_a_falling_metric_above_its_usual_end_still_has_an_interval() -> None:
    found = text_score(["a b c d e f", "a"], ["x", "a"], ["ter"])["metrics"]["ter"]
    assert found["value"] == pytest.approx(300) and found["lower"] <= 300 <= found["upper"] <= 600

"""The gate's comparison of numbers, without any model."""

from __future__ import annotations

import math

import pytest

from escalade.deploy.gate import compare
from escalade.protocols import Prediction


@pytest.mark.parametrize("place", [0, 1])
def test_a_number_that_is_none_is_no_agreement(place: int) -> None:
    said = Prediction(label="a", probabilities={"a": 0.5, "b": 0.5}, logprobs=(-0.7,))
    shares = {"a": 0.5, "b": math.nan} if place else {"a": math.nan, "b": 0.5}
    found = Prediction(label="a", probabilities=shares, logprobs=(-0.7,))
    gate = compare([said, said], [said, found])
    assert not gate.passed and gate.reason
    assert compare([said], [said]).passed

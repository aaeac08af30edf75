"""What a baseline or a probe keeps as safetensors comes back as it was, whatever way it lay in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from escalade.rungs.baselines.logistic import Logistic

LABELS = ["calm", "odd", "wild"]


def transposed() -> NDArray[np.float32]:
    """(labels, features), as a view on a (features, labels) buffer."""
    return np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32).T


def column_major() -> NDArray[np.float32]:
    """(labels, features), column by column."""
    return np.asfortranarray(np.random.default_rng(1).normal(size=(3, 5)).astype(np.float32))


@pytest.mark.parametrize("make", [transposed, column_major])
def test_weights_come_back_whatever_way_they_lay_in_memory(make, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    weights = make()
    assert not weights.flags.c_contiguous
    fitted = Logistic(LABELS, weights, np.arange(6, dtype=np.float32)[::2])
    fitted.save(tmp_path)
    again = Logistic.load(tmp_path)
    assert again.labels == LABELS
    assert np.array_equal(again.weights, weights) and np.array_equal(again.bias, fitted.bias)
    features = np.random.default_rng(2).normal(size=(4, 5))
    assert np.array_equal(again.log_probabilities(features), fitted.log_probabilities(features))


@pytest.mark.parametrize("make", [transposed, column_major])
def test_the_library_itself_still_writes_the_buffer_as_it_lies(make, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """When this fails the copies made before saving are no longer needed."""
    weights = make()
    save_file({"weights": weights}, tmp_path / "weights.safetensors")
    assert not np.array_equal(load_file(tmp_path / "weights.safetensors")["weights"], weights)

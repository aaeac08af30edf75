"""Logistic regression as numbers: fitted by scikit-learn, kept as safetensors, applied by numpy."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file


class Logistic:
    """Multinomial logistic regression.

    Args:
        labels: Label of each row of ``weights``.
        weights: (labels, features) float32.
        bias: (labels,) float32.
    """

    def __init__(self, labels: list[str], weights: NDArray[np.float32], bias: NDArray[np.float32]) -> None:
        self.labels, self.weights, self.bias = labels, weights, bias

    @classmethod
    def fit(cls, features: Any, answers: Sequence[str], strength: float, seed: int) -> Logistic:
        """Fits with L2 regularisation; ``strength`` is its inverse (scikit-learn's C). One label needs no fit."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression

        labels = sorted(set(answers))
        if len(labels) == 1:
            return cls(labels, np.zeros((1, features.shape[1]), np.float32), np.zeros(1, np.float32))
        fitted = LogisticRegression(C=strength, max_iter=200, tol=1e-3, random_state=seed)
        with warnings.catch_warnings():
            # 200 iterations are enough for a baseline; the score says how good it is.
            warnings.simplefilter("ignore", ConvergenceWarning)
            fitted.fit(features, list(answers))
        weights, bias = fitted.coef_, fitted.intercept_
        if len(labels) == 2:
            # scikit-learn keeps one row for two labels: the second one's log-odds.
            weights, bias = np.vstack([-weights / 2, weights / 2]), np.concatenate([-bias / 2, bias / 2])
        return cls(labels, weights.astype(np.float32), bias.astype(np.float32))

    def log_probabilities(self, features: Any) -> NDArray[np.float64]:
        """(rows, labels): log-softmax of the scores."""
        scores = np.asarray(features @ self.weights.T.astype(np.float64)) + self.bias
        scores -= scores.max(1, keepdims=True)
        return np.asarray(scores - np.log(np.exp(scores).sum(1, keepdims=True)))

    def save(self, folder: Path) -> None:
        """Writes logistic.json (labels) and logistic.safetensors."""
        (folder / "logistic.json").write_text(json.dumps(self.labels, ensure_ascii=False), encoding="utf-8")
        # safetensors writes the buffer as it lies: a transposed array would come back scrambled.
        numbers = {"weights": np.ascontiguousarray(self.weights), "bias": np.ascontiguousarray(self.bias)}
        save_file(numbers, folder / "logistic.safetensors")

    @classmethod
    def load(cls, folder: Path) -> Logistic:
        """Reads what ``save`` wrote."""
        numbers = load_file(folder / "logistic.safetensors")
        labels = json.loads((folder / "logistic.json").read_text(encoding="utf-8"))
        if len(labels) != len(numbers["weights"]) or len(labels) != len(numbers["bias"]):
            raise ValueError(f"{len(labels)} labels for {len(numbers['weights'])} rows of weights")
        return cls(labels, numbers["weights"], numbers["bias"])

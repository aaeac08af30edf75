"""Rows of different lengths as matrices: fastest where rows are arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

Ids = Sequence[int] | np.ndarray


def matrix(rows: Sequence[Ids], value: int) -> Tensor:
    """(rows, longest) of int64, padded with ``value`` on the right."""
    filled, made = _shape(rows)
    made.fill(value)
    made[filled] = np.concatenate([np.asarray(row, dtype=np.int64) for row in rows])
    return torch.from_numpy(made)


def filled(rows: Sequence[Ids]) -> Tensor:
    """(rows, longest) of int64: 1 where ``matrix`` has a token, 0 where it has padding."""
    return torch.from_numpy(_shape(rows)[0].astype(np.int64))


def _shape(rows: Sequence[Ids]) -> tuple[np.ndarray, np.ndarray]:
    lengths = np.array([len(row) for row in rows])
    inside = np.arange(lengths.max()) < lengths[:, None]
    return inside, np.empty(inside.shape, dtype=np.int64)

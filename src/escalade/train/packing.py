"""Packing: rows side by side in wider ones, none of which sees another.

A packed batch has, beside ``ids`` and ``labels``, ``segments`` (which row a token belongs to, counted from 1 in each
line; 0 is padding) and ``positions`` (its place within its own row). ``losses`` turns segments into a mask that is
block-diagonal, so that gradients are those of the rows by themselves (Krell et al. 2021, section 3.2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from escalade.protocols import Batch
from escalade.train.losses import IGNORE

NARROWEST = 64
"""Lines are 64, 128, 256, ... tokens wide."""
_STEP = 64
ATTENTION = 1 / 512
"""``attention_cost`` of a model that does not say how wide it is."""
_CALL = 256
"""What a micro-batch costs beyond its tokens, in tokens."""


@dataclass
class Line:
    """Rows that stand side by side."""

    width: int
    rows: list[int]
    """Their places in the list of lengths they were packed from."""
    filled: int = 0


def attention_cost(config: Any) -> float:
    """What a token's attention costs for each token its line is wide, in parts of all else it costs.

    Its products alone are 1 / (6 x width of the model) of a layer's others (Kaplan et al. 2020, table 1, without the
    causal half); but they are small ones, and softmax and dropout of the weights are slow passes over memory. A decoder
    256 and a BERT 288 wide were fastest with about 1 / width, on two cores.
    """
    width = getattr(config, "hidden_size", None)
    return 1 / float(width) if width else ATTENTION


def lines(lengths: Sequence[int], widest: int, attention: float = ATTENTION) -> list[Line]:
    """Rows packed into lines, long ones first, each into the first line with room (Johnson 1973, first fit).

    A line is as wide as the row that opens it asks for: the narrowest of some widths that holds it, so that many short
    rows do not pay for the attention of a long one. Which widths there are (from 64, 128, 256, ... on, or the widest
    alone) is what costs least: each width makes a micro-batch of its own. Lines come widest first.

    Args:
        lengths: Tokens of each row.
        widest: The most a line may have; no less than the longest row.
        attention: What it costs for each token a line is wide (see ``attention_cost``).
    """
    order = sorted(range(len(lengths)), key=lambda row: (-lengths[row], row))
    widest = max(lengths[order[0]], min(widest, widest_of(lengths[order[0]])))
    narrow = NARROWEST
    made = [_first_fit(lengths, order, widest, widest)]
    while narrow < widest:
        made.append(_first_fit(lengths, order, narrow, widest))
        narrow *= 2
    return min(made, key=lambda some: _cost(some, attention))


def _first_fit(lengths: Sequence[int], order: Sequence[int], narrow: int, widest: int) -> list[Line]:
    made: list[Line] = []
    for row in order:
        length = lengths[row]
        line = next((line for line in made if line.filled + length <= line.width), None)
        if line is None:
            line = Line(width_for(length, narrow, widest), [])
            made.append(line)
        line.rows.append(row)
        line.filled += length
    return made


def _cost(made: Sequence[Line], attention: float) -> float:
    """What lines cost, in tokens."""
    tokens = sum(line.width * (1 + line.width * attention) for line in made)
    return tokens + _CALL * len({line.width for line in made})


def width_for(length: int, narrow: int, widest: int) -> int:
    """The narrowest width that holds so many tokens: ``narrow``, twice, four times that, ..., or ``widest``."""
    width = narrow
    while width < length:
        width *= 2
    return max(length, min(width, widest))


def widest_of(longest: int) -> int:
    """The widest line of rows of which the longest has so many tokens: rounded up to a multiple of 64."""
    return -(-longest // _STEP) * _STEP


def packable(batch: Batch) -> bool:
    """Whether each row of a batch is one stretch of tokens with a label each, and nothing else."""
    ids, labels = batch.get("ids"), batch.get("labels")
    tensors = {name for name, part in batch.items() if torch.is_tensor(part)}
    return tensors == {"ids", "mask", "labels"} and ids.shape == labels.shape  # type: ignore[union-attr]


def pack(batch: Batch, packed: Sequence[Line], filler: int, causal: bool) -> Batch:
    """A padded batch whose rows are laid into lines.

    Args:
        batch: ``ids``, ``mask`` and ``labels``, each (rows, tokens), padded on the right, the rows in the order of the
            lines.
        packed: Lines of one width.
        filler: The id of padding.
        causal: Whether a token looks at those before it only.

    Returns:
        ``ids``, ``labels``, ``segments`` and ``positions``, each (lines, width), ``causal``, and what else there was.
    """
    kept = batch["mask"].bool()
    lengths = kept.sum(dim=1).tolist()
    width, count = packed[0].width, len(packed)
    places, positions, segments = _places(lengths, [len(line.rows) for line in packed], width)

    def laid(values: Tensor, value: int) -> Tensor:
        flat = values.new_full((count * width,), value)
        flat[places] = values
        return flat.view(count, width)

    made = {name: part for name, part in batch.items() if not torch.is_tensor(part)}
    return {
        **made,
        "ids": laid(batch["ids"][kept], filler),
        "labels": laid(batch["labels"][kept], IGNORE),
        "positions": laid(positions, 0),
        "segments": laid(segments, 0),
        "causal": causal,
    }


def _places(lengths: Sequence[int], per_line: Sequence[int], width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Of every token in turn: its place among all lines, its position in its row, its row's number in the line."""
    rows = np.asarray(lengths)
    line = np.repeat(np.arange(len(per_line)), per_line)
    number = np.concatenate([np.arange(1, n + 1) for n in per_line])
    before = np.cumsum(rows) - rows
    # Tokens before a row in its own line: those before it at all less those before its line.
    line_before = np.repeat(before[np.cumsum(per_line) - np.asarray(per_line)], per_line)
    start = line * width + before - line_before
    position = np.arange(rows.sum()) - np.repeat(before, rows)
    made = (np.repeat(start, rows) + position, position, np.repeat(number, rows))
    places, positions, segments = (torch.from_numpy(part) for part in made)
    return places, positions, segments

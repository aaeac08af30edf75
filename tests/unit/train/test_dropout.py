"""Dropout of our own: its rate, its independence, its gradient, and that it ends with the run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.stats import chi2
from torch import Tensor, nn

from escalade.train import compiling, dropout

torch.set_num_threads(1)
Drop = Callable[[Tensor, float], Tensor]
N = 1 << 20


@cache
def compiled() -> Drop:
    return torch.compile(lambda given, p: dropout.dropout(given, p), dynamic=True)


@pytest.fixture(autouse=True)
def may_compile() -> Iterator[None]:
    with compiling.prepared():
        yield


WAYS = [
    pytest.param(lambda: dropout.dropout, id="eager"),
    pytest.param(compiled, id="compiled", marks=pytest.mark.slow),
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("p", [0.001, 0.1, 0.5, 0.9])
def test_so_many_are_dropped_and_the_rest_grows(way: Callable[[], Drop], p: float) -> None:
    torch.manual_seed(3)
    found = way()(torch.ones(N), p)
    share = float((found == 0).float().mean())
    assert abs(share - p) < 4.5 * (p * (1 - p) / N) ** 0.5 + 2**-16
    assert torch.allclose(found[found != 0], torch.tensor(1 / (1 - p)), rtol=2e-5 / (1 - p))


@pytest.mark.parametrize("way", WAYS)
def test_places_know_nothing_of_each_other(way: Callable[[], Drop]) -> None:
    """Eight places side by side take each of their 256 patterns as often as chance says, and so do places a row
    apart, and the same place in two calls."""
    torch.manual_seed(5)
    first, second = (way()(torch.ones(1024, 1024), 0.5) == 0 for _ in range(2))
    across = first[:, :-1] ^ first[:, 1:]
    for bits in (first, first.T, across, first ^ second, first[::2] ^ first[1::2]):
        patterns = np.packbits(bits.contiguous().numpy().reshape(-1)[: N // 2])
        counts = np.bincount(patterns, minlength=256)
        expected = len(patterns) / 256
        assert ((counts - expected) ** 2 / expected).sum() < chi2.ppf(1 - 1e-5, 255)


@pytest.mark.parametrize("way", WAYS)
def test_the_seed_decides(way: Callable[[], Drop]) -> None:
    def run(seed: int) -> list[Tensor]:
        torch.manual_seed(seed)
        return [way()(torch.ones(64, 33), 0.3) for _ in range(2)]

    one, again, other = run(1), run(1), run(2)
    assert all(torch.equal(a, b) for a, b in zip(one, again, strict=True))
    assert not torch.equal(one[0], one[1]) and not torch.equal(one[0], other[0])


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_gradient_flows_where_something_was_kept(way: Callable[[], Drop], dtype: torch.dtype) -> None:
    given = torch.full((5, 7, 129), 2.0, dtype=dtype, requires_grad=True)
    found = way()(given, 0.25)
    found.backward(torch.ones_like(found))
    assert found.dtype == dtype and given.grad is not None
    assert torch.equal(given.grad * 2, found) and 0.2 < float((found == 0).float().mean()) < 0.3


@pytest.mark.parametrize("p", [1.0, 1 - 2**-30])
def test_all_may_be_dropped(p: float) -> None:
    torch.manual_seed(0)
    given = torch.ones(50, requires_grad=True)
    found = dropout.dropout(given, p)
    found.sum().backward()
    assert not found.any() and given.grad is not None and not given.grad.any()


def test_next_to_nothing_may_be_dropped() -> None:
    assert dropout.dropout(torch.ones(1 << 16), 1e-6).min() == 1


@pytest.mark.slow
def test_each_dropout_of_a_compiled_layer_drops_other_places() -> None:
    """Two of one shape and rate in one graph with a gradient: an optimizer of graphs takes them for the same."""
    twice = torch.compile(lambda x: (dropout.dropout(x, 0.5), dropout.dropout(x, 0.5)), dynamic=True)
    given = torch.ones(1 << 16, requires_grad=True)
    one, two = twice(given)
    (one.sum() + two.sum()).backward()
    assert 0.48 < float((one == two).float().mean()) < 0.52
    assert given.grad is not None and torch.equal(given.grad, (one + two).detach())


def test_nothing_is_dropped_outside_of_training() -> None:
    given = torch.ones(9)
    assert dropout.dropout(given, 0.5, training=False) is given and dropout.dropout(given, 0.0) is given
    with pytest.raises(ValueError, match="between 0 and 1"):
        dropout.dropout(given, -0.1)
    changed = dropout.dropout(given, 0.5, inplace=True)
    assert changed is given and set(given.tolist()) <= {0.0, 2.0}


def test_modules_use_it_while_a_run_lasts() -> None:
    before = F.dropout
    torch.manual_seed(0)
    wanted = dropout.dropout(torch.ones(99), 0.5)
    with pytest.raises(RuntimeError, match="broken"), dropout.replaced():
        torch.manual_seed(0)
        assert torch.equal(nn.Dropout(0.5)(torch.ones(99)), wanted)
        raise RuntimeError("broken")
    assert F.dropout is before

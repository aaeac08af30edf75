"""The dial's laws, beside numbers worked out by hand or printed in the papers they come from."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from escalade.catalogue import dial
from escalade.catalogue.dial import Network

TINY = Network("decoder", parameters=500_000, total=1_000_000, layers=2, width=128, vocabulary=4000, context=256)


@pytest.mark.parametrize(("compute", "ratio"), [(1e17, 27.2), (1e19, 24.2), (5.76e23, 18.3)])
def test_the_optimum_is_where_the_refitted_law_puts_it(compute: float, ratio: float) -> None:
    # The compute-optimal tokens a parameter that the refit prints, at a compute of 6 N D.
    parameters = math.sqrt(compute / (6 * ratio))
    assert dial.optimal_tokens(parameters) / parameters == pytest.approx(ratio, abs=0.1)


def test_the_optimum_has_the_least_loss_of_its_compute() -> None:
    def loss(parameters: float, tokens: float) -> float:
        return 1.8172 + 482.01 / parameters**0.3478 + 2085.43 / tokens**0.3658

    best = dial.optimal_tokens(1e6)
    assert loss(1e6, best) < loss(1.3e6, best / 1.3) and loss(1e6, best) < loss(1e6 / 1.3, best * 1.3)


def test_learning_rate_and_batch_are_step_laws() -> None:
    # log10: 0.25285 - 0.713 x 9 + 0.307 x 11 = -2.78715, the 1B network on 100B tokens.
    assert dial.law_rate(1e9, 1e11) == pytest.approx(10**-2.78715, rel=1e-4)
    # 0.58 x 10^(8 x 0.571) = 0.58 x 36 983 = 21 450 tokens: 42 rows of 512.
    assert dial.batch_tokens(1e8, 512) == 42 * 512
    assert dial.batch_tokens(1e4, 128) == 4 * 128
    assert dial.batch_tokens(1e12, 512) == 2**17


def test_a_small_network_gets_what_was_measured_and_a_large_one_the_law() -> None:
    # 1.79 x (3e5)^-0.713 x (5e5)^0.307 = 0.0125, three times what trains such a decoder best.
    assert dial.law_rate(3e5, 5e5) == pytest.approx(0.0125, rel=0.01)
    assert dial.learning_rate("decoder", 3e5, 5e5) == 0.004
    assert dial.learning_rate("encoder", 3e5, 5e5) == 0.002
    assert dial.learning_rate("decoder", 1e9, 1e11) == 0.0016
    post_norm = [dial.learning_rate("encoder", n, 1e6, post_norm=True) for n in (1e5, 3e5, 5e6, 85e6)]
    assert post_norm == [0.002, 0.002, 0.0005, 0.00013]
    assert dial.learning_rate("decoder", 1e9, 1e11, continued=True) == pytest.approx(0.00033)


@pytest.mark.parametrize(("width", "context"), [(32, 128), (64, 128), (128, 256), (224, 256), (256, 512), (1024, 512)])
def test_the_context_is_twice_the_width_as_a_power_of_two(width: int, context: int) -> None:
    assert dial.context_for(width) == context


@pytest.mark.parametrize(("characters", "size"), [(1000, 500), (60_000, 1000), (10**8, 16_000)])
def test_the_vocabulary_grows_with_the_text_within_bounds(characters: int, size: int) -> None:
    assert dial.vocabulary_for(characters) == size


def test_steps_and_their_batch_agree_on_the_tokens() -> None:
    for steps in (10, 1000, 50_000):
        tokens = dial.tokens_of_steps(steps, 128)
        batch = dial.batch_tokens(tokens, 128)
        assert tokens == pytest.approx(steps * batch, rel=0.03)


def test_what_fits_into_a_time_takes_that_time() -> None:
    for seconds in (60, 600, 36_000):
        tokens = dial.tokens_in(TINY, 8e10, seconds)
        batch = dial.batch_tokens(tokens, TINY.context)
        assert dial.forecast_seconds(TINY, 8e10, tokens, batch) == pytest.approx(seconds, rel=0.02)
    assert dial.tokens_in(TINY, 1.6e11, 600) > dial.tokens_in(TINY, 8e10, 600)


def test_a_token_costs_three_forward_passes() -> None:
    # 3 x (2 x (500 000 + 4000 x 128) / 80e9 + 20e-6) = 3 x (25.3e-6 + 20e-6)
    assert dial.seconds_per_token(TINY, 8e10) == pytest.approx(135.9e-6, rel=1e-3)


def test_memory_counts_states_activations_and_logits() -> None:
    # 24 x 1e6 + 2 layers x 2 x 1024 x (34 x 128 + 5 x 4 x 256) + 12 x 1024 x 4000 + 0.6e9
    by_hand = 24e6 + 2 * 2 * 1024 * (4352 + 5120) + 49_152_000 + 0.6e9
    assert dial.memory_needed(TINY, 1024) == pytest.approx(by_hand)
    assert dial.memory_needed(replace(TINY, total=10**11), 1024) > 2.4e12

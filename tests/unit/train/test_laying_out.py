"""The dial turned: how long a run is, what its steps hold, and that each setting says where it comes from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from escalade import messages
from escalade.catalogue import dial
from escalade.catalogue.dial import Network
from escalade.errors import BadInput
from escalade.train.laying_out import Layout, laid_out
from escalade.train.pretraining import Length, Machine, Pretraining

TINY = Network("decoder", parameters=500_000, total=1_000_000, layers=2, width=128, vocabulary=4000, context=256)
WANTED = Pretraining("decoder", "1M", "clm")
MACHINE = Machine("a processor", 8e10, None)
TEXT = 100_000


def turned(network: Network = TINY, text: int = TEXT, **changes: Any) -> Layout:
    base = SimpleNamespace(num_attention_heads=2)
    return laid_out(replace(WANTED, **changes), network, MACHINE, 4 * text, text, text // 200, base=base)


def of(layout: Layout, name: str) -> dial.Derived:
    return next(one for one in (*layout.derived, *layout.forecast) if one.name == name)


def test_epochs_and_tokens_are_what_was_asked() -> None:
    twice, asked = turned(length=Length("epochs", 2)), turned(length=Length("tokens", 300_000))
    assert (twice.tokens, of(twice, "tokens").key) == (200_000, "dial.tokens_epochs")
    assert (asked.tokens, of(asked, "tokens").key) == (300_000, "dial.asked")
    assert twice.steps == round(200_000 / twice.batch) and asked.steps == round(300_000 / asked.batch)


def test_more_than_four_passes_are_said_and_bring_dropout() -> None:
    encoder = replace(TINY, family="encoder")
    many, few = (turned(encoder, length=Length("epochs", n)) for n in (10, 4))
    assert of(many, "tokens").key == "dial.tokens_beyond" and of(many, "tokens").facts["passes"] == 10
    assert many.dropout and of(many, "dropout").key == "dial.dropout_repeated"
    assert few.dropout == 0 and of(few, "dropout").key == "dial.dropout_none"
    assert turned(length=Length("epochs", 10)).dropout == 0


def test_the_dial_reads_the_optimum_or_a_short_text_four_times() -> None:
    long, short = turned(text=10**9), turned()
    assert long.tokens == round(dial.optimal_tokens(TINY.total)) and of(long, "tokens").key == "dial.tokens_optimal"
    assert short.tokens == 4 * TEXT and of(short, "tokens").key == "dial.tokens_repeated"


def test_minutes_are_forecast_and_take_that_time() -> None:
    layout = turned(length=Length("minutes", 5))
    assert of(layout, "tokens").key == "dial.tokens_minutes"
    assert of(layout, "time").value == pytest.approx(300, rel=0.02)
    assert turned(length=Length("minutes", 10)).tokens > 1.5 * layout.tokens


def test_steps_are_kept_to_with_a_batch_and_without() -> None:
    free, batched = turned(length=Length("steps", 40)), turned(length=Length("steps", 40), batch=1024)
    assert (free.steps, batched.steps) == (40, 40)
    assert batched.tokens == 40 * 1024 and of(batched, "batch").key == "dial.asked"


def test_a_step_holds_a_row_at_least() -> None:
    with pytest.raises(BadInput, match="255"):
        turned(batch=255)
    assert turned(batch=256).batch == 256
    assert of(turned(length=Length("tokens", 2000)), "batch").key == "dial.batch_least"


def test_a_base_keeps_what_it_is() -> None:
    continued = turned(base=Path("somewhere"))
    assert continued.dropout is None and continued.learning_rate < turned().learning_rate
    assert {of(continued, name).key for name in ("layers", "width", "heads", "vocabulary", "context")} == {
        "dial.of_base"
    }


@pytest.mark.parametrize(
    ("network", "key"),
    [
        (TINY, "dial.rate_measured"),
        (replace(TINY, post_norm=True), "dial.rate_post_norm"),
        (replace(TINY, parameters=100_000_000), "dial.rate_law"),
        (replace(TINY, parameters=10_000_000_000), "dial.rate_outside"),
    ],
)
def test_the_rate_says_its_law(network: Network, key: str) -> None:
    many = Length("tokens", 1e9)
    assert of(turned(network, length=many), "learning_rate").key == key
    assert of(turned(network, length=many, base=Path("x")), "learning_rate").key == f"{key}_continued"
    asked = turned(network, learning_rate=0.5)
    assert (asked.learning_rate, of(asked, "learning_rate").key) == (0.5, "dial.asked")


def test_every_setting_can_be_said() -> None:
    for layout in (turned(), turned(base=Path("x")), turned(length=Length("minutes", 1)), turned(vocabulary=4000)):
        for one in (*layout.derived, *layout.forecast):
            said = messages.text(one.key, **one.facts)
            assert said and "{" not in said

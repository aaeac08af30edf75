"""Numbers and texts as they are printed."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from escalade.report import format
from escalade.report.parts import sentence


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0042, "4.2\u00a0ms"), (0.42, "0.42\u00a0s"), (38.07, "38.1\u00a0s"), (99.97, "1\u00a0min 40\u00a0s"),
     (725.4, "12\u00a0min 5\u00a0s"), (3599.7, "1\u00a0h 0\u00a0min"), (11520, "3\u00a0h 12\u00a0min"), (None, "–")],
)  # fmt: skip
def test_seconds(value: float | None, shown: str) -> None:
    assert format.seconds(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0\u00a0B"), (512, "512\u00a0B"), (101e6, "101\u00a0MB"), (1.234e9, "1.23\u00a0GB"), (999.9e6, "1000\u00a0MB"),
     (None, "–")],
)  # fmt: skip
def test_size(value: float | None, shown: str) -> None:
    assert format.size(value) == shown


def test_scores_and_differences_keep_their_digits() -> None:
    assert (
        format.score(0.85444) == "0.8544" and format.score(31.456) == "31.46" and format.score(-0.5) == "\u22120.5000"
    )
    assert format.signed(0.01) == "+0.0100" and format.signed(-0.01) == "\u22120.0100"
    assert format.interval(0.1, 0.2) == "[0.1000, 0.2000]"
    assert format.percent(0.975) == "97.5\u00a0%" and format.probability(0.00012345) == "0.000123"


def test_counts_money_and_settings() -> None:
    assert format.count(1234567) == "1,234,567" and format.parameters(4_385_920) == "4.39M"
    assert format.parameters(999_600_000) == "1000M" and format.parameters(12) == "12"
    assert (
        format.money(None) == "–" and format.money(0.00042) == "0.00042\u00a0USD" and format.money(3) == "3.00\u00a0USD"
    )
    assert [format.setting(v) for v in (True, None, 3, 12345, 0.12345, "x")] == [
        "true",
        "–",
        "3",
        "12,345",
        "0.1235",
        "x",
    ]


@settings(deadline=None, max_examples=60)
@given(st.text(st.characters(codec=None, categories=None), max_size=80), st.integers(2, 20))
def test_any_text_becomes_one_that_can_be_written_and_fits(text: str, most: int) -> None:
    short = format.shorten(text, most)
    short.encode("utf-8")
    assert len(short) <= most
    assert not any(ord(char) < 32 for char in short)
    assert format.text_width(format.fit_middle(text, 60, 12), 12) <= 60 + format.text_width("…", 12)
    assert format.text_width(format.fit(text, 60, 12), 12) <= max(60, format.text_width("…", 12))


def test_sentences_begin_large_and_end_with_a_stop() -> None:
    assert sentence("best so far: x. not tried: y", "en") == "Best so far: x. Not tried: y."
    assert sentence("full x: good. full x: yes", "en", ["full x"]) == "full x: good. full x: yes."
    assert (
        sentence("目前最好：x", "zh") == "目前最好：x。"
        and sentence("done!", "en") == "Done!"
        and sentence(" ", "en") == ""
    )

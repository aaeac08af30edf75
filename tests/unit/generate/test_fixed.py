"""FixedSampler: known answers behind the interface of a model."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from escalade.errors import BadInput
from escalade.generate.fixed import FixedSampler
from escalade.protocols import Generation, Sampling

TABLE = FixedSampler({"2+2": "It is four.", "": ""})


def test_the_table_answers_in_order() -> None:
    first, second = TABLE.generate(["2+2", ""], Sampling())
    assert first == Generation("It is four.", "stop", 1, 4, (0.0,) * 4)
    assert second == Generation("", "stop", 0, 1, (0.0,))


def test_what_is_not_in_the_table_is_told() -> None:
    with pytest.raises(BadInput) as error:
        next(TABLE.generate(["3+3"], Sampling()))
    assert error.value.key == "generate.no_answer" and "3+3" in str(error.value)


def test_limits_and_stop_texts() -> None:
    assert next(TABLE.generate(["2+2"], Sampling(max_tokens=2))) == Generation("It is", "length", 1, 2, (0.0,) * 2)
    assert next(TABLE.generate(["2+2"], Sampling(max_tokens=3))).finish == "length"
    stopped = next(TABLE.generate(["2+2"], Sampling(stop=("is f",))))
    assert (stopped.text, stopped.finish) == ("It ", "stop")


def test_only_the_known_answer_is_possible() -> None:
    known, other = TABLE.score(["2+2", "2+2"], ["It is four.", "five"])
    assert known == (0.0,) * 4 and other == (float("-inf"),) * 2


@settings(deadline=None, max_examples=50)
@given(st.text(max_size=30), st.integers(1, 8), st.lists(st.text("ab ", min_size=1, max_size=2), max_size=2))
def test_a_stream_joins_to_the_whole(answer: str, most: int, stop: list[str]) -> None:
    sampler = FixedSampler(lambda prompt: answer)
    sampling = Sampling(max_tokens=most, stop=tuple(stop))
    (whole,) = sampler.generate(["x"], sampling)
    pieces = list(sampler.stream("x", sampling))
    assert "".join(piece.text for piece in pieces) == whole.text and pieces[-1].done == whole
    assert whole.completion_tokens <= most + 1 and answer.startswith(whole.text)
    assert not any(s in whole.text for s in stop)

"""Prompts told token by token, against the plain computation, and as OpenAI's legacy completions have them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tiny_models import bytes_tokenizer, model, sampler

from escalade.errors import BadInput
from escalade.generate.local import TorchSampler
from escalade.protocols import Sampling

NONE, TWO = Sampling(max_tokens=0), Sampling(max_tokens=2)
TEXTS = ["a cat", "the mat is there", "héé", "x"]


@torch.no_grad()
def plain(name: str, ids: list[int]) -> Any:
    return model(name)(input_ids=torch.tensor([ids])).logits[0].float().log_softmax(-1)


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_a_prompt_is_told_with_its_log_probabilities(name: str) -> None:
    for text, found in zip(TEXTS, sampler(name).echo(TEXTS, NONE, 3), strict=True):
        ids = [257, *bytes_tokenizer()(text)["input_ids"]]
        told = plain(name, ids)
        assert found.prompt == text and found.done.text == "" and found.done.completion_tokens == 0
        assert found.logprobs[0] is None and found.top[0] is None and found.tokens[0] == "<s>"
        by_hand = [float(told[i, token]) for i, token in enumerate(ids[1:])]
        assert found.logprobs[1:] == pytest.approx(by_hand, rel=1e-4)
        for i, (likeliest, own) in enumerate(zip(found.top[1:], found.logprobs[1:], strict=True)):
            assert likeliest is not None and own in likeliest.values() and len(likeliest) in (1, 2, 3, 4)
            assert max(likeliest.values()) == pytest.approx(float(told[i].max()), rel=1e-4)


def test_token_ids_are_read_exactly_as_they_are_and_what_follows_is_what_is_generated() -> None:
    ids = bytes_tokenizer()("a cat")["input_ids"]
    (found,) = sampler("llama").echo([ids], TWO, 1)
    (made,) = sampler("llama").generate([ids], TWO)
    assert found.prompt == "a cat" and found.done == made and len(found.tokens) == len(ids) + 2
    assert found.logprobs[-2:] == pytest.approx(made.logprobs, rel=1e-4)
    assert found.logprobs[1] == pytest.approx(float(plain("llama", ids)[0, ids[1]]), rel=1e-4)


def test_pieces_join_to_the_text_and_their_places_count_its_characters() -> None:
    (found,) = sampler("llama").echo(["a cat"], NONE, 0)
    assert "".join(found.tokens[1:]) == "a cat" and found.offsets == (0, 0, 1, 2, 3, 4)
    assert found.top[1] == {"a": found.logprobs[1]}


def test_tokens_of_one_character_begin_where_it_does_and_have_names_of_their_own() -> None:
    (found,) = sampler("llama").echo(["é你x"], NONE, 0)
    assert found.offsets == (0, 0, 0, 1, 1, 1, 2) and found.tokens[-1] == "x"
    assert len(set(found.tokens)) == len(found.tokens) and not any("\ufffd" in token for token in found.tokens)


def test_a_single_token_has_nothing_before_it() -> None:
    (found,) = sampler("llama").echo([[5]], NONE, 2)
    assert found.logprobs == (None,) and found.top == (None,)


def test_what_cannot_be_told_is_refused() -> None:
    for prompt, key in (
        ([260], "generate.token_unknown"),
        ([-1], "generate.token_unknown"),
        ([], "generate.prompt_empty"),
    ):
        with pytest.raises(BadInput) as error:
            list(sampler("llama").echo([prompt], NONE, 0))
        assert error.value.key == key
    with pytest.raises(BadInput) as error:
        list(sampler("t5").echo(["a"], NONE, 0))
    assert error.value.key == "generate.no_echo"
    with pytest.raises(BadInput) as error:
        list(TorchSampler(model("llama"), bytes_tokenizer(), "decoder", "m", 4).echo(["abcdef"], NONE, 0))
    assert error.value.key == "generate.prompt_too_long"

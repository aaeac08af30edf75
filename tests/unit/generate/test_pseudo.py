"""Pseudo-log-likelihoods of a completion behind a prompt, against the plain computation by hand."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from tiny_models import bytes_tokenizer
from tokenizers import normalizers

from escalade.errors import BadInput
from escalade.generate import likelihood
from escalade.generate.pseudo import PseudoScorer
from escalade.models import presets
from escalade.models.tokenizers import train_tokenizer

PAIRS = [("where is it?", " on the mat"), ("", "a cat sat on the mat"), ("who? ", "zyzzyva quixotic, 你好"), ("x", "y")]


@pytest.fixture(scope="module")
def encoder() -> tuple[Any, Any]:
    """A tiny masked language model and its tokenizer, whose rare words are several tokens."""
    tokenizer = train_tokenizer([text for pair in PAIRS[:2] for text in pair] * 3, "encoder", 300)
    config = presets.preset("encoder", "100K", len(tokenizer), 64)
    config.initializer_range = 0.3
    return presets.create(config, 3).double(), tokenizer


def scorer(encoder: tuple[Any, Any], **more: Any) -> PseudoScorer:
    return PseudoScorer(*encoder, "tiny", 64, **more)


@torch.no_grad()
def by_hand(network: Any, tokenizer: Any, prompt: str, completion: str, words: bool) -> list[float]:
    """One pass a token: it alone masked, or with what of its word stands behind it."""
    given = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    made = tokenizer(completion, add_special_tokens=False)
    ids = [tokenizer.cls_token_id, *given, *made["input_ids"], tokenizer.sep_token_id]
    found = []
    for i, token in enumerate(made["input_ids"]):
        place, hidden = 1 + len(given) + i, list(ids)
        for j, word in enumerate(made.word_ids()):
            if j == i or (words and j > i and word == made.word_ids()[i]):
                hidden[1 + len(given) + j] = tokenizer.mask_token_id
        found.append(float(network(input_ids=torch.tensor([hidden])).logits[0, place].float().log_softmax(-1)[token]))
    return found


@pytest.mark.parametrize("words", [False, True])
def test_each_token_is_told_from_all_that_is_not_masked(encoder: tuple[Any, Any], words: bool) -> None:
    prompts, completions = zip(*PAIRS, strict=True)
    found = scorer(encoder, words=words).score(prompts, completions)
    for pair, told in zip(PAIRS, found, strict=True):
        assert told == pytest.approx(by_hand(*encoder, *pair, words), rel=1e-5)


def test_words_of_several_tokens_are_what_the_two_ways_differ_in(encoder: tuple[Any, Any]) -> None:
    tokenizer = encoder[1]
    words = tokenizer("zyzzyva on", add_special_tokens=False).word_ids()
    assert words.count(words[0]) > 2
    (alone,), (together,) = (scorer(encoder, words=w).score([""], ["zyzzyva on"]) for w in (False, True))
    last = words.count(words[0]) - 1
    assert alone[0] != pytest.approx(together[0]) and alone[last] == pytest.approx(together[last])


def test_without_a_prompt_it_is_the_pseudo_likelihood_of_the_text(encoder: tuple[Any, Any]) -> None:
    (told,) = scorer(encoder).score([""], [PAIRS[1][1]])
    ((nats, _),) = likelihood.masked_nats(*encoder, [PAIRS[1][1]], 64, stride=1000, passes=None)
    assert sum(told) == pytest.approx(-nats, rel=1e-5)


def test_what_is_the_same_tokens_scores_the_same_to_the_last_digit(encoder: tuple[Any, Any]) -> None:
    lower = copy.deepcopy(encoder[1])
    lower.backend_tokenizer.normalizer = normalizers.Lowercase()
    told = PseudoScorer(encoder[0].float(), lower, "tiny", 64).score([""] * 3, ["a CAT", "x", "a cat"])
    encoder[0].double()
    assert told[0] == told[2] != told[1]


def test_no_pairs_have_no_scores_and_an_empty_completion_has_no_tokens(encoder: tuple[Any, Any]) -> None:
    assert scorer(encoder).score([], []) == [] and scorer(encoder).score(["a"], [""]) == [()]


def test_what_cannot_be_scored_is_told(encoder: tuple[Any, Any]) -> None:
    with pytest.raises(BadInput) as error:
        scorer(encoder).score(["a"], [])
    assert error.value.key == "generate.uneven"
    with pytest.raises(BadInput) as error:
        scorer(encoder).score(["a", "b"], ["c", "zyzzyva " * 20])
    assert error.value.key == "generate.pair_too_long" and error.value.place == "tiny, 1"
    with pytest.raises(BadInput) as error:
        PseudoScorer(encoder[0], bytes_tokenizer(), "tiny", 64)
    assert error.value.key == "generate.no_mask_token" and error.value.cure


def test_a_model_that_gives_no_numbers_is_told(encoder: tuple[Any, Any]) -> None:
    broken = copy.deepcopy(encoder[0])
    with torch.no_grad():
        broken.get_input_embeddings().weight[:] = math.nan
    with pytest.raises(BadInput) as error:
        PseudoScorer(broken, encoder[1], "tiny", 64).score(["a"], ["b"])
    assert error.value.key == "generate.not_finite"

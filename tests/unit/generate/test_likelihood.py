"""Likelihoods of whole texts and divergences, against the plain computation by hand."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import pytest
import torch
from tiny_models import FAMILIES, bytes_tokenizer, model

from escalade.errors import BadInput
from escalade.generate import likelihood
from escalade.generate.reading import Reader
from escalade.models import presets
from escalade.models.encoding import encode_prompt
from escalade.models.tokenizers import train_tokenizer

TEXTS = ["a cat sat on the mat", "héllo wörld, 你好", "x", "the end of a rather longer text than the others are"]


def reader(name: str) -> Reader:
    return Reader(model(name), FAMILIES[name], 256)  # type: ignore[arg-type]


@torch.no_grad()
def surprise(name: str, ids: list[int], **more: Any) -> float:
    """Nats of every token of ``ids`` but the first, one text at a time and without any padding."""
    logits = model(name)(input_ids=torch.tensor([ids]), **more).logits[0, :-1]
    return -float(logits.log_softmax(-1)[range(len(ids) - 1), ids[1:]].sum())


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_a_decoder_reads_the_whole_text_behind_its_beginning_token(name: str) -> None:
    tokenizer = bytes_tokenizer()
    found = likelihood.text_nats(reader(name), tokenizer, TEXTS, 128)
    for text, (nats, size) in zip(TEXTS, found, strict=True):
        assert nats == pytest.approx(surprise(name, [257, *tokenizer(text)["input_ids"]]), rel=1e-5)
        assert size == len(text.encode())


def test_a_text_beyond_the_context_is_read_in_windows_and_loses_no_token() -> None:
    tokenizer, text = bytes_tokenizer(), "abcdefghij"
    (found,) = likelihood.text_nats(reader("llama"), tokenizer, [text], 5)
    ids = tokenizer(text)["input_ids"]
    by_hand = sum(surprise("llama", [257, *ids[i : i + 4]]) for i in (0, 4, 8))
    assert found == pytest.approx([by_hand, 10], rel=1e-5)


@pytest.mark.parametrize("name", ["bart", "t5"])
def test_an_encoder_decoder_writes_the_second_half_given_the_first(name: str) -> None:
    tokenizer = bytes_tokenizer()
    found = likelihood.text_nats(reader(name), tokenizer, TEXTS, 128)
    start = reader(name).start_token()
    for text, (nats, size) in zip(TEXTS, found, strict=True):
        first, second = likelihood.halves(text)
        target = tokenizer(second)["input_ids"]
        given = torch.tensor([encode_prompt(tokenizer, "encoder-decoder", first) or [256]])
        with torch.no_grad():
            logits = model(name)(input_ids=given, decoder_input_ids=torch.tensor([[start, *target[:-1]]])).logits[0]
        by_hand = -float(logits.log_softmax(-1)[range(len(target)), target].sum())
        assert nats == pytest.approx(by_hand, rel=1e-5) and size == len(second.encode())


def test_halves_part_at_the_blank_nearest_the_middle_and_anywhere_without_one() -> None:
    assert likelihood.halves("one two three four") == ("one two", "three four")
    assert likelihood.halves("abcdef") == ("abc", "def")
    assert likelihood.halves("a bcdefghijklmnop") == ("a bcdefg", "hijklmnop"), "a blank far off would halve nothing"
    assert likelihood.halves("你好世界") == ("你好", "世界")


@pytest.fixture(scope="module")
def encoder() -> tuple[Any, Any]:
    """A tiny masked language model and its tokenizer."""
    tokenizer = train_tokenizer(TEXTS * 3, "encoder", 300)
    config = presets.preset("encoder", "100K", len(tokenizer), 64)
    config.initializer_range = 0.3
    return presets.create(config, 3).double(), tokenizer


@torch.no_grad()
def one_by_one(network: Any, tokenizer: Any, text: str) -> float:
    """Salazar et al. 2020, equation 2, to the letter: one pass for each token, it alone masked."""
    ids = tokenizer(text)["input_ids"]
    total = 0.0
    for place, token in enumerate(ids):
        if token in tokenizer.all_special_ids and place in (0, len(ids) - 1):
            continue
        hidden = torch.tensor([[*ids[:place], tokenizer.mask_token_id, *ids[place + 1 :]]])
        total -= float(network(input_ids=hidden).logits[0, place].log_softmax(-1)[token])
    return total


def test_the_pseudo_likelihood_with_every_token_masked_alone_is_that_of_the_paper(encoder: tuple[Any, Any]) -> None:
    found = likelihood.masked_nats(*encoder, TEXTS, 64, stride=1000, passes=None)
    for text, (nats, size) in zip(TEXTS, found, strict=True):
        assert nats == pytest.approx(one_by_one(*encoder, text), rel=1e-5) and size == len(text.encode())


def test_masking_every_third_token_reaches_each_once(encoder: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    network, tokenizer = encoder
    text, seen = TEXTS[3], []
    hide = likelihood.with_masks
    monkeypatch.setattr(likelihood, "with_masks", lambda ids, places, t: seen.extend(places) or hide(ids, places, t))
    likelihood.masked_nats(network, tokenizer, [text], 64, stride=3, passes=None)
    assert sorted(seen) == list(range(1, len(tokenizer(text)["input_ids"]) - 1))


def test_masked_tokens_do_not_see_each_other(encoder: tuple[Any, Any]) -> None:
    network, tokenizer = encoder
    (found,) = likelihood.masked_nats(network, tokenizer, [TEXTS[0]], 64, stride=1)
    ids = tokenizer(TEXTS[0])["input_ids"]
    all_hidden = torch.tensor([[ids[0], *[tokenizer.mask_token_id] * (len(ids) - 2), ids[-1]]])
    with torch.no_grad():
        logits = network(input_ids=all_hidden).logits[0, 1:-1]
    assert found[0] == pytest.approx(-float(logits.log_softmax(-1)[range(len(ids) - 2), ids[1:-1]].sum()), rel=1e-5)


def test_a_model_that_knows_nothing_costs_the_same_whichever_tokens_are_read(encoder: tuple[Any, Any]) -> None:
    network, tokenizer = copy.deepcopy(encoder[0]), encoder[1]
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
    lengths = [len(tokenizer(text)["input_ids"]) - 2 for text in TEXTS]
    for passes in (1, 2, None):
        found = likelihood.masked_nats(network, tokenizer, TEXTS, 64, passes=passes)
        assert found[:, 0] == pytest.approx([n * math.log(len(tokenizer)) for n in lengths], rel=1e-5)


def test_offsets_are_spread_and_turn_from_text_to_text() -> None:
    assert likelihood._offsets(7, None, 0) == list(range(7)) and likelihood._offsets(1, 2, 5) == [0]
    assert [likelihood._offsets(7, 2, turn) for turn in (0, 2, 4)] == [[0, 3], [2, 5], [4, 0]]
    used = [offset for turn in range(0, 70, 2) for offset in likelihood._offsets(7, 2, turn)]
    assert {used.count(offset) for offset in range(7)} == {10}
    assert sorted(likelihood._offsets(6, 6, 4)) == list(range(6))


def test_an_encoder_reads_long_texts_in_windows(encoder: tuple[Any, Any]) -> None:
    (whole,) = likelihood.masked_nats(*encoder, [TEXTS[3]], 64, stride=1000, passes=None)
    (parts,) = likelihood.masked_nats(*encoder, [TEXTS[3]], 8, stride=1000, passes=None)
    assert parts[1] == whole[1] and parts[0] != pytest.approx(whole[0]) and parts[0] > 0


def test_the_texts_beside_a_text_change_nothing(encoder: tuple[Any, Any]) -> None:
    together = likelihood.masked_nats(*encoder, TEXTS, 64, passes=None)
    alone = np.vstack([likelihood.masked_nats(*encoder, [text], 64, passes=None) for text in TEXTS])
    np.testing.assert_allclose(together, alone, rtol=1e-5)


PAIRS = [([257, 1, 2], [5, 6, 258]), ([257, 9], [7]), ([257, 3, 4, 5, 6], [8, 9, 10, 11])]


@pytest.mark.parametrize("name", ["llama", "bart"])
def test_a_model_diverges_from_itself_by_exactly_nothing(name: str) -> None:
    found = likelihood.divergences(reader(name), reader(name), PAIRS)
    assert found.tolist() == [[0.0, 3.0], [0.0, 1.0], [0.0, 4.0]]


def test_the_divergence_is_that_of_its_definition() -> None:
    found = likelihood.divergences(reader("llama"), reader("gpt2"), PAIRS)
    for (given, target), (nats, tokens) in zip(PAIRS, found, strict=True):
        by_hand, ids = 0.0, torch.tensor([[*given, *target]])
        with torch.no_grad():
            p = model("llama")(ids).logits[0].softmax(-1)
            q = model("gpt2")(ids).logits[0].softmax(-1)
        for place in range(len(given) - 1, len(given) - 1 + len(target)):
            by_hand += float((p[place] * (p[place] / q[place]).log()).sum())
        assert nats == pytest.approx(by_hand, rel=1e-5) and nats > 0 and tokens == len(target)


def test_a_model_that_gives_no_numbers_is_refused(encoder: tuple[Any, Any]) -> None:
    network, tokenizer = encoder
    broken = copy.deepcopy(network)
    with torch.no_grad():
        broken.get_input_embeddings().weight.fill_(math.nan)
    with pytest.raises(BadInput) as error:
        likelihood.masked_nats(broken, tokenizer, TEXTS, 64)
    assert error.value.key == "generate.not_finite"


def test_the_signature_says_what_was_computed() -> None:
    assert likelihood.signature("decoder", 64) == "nll:whole text|windows:64"
    assert likelihood.signature("encoder-decoder", 64).startswith("nll:second half given first")
    assert "every 7th token" in likelihood.signature("encoder", 64)


def test_work_can_be_ended_between_two_passes() -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        likelihood.text_nats(reader("llama"), bytes_tokenizer(), TEXTS, 64, stop)

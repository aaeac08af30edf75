"""Bits per byte and perplexity of texts, by models of each family."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from escalade import api
from escalade.errors import BadInput
from escalade.models.load import load_model, load_tokenizer
from escalade.models.save import save_model
from tiny_bases import make_base

ANSWERS = ["the method returns a list", "", "raises an error 好"]


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bases")
    for family in ("decoder", "encoder", "encoder-decoder"):
        make_base(folder / family, family, steps=1)  # type: ignore[arg-type]
    save_model(load_model(folder / "encoder", "embed"), load_tokenizer(folder / "encoder"), folder / "bare")
    return folder


def by_hand(folder: Path, text: str) -> tuple[float, int]:
    """Nats of a text under a decoder, the first token given the beginning token; and its tokens."""
    model, tokenizer = load_model(folder, "lm"), load_tokenizer(folder)
    ids = [tokenizer.bos_token_id, *tokenizer(text, add_special_tokens=False)["input_ids"]]
    with torch.no_grad():
        logprobs = model(torch.tensor([ids])).logits[0].log_softmax(-1)
    return -sum(float(logprobs[i, token]) for i, token in enumerate(ids[1:])), len(ids) - 1


def test_bits_over_bytes_and_perplexity_per_token(bases: Path) -> None:
    name = f"bits_per_byte:model={bases / 'decoder'}"
    found = api.score(ANSWERS, ANSWERS, [name])["metrics"][name]
    (one, few), (other, more) = by_hand(bases / "decoder", ANSWERS[0]), by_hand(bases / "decoder", ANSWERS[2])
    size = len(ANSWERS[0].encode()) + len(ANSWERS[2].encode())
    assert found["value"] == pytest.approx((one + other) / math.log(2) / size, rel=1e-5)
    assert found["perplexity"] == pytest.approx(math.exp((one + other) / (few + more)), rel=1e-5)
    assert found["lower"] <= found["value"] <= found["upper"] and "nll:whole text" in found["signature"]


@pytest.mark.parametrize(("family", "said"), [("encoder", "pll:"), ("encoder-decoder", "nll:second half")])
def test_models_of_every_family_have_it(bases: Path, family: str, said: str) -> None:
    name = f"bits_per_byte:model={bases / family}"
    found = api.score(ANSWERS, ANSWERS, [name])["metrics"][name]
    assert 0 < found["value"] and found["perplexity"] > 1 and said in found["signature"]


def test_a_model_that_gives_no_likelihood_is_refused(bases: Path) -> None:
    with pytest.raises(BadInput) as refused:
        api.score(ANSWERS, ANSWERS, [f"bits_per_byte:model={bases / 'bare'}"])
    assert refused.value.key == "evaluate.no_likelihood"

"""Tokenizers and models from nothing: deterministic, of the size asked for, and open to the Auto classes."""

from __future__ import annotations

import filecmp
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModelForSeq2SeqLM, AutoTokenizer

from escalade.errors import BadInput
from escalade.models import describe, presets
from escalade.models.heads import native_head
from escalade.models.load import load_model, load_tokenizer
from escalade.models.save import save_model
from escalade.models.tokenizers import (
    ARCHITECTURES,
    SENTINELS,
    SPECIAL,
    checked,
    sentinel_ids,
    special_ids,
    train_tokenizer,
)
from escalade.values import Family

FAMILIES: tuple[Family, ...] = ("encoder", "decoder", "encoder-decoder")
TEXTS = ["the cat sat on the mat", "the dog sat on the log", "天气很好，我们去公园"] * 5


@pytest.mark.parametrize("family", FAMILIES)
def test_the_same_texts_give_the_same_tokenizer(family: Family) -> None:
    one, two = (train_tokenizer(TEXTS, family, 420) for _ in range(2))
    assert one.backend_tokenizer.to_str() == two.backend_tokenizer.to_str()
    assert [one.convert_tokens_to_ids(token) for token in SPECIAL[family].values()] == list(range(len(SPECIAL[family])))
    assert len(one) <= 420


def test_sentinels_are_single_tokens_that_are_not_written_out() -> None:
    tokenizer = train_tokenizer(TEXTS, "encoder-decoder", 420)
    ids = tokenizer("".join(SENTINELS), add_special_tokens=False)["input_ids"]
    assert ids == sentinel_ids(tokenizer) and len(ids) == 100
    assert tokenizer.decode(ids, skip_special_tokens=True) == ""


def test_a_vocabulary_too_small_is_refused() -> None:
    with pytest.raises(BadInput, match="at least 260"):
        train_tokenizer(TEXTS, "decoder", 259)


def test_a_missing_padding_token_is_found_or_made_and_never_the_end_token() -> None:
    tokenizer = train_tokenizer(TEXTS, "decoder", 300)
    end = tokenizer.eos_token_id
    tokenizer.pad_token = None
    assert checked(tokenizer, "decoder").pad_token == "<pad>" and tokenizer.pad_token_id == 0
    tokenizer.pad_token = tokenizer.eos_token
    assert checked(tokenizer, "decoder").pad_token == "<pad>" and tokenizer.eos_token_id == end


def test_a_tokenizer_without_end_is_refused_for_families_that_write() -> None:
    tokenizer = train_tokenizer(TEXTS, "encoder", 300)
    assert checked(tokenizer, "encoder") is tokenizer
    with pytest.raises(BadInput) as error:
        checked(tokenizer, "decoder")
    assert error.value.key == "models.no_end_token"


NETWORKS = [(family, name) for family in FAMILIES for name in ARCHITECTURES[family]]


@pytest.mark.parametrize(("family", "architecture"), NETWORKS)
@pytest.mark.parametrize("size", ["tiny", "mini", "small", "20M", "85M"])
def test_sizes_are_met(family: Family, architecture: str, size: str) -> None:
    config = presets.preset(family, size, 300, 64, architecture)
    assert config.model_type == architecture and presets.family_of_config(config) == family
    with torch.device("meta"):
        model = presets.auto_class(family, native_head(family)).from_config(config)
    tables = model.get_input_embeddings().weight.numel()
    body = sum(parameter.numel() for parameter in model.parameters()) - tables
    assert body == pytest.approx(presets.parameters(size), rel=0.25)


def test_bert_base_is_met_exactly() -> None:
    assert presets.shape("encoder", 12 * 12 * 768**2) == (12, 768)


@pytest.mark.parametrize("size", ["", "huge", "5 M", "-1M", "M"])
def test_what_is_no_size_is_refused(size: str) -> None:
    with pytest.raises(BadInput) as error:
        presets.preset("encoder", size, 300, 64)
    assert error.value.key == "models.not_a_size"


@pytest.mark.parametrize(("family", "architecture"), NETWORKS)
def test_a_model_from_nothing_is_saved_alike_every_time_and_opens(
    family: Family, architecture: str, tmp_path: Path
) -> None:
    tokenizer = train_tokenizer(TEXTS, family, 420, architecture=architecture)
    config = presets.preset(family, "50K", len(tokenizer), 64, architecture)
    torch.manual_seed(99)
    for name in ("a", "b"):
        made = presets.create(presets.preset(family, "50K", len(tokenizer), 64, architecture), 7)
        save_model(made, tokenizer, tmp_path / name)
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert filecmp.cmpfiles(tmp_path / "a", tmp_path / "b", names, shallow=False)[0] == names
    assert not [name for name in names if name.endswith((".bin", ".pt"))]
    base = describe.describe(tmp_path / "a")
    assert (base.family, base.context) == (family, 64)
    again = load_model(tmp_path / "a", native_head(family))
    wanted = presets.create(config, 7)
    assert all(torch.equal(a, b) for a, b in zip(wanted.parameters(), again.parameters(), strict=True))
    assert load_tokenizer(tmp_path / "a").get_vocab() == tokenizer.get_vocab()
    opened = AutoTokenizer.from_pretrained(tmp_path / "a")
    assert opened("the cat, 天气")["input_ids"] == tokenizer("the cat, 天气")["input_ids"]
    assert opened.pad_token_id == AutoConfig.from_pretrained(tmp_path / "a").pad_token_id == 0


@pytest.mark.parametrize(("family", "architecture"), NETWORKS)
@torch.no_grad()
def test_ids_of_special_tokens_are_the_tokenizers_and_a_whole_context_fits(family: Family, architecture: str) -> None:
    tokenizer = train_tokenizer(TEXTS, family, 420, architecture=architecture)
    config = presets.preset(family, "50K", len(tokenizer), 24, architecture)
    ids = special_ids(family, architecture)
    assert ids == {role: getattr(tokenizer, f"{role}_id") for role in ids}
    for role in ("pad_token", "bos_token", "eos_token"):
        if role in ids:
            assert getattr(config, f"{role}_id") == ids[role]
    model = presets.create(config, 0)
    assert model.get_input_embeddings().weight.shape[0] == len(tokenizer)
    row = torch.full((1, 24), len(tokenizer) - 1)
    more = {"decoder_input_ids": row} if family == "encoder-decoder" else {}
    assert model(input_ids=row, **more).logits.shape == (1, 24, len(tokenizer))
    if family == "encoder-decoder":
        assert config.decoder_start_token_id == (ids["bos_token"] if architecture == "bart" else ids["pad_token"])
        assert sentinel_ids(tokenizer) == list(range(3, 103)) and ids["mask_token"] == 103


@pytest.mark.parametrize(("family", "architecture"), NETWORKS)
def test_dropout_is_the_published_models_unless_another_is_asked_for(family: Family, architecture: str) -> None:
    rates = {"bert": 0.1, "t5": 0.1, "bart": 0.1}

    def dropped(dropout: float | None) -> float:
        model = presets.create(presets.preset(family, "50K", 300, 64, architecture, dropout), 0)
        found = [m.p for m in model.modules() if isinstance(m, torch.nn.Dropout)]
        found += [m.dropout for m in model.modules() if isinstance(getattr(m, "dropout", None), float)]
        return max(found, default=0.0)

    assert dropped(None) == rates.get(architecture, 0.0)
    assert dropped(0.0) == 0.0


@pytest.mark.parametrize("family", FAMILIES)
def test_an_architecture_of_another_family_is_refused(family: Family) -> None:
    for attempt in (
        lambda: presets.preset(family, "50K", 300, 64, "gru"),
        lambda: train_tokenizer(TEXTS, family, 420, architecture="gru"),
    ):
        with pytest.raises(BadInput) as error:
            attempt()
        assert error.value.key == "models.no_architecture"


def test_another_seed_gives_another_model_and_leaves_the_callers_alone() -> None:
    config = presets.preset("decoder", "50K", 300, 64)
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    one, two = presets.create(config, 1), presets.create(config, 2)
    assert torch.equal(torch.rand(3), wanted)
    assert not torch.equal(one.model.embed_tokens.weight, two.model.embed_tokens.weight)


def test_generation_ends_where_the_tokenizer_says(tmp_path: Path) -> None:
    tokenizer = train_tokenizer(TEXTS, "encoder-decoder", 420)
    model = presets.create(presets.preset("encoder-decoder", "50K", len(tokenizer), 64), 0)
    model.generation_config.eos_token_id = None
    save_model(model, tokenizer, tmp_path)
    opened = AutoModelForSeq2SeqLM.from_pretrained(tmp_path)
    said = opened.generation_config
    assert (said.eos_token_id, said.pad_token_id, said.decoder_start_token_id) == (1, 0, 0)
    assert opened.generate(torch.tensor([[5, 6, 1]]), max_new_tokens=3).shape[0] == 1

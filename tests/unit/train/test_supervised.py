"""What is read and what is learnt: completions, labels, tags and preferences."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from conftest import real_data
from escalade.errors import BadInput
from escalade.models import presets
from escalade.models.encoding import decode
from escalade.models.load import load_model, load_tokenizer
from escalade.models.tokenizers import train_tokenizer
from escalade.records import Labelled, Pair, Preference, Related, Tagged, Text
from escalade.train.losses import IGNORE, cross_entropy_sum, learnt_logits
from escalade.train.objectives.classify import Classify
from escalade.train.objectives.clm import Clm
from escalade.train.objectives.mlm import Mlm
from escalade.train.objectives.preference import Dpo
from escalade.train.objectives.sft import Sft
from escalade.train.objectives.tag import Tag

torch.set_num_threads(1)
TEXTS = ["say red green blue", "the cat sat on the mat", "天气很好"]
BERT, GPT, T5 = (train_tokenizer(TEXTS, family, 420) for family in ("encoder", "decoder", "encoder-decoder"))  # type: ignore[arg-type]


def learnt(tokenizer: Any, batch: dict[str, Any], row: int = 0) -> list[str]:
    """The tokens that a row learns."""
    return [tokenizer.decode([label]) for label in batch["labels"][row].tolist() if label != IGNORE]


def test_a_decoder_learns_the_completion_and_the_end_only() -> None:
    objective = Sft(GPT, "decoder", 32)
    row = objective.encode(Pair("a", "say red", " green blue"))
    assert row is not None
    batch = objective.collate([row], [0])
    assert "".join(learnt(GPT, batch)) == " green blue</s>"
    assert decode(GPT, row.ids) == "say red green blue" and row.ids[0] == GPT.bos_token_id
    first = batch["labels"][0].tolist().index(row.ids[row.roles.index(1)])
    assert batch["ids"][0, first] == row.ids[row.roles.index(1) - 1]
    assert objective.counts(batch) == {"token": sum(row.roles)}


def test_an_encoder_decoder_learns_target_and_end_behind_its_start_token() -> None:
    objective = Sft(T5, "encoder-decoder", 32)
    rows = [objective.encode(Pair("a", "say red", "green")), objective.encode(Pair("b", "say", "red green blue"))]
    batch = objective.collate([row for row in rows if row], [0, 0])
    assert batch["ids"][0].tolist()[: len(rows[0].ids)] == T5("say red")["input_ids"]  # type: ignore[union-attr]
    assert "".join(learnt(T5, batch, 1)) == "red green blue</s>"
    seen: list[Any] = []

    class Spy(torch.nn.Module):
        config = SimpleNamespace(decoder_start_token_id=77, pad_token_id=0, is_encoder_decoder=True)

        def get_output_embeddings(self) -> None:
            return None

        def forward(self, decoder_input_ids: torch.Tensor, **_: Any) -> Any:
            seen.append(decoder_input_ids)
            return SimpleNamespace(logits=torch.zeros(*decoder_input_ids.shape, 420))

    objective.totals({"policy": Spy()}, batch)
    assert seen[0][:, 0].tolist() == [77, 77] and int(seen[0].min()) >= 0
    assert torch.equal(seen[0][1, 1:], batch["labels"][1, :-1])


def test_the_loss_is_the_models_own() -> None:
    """Against transformers' own loss, which averages where this one sums."""
    for family, tokenizer in (("decoder", GPT), ("encoder-decoder", T5)):
        objective = Sft(tokenizer, family, 32)  # type: ignore[arg-type]
        model = presets.create(presets.preset(family, "50K", len(tokenizer), 32), 0)  # type: ignore[arg-type]
        row = objective.encode(Pair("a", "say red", "green blue"))
        assert row is not None
        batch = objective.collate([row], [0])
        with torch.no_grad():
            total = objective.totals({"policy": model}, batch)["token"]
            if family == "decoder":
                labels = torch.tensor([[i if role else IGNORE for i, role in zip(row.ids, row.roles, strict=True)]])
                own = model(input_ids=batch["ids"], labels=labels).loss
            else:
                own = model(input_ids=batch["ids"], labels=batch["labels"]).loss
        assert float(total) / objective.counts(batch)["token"] == pytest.approx(float(own), rel=1e-5)


@torch.no_grad()
def test_the_real_encoder_decoder_finds_its_own_answers_likely() -> None:
    folder = real_data("aren_transliteration") / "hf"
    model, tokenizer = load_model(folder, "lm"), load_tokenizer(folder)
    objective = Sft(tokenizer, "encoder-decoder", 128)
    row = objective.encode(Pair("a", "آتزمون", "atzmon"))
    assert row is not None
    batch = objective.collate([row], [0])
    mean = float(objective.totals({"policy": model}, batch)["token"]) / objective.counts(batch)["token"]
    assert mean == pytest.approx(0.1517, abs=2e-3)


@torch.no_grad()
def test_the_real_decoder_finds_stories_likelier_than_noise() -> None:
    folder = real_data("stories260k") / "hf"
    model, tokenizer = load_model(folder, "lm"), load_tokenizer(folder)
    objective = Clm(tokenizer, 512)
    means = []
    for text in (
        "Once upon a time, there was a little girl named Lily.",
        "Lily named girl time, little a upon Once was.",
    ):
        row = objective.encode(Text("a", text))
        assert row is not None
        batch = objective.collate([row], [0])
        means.append(float(objective.totals({"policy": model}, batch)["token"]) / objective.counts(batch)["token"])
    assert means[0] < 1.5 < 3 < means[1]


def test_what_is_too_long_is_cut_at_the_prompts_beginning_first_and_named() -> None:
    objective = Sft(GPT, "decoder", 16)
    row = objective.encode(Pair("prompt", "cat " * 30 + "answer:", "red"))
    assert row is not None and len(row.ids) == 16 and row.ids[0] == GPT.bos_token_id and row.ids[-1] == GPT.eos_token_id
    assert decode(GPT, row.ids).endswith("answer:red")
    row = objective.encode(Pair("completion", "say", "red " * 30))
    assert row is not None and len(row.ids) == 16 and row.ids[-1] != GPT.eos_token_id
    row = objective.encode(Pair("both", "cat " * 30, "red " * 30))
    assert row is not None and len(row.ids) == 16 and row.roles.count(0) == 4
    assert objective.cut == ["prompt", "completion", "both"]
    objective = Sft(T5, "encoder-decoder", 8)
    row = objective.encode(Pair("source", "cat " * 30, "red " * 30))
    assert row is not None and len(row.ids) == len(row.target) == 8
    assert row.ids[-1] == T5.eos_token_id and row.target[-1] != T5.eos_token_id and objective.cut == ["source"]


def test_running_text_ends_unless_it_was_cut() -> None:
    objective = Clm(GPT, 12)
    row = objective.encode(Text("a", "red green"))
    assert row is not None and row.ids[0] == GPT.bos_token_id and row.ids[-1] == GPT.eos_token_id
    cut = objective.encode(Text("b", "red green " * 20))
    assert cut is not None and len(cut.ids) == 12 and cut.ids[-1] != GPT.eos_token_id and objective.cut == ["b"]
    assert objective.encode(Text("c", "")) is None


def test_rows_without_an_answer_teach_nothing() -> None:
    assert Sft(GPT, "decoder", 16).encode(Pair("a", "say", "")) is None
    assert Dpo(GPT, 16).encode(Preference("a", "say", "red", "red")) is None
    assert Tag(BERT, ("O",), 16).encode(Tagged("a", (), ())) is None


def test_labels_are_those_of_the_model() -> None:
    objective = Classify(BERT, ("no", "yes"), 8)
    row = objective.encode(Labelled("a", "the cat", "yes"))
    assert row is not None and row.target == (1,)
    long = objective.encode(Labelled("b", "the cat " * 9, "no"))
    assert long is not None and len(long.ids) == 8 and long.ids[-1] == BERT.sep_token_id and objective.cut == ["b"]
    batch = objective.collate([row, long], [0, 0])
    assert batch["labels"].tolist() == [1, 0] and "mask" in batch
    assert objective.encode(Related("c", "a cat sat", "cat", "sat", "no")) is not None
    with pytest.raises(BadInput) as error:
        objective.encode(Labelled("train:9", "the cat", "maybe"))
    assert error.value.key == "train.unknown_label" and error.value.place == "train:9"


def test_a_tag_is_learnt_on_the_first_token_of_its_word() -> None:
    objective = Tag(BERT, ("O", "B-X"), 32)
    row = objective.encode(Tagged("a", ("the", "zebra", "sat"), ("O", "B-X", "O")))
    assert row is not None
    labels = objective.collate([row], [0])["labels"][0].tolist()
    assert [label for label in labels if label != IGNORE] == [0, 1, 0]
    at = labels.index(1)
    assert BERT.convert_ids_to_tokens(row.ids[at]).startswith("Ġ") and labels[at + 1] == IGNORE
    assert labels[0] == labels[-1] == IGNORE
    cut = Tag(BERT, ("O", "B-X"), 4)
    short = cut.encode(Tagged("b", ("the", "cat", "sat", "on"), ("O", "B-X", "O", "B-X")))
    assert short is not None and short.target == (0, 1) and sum(short.roles) == 2 and cut.cut == ["b"]
    with pytest.raises(BadInput) as error:
        objective.encode(Tagged("c", ("a",), ("B-Y",)))
    assert error.value.key == "train.unknown_label"
    with pytest.raises(BadInput) as error:
        objective.encode(Text("d", "a"))
    assert error.value.key == "train.wrong_record"


def preference_case() -> tuple[Dpo, dict[str, Any], dict[str, Any], list[Any]]:
    objective = Dpo(GPT, 32, beta=0.1)
    models = {
        role: presets.create(presets.preset("decoder", "50K", len(GPT), 32), i)
        for i, role in enumerate(("policy", "reference"))
    }
    records = [Preference("a", "say", "red green", "blue"), Preference("b", "the cat", "sat", "on the mat 天气")]
    rows = [objective.encode(record) for record in records]
    return objective, models, objective.collate(rows, [0, 0]), rows  # type: ignore[arg-type]


def test_the_preference_loss_is_that_of_the_paper() -> None:
    """beta 0.1, log-probabilities -10 and -12 against -11 and -11.5: -log sigmoid(0.15)."""

    class Known(Dpo):
        def advantages(self, models: Any, batch: Any) -> torch.Tensor:
            return torch.tensor([(-10 - -12) - (-11 - -11.5)])

    total = Known(GPT, 32, beta=0.1).totals({}, {})["pair"]
    assert float(total) == pytest.approx(0.620957, abs=1e-6)


def test_a_policy_that_is_its_reference_has_lost_nothing_yet() -> None:
    objective, models, batch, _ = preference_case()
    total = objective.totals({"policy": models["policy"], "reference": models["policy"]}, batch)["pair"]
    assert float(total.detach()) == pytest.approx(2 * math.log(2), abs=1e-6)
    assert objective.counts(batch) == {"pair": 2}


@torch.no_grad()
def test_margins_count_the_answers_tokens_only() -> None:
    objective, models, batch, rows = preference_case()
    advantages = objective.advantages(models, batch)
    wanted = []
    for row in rows:
        sums = []
        for ids, roles in (
            (row.ids[: row.group], row.roles[: row.group]),
            (row.ids[row.group :], row.roles[row.group :]),
        ):
            for role in ("policy", "reference"):
                logprobs = models[role](input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
                sums.append(sum(float(logprobs[i - 1, ids[i]]) for i in range(1, len(ids)) if roles[i]))
        wanted.append((sums[0] - sums[1]) - (sums[2] - sums[3]))
    assert advantages.tolist() == pytest.approx(wanted, abs=1e-4)


def test_a_reference_read_beforehand_gives_the_same_and_is_not_needed_again() -> None:
    objective, models, batch, rows = preference_case()
    live = objective.totals(models, batch)["pair"]
    objective.prepare(models, rows)
    prepared = objective.totals({"policy": models["policy"]}, batch)["pair"]
    assert float(prepared.detach()) == pytest.approx(float(live.detach()), abs=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("name", ["stories260k", "aren_transliteration"])
def test_logits_of_learnt_places_are_those_of_the_whole(name: str) -> None:
    folder = real_data(name) / "hf"
    model, tokenizer = load_model(folder, "lm"), load_tokenizer(folder)
    family = "encoder-decoder" if model.config.is_encoder_decoder else "decoder"
    objective = Sft(tokenizer, family, 64)  # type: ignore[arg-type]
    rows = [objective.encode(Pair("a", "abc", "lil")), objective.encode(Pair("b", "cde fg", "o"))]
    batch = objective.collate([row for row in rows if row], [0, 0])
    picked = learnt_logits(model, batch)
    model.get_output_embeddings = lambda: None
    assert torch.allclose(picked, learnt_logits(model, batch), rtol=1e-5, atol=1e-5)
    assert picked.shape == (objective.counts(batch)["token"], model.config.vocab_size)


@torch.no_grad()
def test_an_encoders_masked_places_are_picked_before_its_output_layer() -> None:
    model = presets.create(presets.preset("encoder", "50K", len(BERT), 32), 0)
    objective = Mlm(BERT, 32)
    row = objective.encode(Text("a", "the cat sat on the mat"))
    assert row is not None
    batch = objective.collate([row], [0])
    whole = model(input_ids=batch["ids"], attention_mask=batch["mask"]).logits
    assert torch.allclose(learnt_logits(model, batch), whole[batch["labels"] != IGNORE], rtol=1e-5, atol=1e-6)
    assert not model.get_output_embeddings()._forward_pre_hooks


def test_half_precision_logits_are_summed_in_single() -> None:
    logits = torch.randn(3, 5, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([1, IGNORE, 4])
    half = cross_entropy_sum(logits.bfloat16(), labels)
    assert half.dtype == torch.float32
    assert float(half) == pytest.approx(float(cross_entropy_sum(logits.bfloat16().float(), labels)), rel=1e-6)
    assert float(cross_entropy_sum(logits, torch.full((3,), IGNORE))) == 0

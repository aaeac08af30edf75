"""Rows side by side: none sees another, none is lost, and it is what the rows are by themselves."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import GPT2Config, GPT2LMHeadModel, RobertaConfig, RobertaForMaskedLM

from escalade.models import presets
from escalade.models.tokenizers import train_tokenizer
from escalade.protocols import Row
from escalade.records import Text
from escalade.train import kernels
from escalade.train.batches import Micro, micro_batches
from escalade.train.losses import IGNORE, model_inputs, token_loss
from escalade.train.objectives.clm import Clm
from escalade.train.objectives.mlm import Mlm
from escalade.train.packing import lines, pack, packable, width_for

torch.set_num_threads(1)
WORDS = "red green blue cold warm stone river cloud".split()
TEXTS = [" ".join(WORDS[(i * 3 + k) % 8] for k in range(2 + 5 * i)) for i in range(7)]
Family = Any


def objective_of(family: Family) -> Any:
    tokenizer = train_tokenizer(TEXTS * 3, family, 320)
    return {"decoder": Clm, "encoder": Mlm}[family](tokenizer, 128)


def rows_of(objective: Any) -> list[Row]:
    return [objective.encode(Text(f"text:{i}", text)) for i, text in enumerate(TEXTS)]


@settings(deadline=None, max_examples=80)
@given(st.lists(st.integers(1, 900), min_size=1, max_size=60))
def test_every_row_lies_in_one_line_that_holds_it(lengths: list[int]) -> None:
    made = lines(lengths, 4096)
    assert sorted(row for line in made for row in line.rows) == list(range(len(lengths)))
    for line in made:
        assert line.filled == sum(lengths[row] for row in line.rows) <= line.width
    assert [line.width for line in made] == sorted((line.width for line in made), reverse=True)


def test_a_line_is_as_wide_as_the_row_that_opens_it_asks_for() -> None:
    assert [width_for(n, 64, 500) for n in (1, 64, 65, 300, 500)] == [64, 64, 128, 500, 500]
    assert width_for(900, 64, 500) == 900
    # Many short rows do not pay for the attention of one that is long.
    assert {line.width for line in lines([2000] + [100] * 80, 2048)} > {2048}


def test_a_batch_is_laid_out_by_hand() -> None:
    """Three rows in two lines of five: | a a a b b | c . . . . |."""
    batch = {
        "ids": torch.tensor([[11, 12, 13], [21, 22, 0], [31, 0, 0]]),
        "mask": torch.tensor([[1, 1, 1], [1, 1, 0], [1, 0, 0]]),
        "labels": torch.tensor([[12, 13, IGNORE], [22, IGNORE, IGNORE], [7, IGNORE, IGNORE]]),
        "note": "kept",
    }
    packed = lines([3, 2, 1], 5)
    for line, rows in zip(packed, ([0, 1], [2]), strict=False):
        line.width, line.rows = 5, rows
    if len(packed) == 1:
        packed.append(type(packed[0])(5, [2]))
    made = pack(batch, packed, filler=9, causal=True)
    assert made["ids"].tolist() == [[11, 12, 13, 21, 22], [31, 9, 9, 9, 9]]
    assert made["labels"].tolist() == [[12, 13, IGNORE, 22, IGNORE], [7, *[IGNORE] * 4]]
    assert made["positions"].tolist() == [[0, 1, 2, 0, 1], [0] * 5]
    assert made["segments"].tolist() == [[1, 1, 1, 2, 2], [1, 0, 0, 0, 0]]
    assert made["note"] == "kept" and made["causal"] is True


def test_only_rows_of_a_label_a_token_are_packed() -> None:
    ids = torch.zeros(2, 3, dtype=torch.long)
    assert packable({"ids": ids, "mask": ids, "labels": ids, "names": ["a"]})
    assert not packable({"ids": ids, "mask": ids, "labels": ids[:, 0]})
    assert not packable({"ids": ids, "mask": ids, "labels": ids, "types": ids})


def gradient(model: Any, batches: list[Any]) -> torch.Tensor:
    model.zero_grad()
    torch.stack([token_loss(model, batch) for batch in batches]).sum().backward()
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


@pytest.mark.parametrize(
    ("family", "architecture"), [("decoder", "llama"), ("encoder", "bert"), ("encoder", "modernbert")]
)
def test_the_gradient_of_packed_rows_is_that_of_the_rows(family: Family, architecture: str) -> None:
    objective = objective_of(family)
    rows = rows_of(objective)
    config = presets.preset(family, "50K", len(objective.tokenizer), 128, architecture)
    if architecture == "modernbert":
        # Windows shorter than the rows, so that a mask which forgets them would show.
        config.local_attention = 8
    model = presets.create(config, 1).eval().double()
    seeds = {row.id: i for i, row in enumerate(rows)}
    alone = gradient(model, [objective.collate([row], [seeds[row.id]]) for row in rows])
    parts = micro_batches(rows, 1 << 20, 128)
    assert any(len(line.rows) > 1 for part in parts for line in part.lines or [])
    packed = [kernels.packed_batch(objective, part, [seeds[row.id] for row in part.rows]) for part in parts]
    assert float((gradient(model, packed) - alone).norm() / alone.norm()) < 1e-6


def test_no_row_sees_another() -> None:
    """Whatever stands in one row, the outputs at the places of the others stay what they are, to the last bit."""
    objective = objective_of("decoder")
    rows = rows_of(objective)
    model = presets.create(presets.preset("decoder", "50K", len(objective.tokenizer), 128), 1).eval()
    part = Micro(rows[:3], lines([row.length for row in rows[:3]], 128)[:1])
    part.rows = [rows[row] for row in part.lines[0].rows]  # type: ignore[index]
    batch = kernels.packed_batch(objective, part, [0, 1, 2])
    changed = {**batch, "ids": torch.where(batch["segments"] == 2, 7, batch["ids"])}
    with torch.no_grad():
        one, two = (model(**model_inputs(model, b)).logits for b in (batch, changed))
    others = batch["segments"] != 2
    assert torch.equal(one[others], two[others]) and not torch.equal(one, two)


@pytest.mark.parametrize("seed", range(4))
def test_rows_that_see_each_other_are_found_out_even_untrained(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loss of an untrained model hardly depends on what it reads, so the loss alone would not tell."""
    from escalade.train import losses

    def leaking(segments: torch.Tensor, causal: bool, config: Any) -> torch.Tensor:
        return torch.ones(len(segments), 1, segments.shape[1], segments.shape[1], dtype=torch.bool)

    objective = objective_of("encoder")
    rows = rows_of(objective)
    model = presets.create(presets.preset("encoder", "50K", len(objective.tokenizer), 128), seed)
    assert kernels.packs(objective, {"policy": model}, rows, None) == (True, "train.packs")
    monkeypatch.setattr(losses, "_apart", leaking)
    assert kernels.packs(objective, {"policy": model}, rows, None) == (False, "train.packs_not_model")


def roberta(vocabulary: int) -> Any:
    config = RobertaConfig(
        vocab_size=vocabulary, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64,
        max_position_embeddings=140, pad_token_id=0,
    )  # fmt: skip
    return RobertaForMaskedLM(config).eval()


def gpt2(vocabulary: int) -> Any:
    return GPT2LMHeadModel(GPT2Config(vocab_size=vocabulary, n_embd=32, n_layer=1, n_head=2, n_positions=140)).eval()


def test_a_model_that_counts_positions_in_its_own_way_is_found_out() -> None:
    """RoBERTa's first position is not 0: packed by plain positions its loss would be another."""
    objective = objective_of("encoder")
    rows = rows_of(objective)
    assert kernels.packs(objective, {"policy": roberta(320)}, rows, None) == (False, "train.packs_not_model")
    objective = objective_of("decoder")
    rows = rows_of(objective)
    assert kernels.packs(objective, {"policy": gpt2(320)}, rows, None) == (True, "train.packs")
    assert kernels.packs(objective, {"policy": gpt2(320)}, rows, False) == (False, "train.not_asked")

"""What holds for every objective: a card in the catalogue is enough to be held to it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from objective_cases import CASES, Case, case_of, record_of

from escalade.protocols import Row
from escalade.train import Recipe, fit
from escalade.train.losses import IGNORE, cross_entropy_sum
from escalade.train.step import accumulate


@pytest.fixture(params=CASES, ids=[f"{name}-{family}" for name, family in CASES])
def case(request: pytest.FixtureRequest) -> Case:
    return case_of(*request.param)


def gradient(case: Case, models: dict[str, torch.nn.Module], parts: list[list[object]]) -> tuple[torch.Tensor, float]:
    """Gradient and loss of one step whose rows are collated in the given parts."""
    models["policy"].zero_grad()
    seeded = [case.objective.collate(part, [int(row.id.split(":")[1]) for row in part]) for part in parts]  # type: ignore[attr-defined]
    loss = accumulate(case.objective, models, seeded)
    grads = [p.grad.flatten() for p in models["policy"].parameters() if p.grad is not None]
    return torch.cat(grads), loss


def test_the_gradient_is_the_same_for_any_split_of_a_step(case: Case) -> None:
    models = {role: model.double() for role, model in case.models().items()}
    rows = case.rows(case.records(12))
    whole, loss = gradient(case, models, [rows])
    for parts in ([rows[:1], rows[1:4], rows[4:]], [[row] for row in rows]):
        split, split_loss = gradient(case, models, parts)
        # Norm layers of Llama and T5 compute in float32 whatever they are given: exact to its rounding.
        assert float((split - whole).norm() / whole.norm()) < 1e-6
        assert split_loss == pytest.approx(loss, rel=1e-6)


@torch.no_grad()
def test_padding_changes_nothing(case: Case) -> None:
    models = case.models()
    short, long = case.rows([record_of(case.card.records[0], 0), record_of(case.card.records[0], 5)])
    alone = case.objective.totals(models, case.objective.collate([short], [1]))
    other = case.objective.totals(models, case.objective.collate([long], [2]))
    both = case.objective.totals(models, case.objective.collate([short, long], [1, 2]))
    for term in case.card.terms:
        assert float(both[term]) == pytest.approx(float(alone[term]) + float(other[term]), rel=1e-5)


def test_counts_are_of_the_batch_alone_and_add_up(case: Case) -> None:
    rows = case.rows(case.records(6))
    collate = case.objective.collate
    whole = case.objective.counts(collate(rows, list(range(6))))
    parts = [case.objective.counts(collate([row], [i])) for i, row in enumerate(rows)]
    assert set(whole) == set(case.card.terms) == set(case.objective.weights)
    assert all(whole[term] == sum(part[term] for part in parts) > 0 for term in whole)


def test_collate_is_a_function_of_rows_and_seeds(case: Case) -> None:
    rows = case.rows(case.records(6))
    first, again = (case.objective.collate(rows, list(range(6))) for _ in range(2))
    alone = case.objective.collate(rows[4:5], [4])
    for name, value in first.items():
        if torch.is_tensor(value):
            assert torch.equal(value, again[name])
    width = alone["ids"].shape[1]
    assert torch.equal(first["ids"][4, :width], alone["ids"][0])


@torch.no_grad()
def test_the_answer_does_not_leak_into_what_is_read(case: Case) -> None:
    """Two rows that differ in one answer only give the same outputs at every place where that answer is foretold."""
    models = case.models()
    row = case.rows([record_of(case.card.records[0], 4)])[0]
    changed = with_another_answer(case, row)
    assert changed is not None
    one, two = (case.objective.collate([r], [11]) for r in (row, changed))
    differ = (one["labels"] != two["labels"]).nonzero()
    assert len(differ) > 0
    # Learn nothing but the first place where they differ, and there the same thing: the loss must be the same too.
    place = tuple(differ[0].tolist())
    for batch in (one, two):
        kept = one["labels"][place].clone()
        if batch["labels"].ndim > 1:
            batch["read"] = batch["labels"].clone()
            batch["labels"] = torch.full_like(batch["labels"], IGNORE)
        batch["labels"][place] = kept
    losses = [loss_of(models["policy"], batch) for batch in (one, two)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6) and losses[0] != 0


def with_another_answer(case: Case, row: object) -> object:
    """The row with the last thing that it teaches changed: its label, its last tag, or its last learnt token."""
    assert isinstance(row, Row)
    if case.card.name in ("classify", "tag"):
        return dataclasses.replace(row, target=(*row.target[:-1], (row.target[-1] + 1) % 3))
    other = case.tokenizer("ze", add_special_tokens=False)["input_ids"][0]
    if row.target and case.card.name != "nsp":
        return dataclasses.replace(row, target=(*row.target[:-2], other, row.target[-1]))
    if case.card.name in ("mlm", "nsp"):
        batch = case.objective.collate([row], [11])
        hidden = (batch["ids"][0] == case.tokenizer.mask_token_id).nonzero().flatten().tolist()
        at = hidden[0]
    elif case.card.name == "span":
        at = len(row.ids) - 1
    else:
        at = (row.group or len(row.ids)) - 2
    return dataclasses.replace(row, ids=(*row.ids[:at], other, *row.ids[at + 1 :]))


def loss_of(model: Any, batch: dict[str, Any]) -> float:
    """The loss of the labels, where a decoder reads the ids (or, of an encoder-decoder, the answer) as they were."""
    labels, inputs = batch["labels"], {"input_ids": batch["ids"], "attention_mask": batch["mask"]}
    if model.config.is_encoder_decoder:
        inputs["decoder_input_ids"] = model.prepare_decoder_input_ids_from_labels(batch["read"])
    if "types" in batch:
        inputs["token_type_ids"] = batch["types"]
    said = model(**inputs)
    logits = said.prediction_logits if "types" in batch else said.logits
    return float(cross_entropy_sum(logits.flatten(0, -2), labels.flatten()))


@pytest.mark.slow
def test_it_learns_eight_records_by_heart(case: Case, tmp_path: Path) -> None:
    models = case.models()
    records = case.records(8)
    recipe = Recipe(learning_rate=1e-2, steps=60, batch_rows=8, weight_decay=0.0, checkpoint_seconds=1e9)
    fitted = fit(case.objective, models, records, [], recipe, work=tmp_path)
    first, last = (sum(loss for _, loss in part) / 5 for part in (fitted.losses[:5], fitted.losses[-5:]))
    # What is hidden anew at every pass cannot be learnt by heart in 60 steps, only much better.
    assert last < first * (0.75 if case.card.name in ("mlm", "nsp", "span", "denoise") else 0.25), (first, last)
    assert fitted.steps == 60 and fitted.best_step == 60 and not fitted.cut_rows and not fitted.empty_rows


@pytest.mark.slow
def test_it_resumes_bit_for_bit(case: Case, tmp_path: Path) -> None:
    records = case.records(10)
    recipe = Recipe(
        learning_rate=1e-3, epochs=4, batch_rows=4, micro_tokens=40, eval_every=0.5, checkpoint_seconds=1e9, seed=3
    )
    straight = case.models()
    whole = fit(case.objective, straight, records, records[:3], recipe, work=tmp_path / "straight")

    asked = 0

    def stop_at_the_fifth() -> str | None:
        nonlocal asked
        asked += 1
        return "signal" if asked == 5 else None

    halted = case_of(case.card.name, case.family)
    with pytest.raises(Exception, match="stopped at your request after step 5"):
        fit(
            halted.objective,
            halted.models(),
            records,
            records[:3],
            recipe,
            work=tmp_path / "w",
            should_stop=stop_at_the_fifth,
        )
    taken_up = case_of(case.card.name, case.family)
    models = taken_up.models()
    events: list[dict[str, object]] = []
    resumed = fit(taken_up.objective, models, records, records[:3], recipe, work=tmp_path / "w", on_event=events.append)
    assert [e["step"] for e in events if e["event"] == "resumed"] == [5]
    assert resumed == whole
    for (name, a), b in zip(straight["policy"].named_parameters(), models["policy"].parameters(), strict=True):
        assert torch.equal(a, b), name

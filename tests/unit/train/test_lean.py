"""The loss without logits is the loss with them, for every family; where a model differs, it is not used."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from escalade.models import presets
from escalade.models.adapters import add_lora
from escalade.models.tokenizers import train_tokenizer
from escalade.records import Text
from escalade.train import kernels, lean
from escalade.train.losses import token_loss
from escalade.train.objectives.clm import Clm
from escalade.train.objectives.denoise import Denoise
from escalade.train.objectives.mlm import Mlm
from escalade.train.objectives.span import Span

torch.set_num_threads(1)
TEXTS = [("red green blue cold warm stone river cloud. " * 3)[i : i + 60] for i in range(8)]
CASES = [
    ("decoder", "llama", Clm), ("encoder", "bert", Mlm), ("encoder", "modernbert", Mlm),
    ("encoder-decoder", "t5", Span), ("encoder-decoder", "bart", Denoise),
]  # fmt: skip


@pytest.fixture(params=CASES, ids=[architecture for _, architecture, _ in CASES])
def case(request: pytest.FixtureRequest) -> tuple[Any, Any, Any]:
    family, architecture, make = request.param
    tokenizer = train_tokenizer(TEXTS, family, 420, architecture=architecture)
    model = presets.create(presets.preset(family, "50K", len(tokenizer), 64, architecture), 1)
    objective = make(tokenizer, 64)
    return objective, model, [objective.encode(Text(f"text:{i}", text)) for i, text in enumerate(TEXTS)]


def gradients(model: Any, batch: Any) -> tuple[float, dict[str, torch.Tensor]]:
    model.zero_grad()
    loss = token_loss(model, batch)
    (loss / 7).backward()
    return float(loss.detach()), {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def test_loss_and_gradient_are_what_they_are_with_logits(
    case: tuple[Any, Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    objective, model, rows = case
    # Pieces of a few positions, so that there are several and the last is shorter.
    monkeypatch.setattr(lean, "PIECE", 5 * len(objective.tokenizer))
    model.double().eval()
    batch = objective.collate(rows, list(range(len(rows))))
    usual, wanted = gradients(model, batch)
    loss, found = gradients(model, {**batch, "lean": "eager"})
    assert loss == pytest.approx(usual, rel=1e-6) and set(found) == set(wanted)
    for name, gradient in wanted.items():
        assert float((found[name] - gradient).norm()) <= 1e-6 * max(1e-3, float(gradient.norm())), name
    assert kernels.leans(objective, {"policy": model.float()}, rows) == (True, "train.leans")


def test_the_head_is_what_it_was_afterwards(case: tuple[Any, Any, Any]) -> None:
    objective, model, rows = case
    batch = objective.collate(rows, list(range(len(rows))))
    with torch.no_grad():
        before = token_loss(model, batch)
        token_loss(model, {**batch, "lean": "eager"})
        assert torch.equal(token_loss(model, batch), before)


class Capped(torch.nn.Module):
    """Logits put through a tanh behind the output layer, as Gemma 2 does: next to nothing while they are small."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.inner, self.config = model, model.config

    def get_output_embeddings(self) -> Any:
        return self.inner.get_output_embeddings()

    def forward(self, **inputs: Any) -> Any:
        made = self.inner(**inputs)
        made.logits = torch.tanh(made.logits / 30) * 30
        return made


def test_a_model_that_does_more_with_its_logits_is_found_out(case: tuple[Any, Any, Any]) -> None:
    objective, model, rows = case
    assert kernels.leans(objective, {"policy": Capped(model)}, rows) == (False, "train.leans_not_model")


def test_a_frozen_head_gets_no_gradient() -> None:
    tokenizer = train_tokenizer(TEXTS, "decoder", 320)
    objective = Clm(tokenizer, 64)
    policy = add_lora(presets.create(presets.preset("decoder", "50K", len(tokenizer), 64), 1), rank=2)
    rows = [objective.encode(Text(f"text:{i}", text)) for i, text in enumerate(TEXTS)]
    assert kernels.leans(objective, {"policy": policy}, rows) == (True, "train.leans")
    batch = objective.collate(rows, list(range(len(rows))))
    loss, found = gradients(policy, {**batch, "lean": "eager"})
    usual, wanted = gradients(policy, batch)
    assert loss == pytest.approx(usual, rel=1e-5) and set(found) == set(wanted)
    assert policy.get_output_embeddings().weight.grad is None


@pytest.mark.parametrize("autocast", [False, True])
def test_a_bias_and_bfloat16(autocast: bool) -> None:
    torch.manual_seed(0)
    head, hidden = torch.nn.Linear(16, 50), torch.randn(23, 16, requires_grad=True)
    labels = torch.randint(0, 50, (23,))
    found = []
    for how in (True, False):
        head.zero_grad()
        hidden.grad = None
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
            if how:
                loss = lean.head_loss(hidden, head, labels)
            else:
                loss = F.cross_entropy(head(hidden).float(), labels, reduction="sum")
        loss.backward()
        found.append((loss.detach(), hidden.grad, head.weight.grad, head.bias.grad))
    tolerance = 3e-2 if autocast else 1e-5
    for one, two in zip(*found, strict=True):
        assert one is not None and two is not None
        assert float((one - two).norm()) <= tolerance * float(two.norm())

"""Compiled layers and written-out attention compute what the library computes; where compiling fails, it is said."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import Gemma2Config, Gemma2ForCausalLM, LlamaConfig, LlamaForCausalLM

from escalade.errors import Interrupted
from escalade.models import presets
from escalade.models.tokenizers import train_tokenizer
from escalade.records import Text
from escalade.train import Recipe, attention, compiling, fit, kernels
from escalade.train.batches import micro_batches
from escalade.train.objectives.clm import Clm
from escalade.train.objectives.mlm import Mlm
from escalade.train.objectives.span import Span

torch.set_num_threads(1)
TEXTS = [("red green blue cold warm stone river cloud. " * 3)[i : i + 20 + 5 * i] for i in range(8)]
RECORDS = [Text(f"text:{i}", text) for i, text in enumerate(TEXTS)]
RECIPE = Recipe(learning_rate=1e-3, steps=4, batch_rows=4, compiled=True, checkpoint_seconds=1e9)
CASES = [("decoder", "llama", Clm), ("encoder", "bert", Mlm), ("encoder-decoder", "t5", Span)]


@pytest.fixture(autouse=True)
def single(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "bf16_pays", lambda device: False)


def made(family: Any, architecture: str, make: Any, dropout: float = 0.0) -> tuple[Any, Any]:
    tokenizer = train_tokenizer(TEXTS, family, 420, architecture=architecture)
    config = presets.preset(family, "50K", len(tokenizer), 64, architecture, dropout=dropout)
    return make(tokenizer, 64), presets.create(config, 1)


@pytest.mark.parametrize(("family", "architecture", "make"), CASES, ids=[name for _, name, _ in CASES])
@pytest.mark.parametrize("laid", ["padded", "one row", "packed"])
def test_attention_written_out_is_the_librarys(family: Any, architecture: str, make: Any, laid: str) -> None:
    """Loss and gradient, of weights that are not small: those of an untrained model hardly look at anything."""
    if laid == "packed" and family == "encoder-decoder":
        pytest.skip("rows of an encoder-decoder are not packed")
    objective, model = made(family, architecture, make)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.mul_(3 if re.search(r"(\.q|\.k|q_proj|k_proj|query|key)\.weight", name) else 1)
    rows = [objective.encode(record) for record in (RECORDS[:1] if laid == "one row" else RECORDS)]
    if laid == "packed":
        (part,) = micro_batches(rows, 1 << 20, 128)
        batch = kernels.packed_batch(objective, part, list(range(len(rows))))
    else:
        batch = objective.collate(rows, list(range(len(rows))))

    def slope(way: str, bf16: bool) -> Any:
        model.set_attn_implementation(way)
        model.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = objective.totals({"policy": model}, batch)["token"]
        loss.backward()
        return torch.cat([loss.detach()[None], *(p.grad.flatten() for p in model.parameters() if p.grad is not None)])

    right = slope("sdpa", False)

    def fault(found: Any) -> float:
        return float((found - right).norm() / right.norm())

    assert fault(slope(attention.NAME, False)) < 2e-5
    # Rounded to eight bits both are off, and by as much.
    assert fault(slope(attention.NAME, True)) < 1.5 * fault(slope("sdpa", True)) + 1e-3


def test_attention_with_shared_keys_and_dropout() -> None:
    config = LlamaConfig(
        vocab_size=50, hidden_size=32, num_hidden_layers=1, num_attention_heads=4, num_key_value_heads=2,
        intermediate_size=32, attention_dropout=0.5,
    )  # fmt: skip
    torch.manual_seed(0)
    model = LlamaForCausalLM(config).eval()
    ids = torch.arange(12)[None]
    with torch.no_grad():
        wanted = model(ids).logits
        model.set_attn_implementation(attention.NAME)
        assert torch.allclose(model(ids).logits, wanted, atol=1e-5)
        model.train()
        assert not torch.allclose(model(ids).logits, wanted, atol=1e-3)


@pytest.mark.slow
def test_attention_that_does_more_stays_the_librarys() -> None:
    """Gemma 2 caps its scores: written out here that would be lost, without a word."""
    config = Gemma2Config(
        vocab_size=50, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1, head_dim=16,
        intermediate_size=32, attn_implementation="eager",
    )  # fmt: skip
    model = Gemma2ForCausalLM(config).eval()
    before = compiling.attention_of(model)
    _, llama = made(*CASES[0])
    with compiling.prepared():
        compiling.compile_layers(model, written_out=True)
        compiling.compile_layers(llama, written_out=True)
    assert compiling.attention_of(model) == before
    assert compiling.attention_of(llama) == attention.NAME


@pytest.mark.slow
@pytest.mark.parametrize(("family", "architecture", "make"), CASES, ids=[name for _, name, _ in CASES])
def test_a_compiled_run_learns_what_the_other_learns_and_resumes(
    family: Any, architecture: str, make: Any, tmp_path: Path
) -> None:
    def run(work: str, recipe: Recipe, stop: bool = False, drop: float = 0) -> tuple[Any, Any, list[dict[str, Any]]]:
        objective, model = made(family, architecture, make, drop)
        events: list[dict[str, Any]] = []
        asked = iter([None, "signal"] if stop else [None] * 99)
        fitted = fit(
            objective,
            {"policy": model},
            RECORDS,
            RECORDS[:2],
            recipe,
            work=tmp_path / work,
            on_event=events.append,
            should_stop=lambda: next(asked),
        )
        return fitted, model, events

    plain, _, _ = run("plain", replace(RECIPE, compiled=False))
    fast, wanted, events = run("fast", RECIPE)
    assert fast.kernels["compiled"] and not plain.kernels["compiled"]
    assert not [e for e in events if e["event"] == "not_compiled"]
    assert [loss for _, loss in fast.losses] == pytest.approx([loss for _, loss in plain.losses], rel=1e-3)
    # The model is the library's again: no layer stays compiled, and attention is what it was.
    assert all(layer._compiled_call_impl is None for layer in compiling.layers(wanted))
    assert compiling.attention_of(wanted) == "sdpa"
    dropping, wanted, _ = run("dropping", RECIPE, drop=0.1)
    with pytest.raises(Interrupted):
        run("halted", RECIPE, stop=True, drop=0.1)
    resumed, model, events = run("halted", RECIPE, drop=0.1)
    assert [e["compiled"] for e in events if e["event"] == "resumed"] == [True]
    assert resumed == dropping != fast
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), wanted.parameters(), strict=True))


@pytest.mark.slow
def test_layers_are_compiled_once_with_padding_and_without() -> None:
    """Four kinds of layer has T5 (the first of a stack has the positions, the decoder looks at the encoder), whatever
    is padded."""
    objective, model = made(*CASES[2])
    rows = [objective.encode(record) for record in RECORDS]
    padded = objective.collate(rows[-3:], [1, 2, 3])
    unpadded = objective.collate([rows[-1]] * 3, [1, 1, 1])
    assert not padded["mask"].all() and unpadded["mask"].all()
    torch._dynamo.reset()
    try:
        with compiling.prepared():
            compiling.compile_layers(model, written_out=True)
            graphs = []
            for batch in (padded, unpadded):
                torch._dynamo.utils.counters.clear()
                objective.totals({"policy": model}, batch)["token"].backward()
                graphs.append(torch._dynamo.utils.counters["stats"]["unique_graphs"])
    finally:
        compiling.uncompile(model, "sdpa")
        torch._dynamo.reset()
    assert graphs == [4, 0]


@pytest.mark.slow
def test_a_compiler_that_fails_is_said_and_done_without(tmp_path: Path) -> None:
    torch._dynamo.reset()
    objective, model = made(*CASES[0])
    events: list[dict[str, Any]] = []
    with torch._inductor.config.patch({"cpp.cxx": ("/bin/false",), "fx_graph_cache": False}):
        fitted = fit(objective, {"policy": model}, RECORDS, [], RECIPE, work=tmp_path / "a", on_event=events.append)
    torch._dynamo.reset()
    assert [e["event"] for e in events].count("not_compiled") == 1 and not fitted.kernels["compiled"]
    objective, other = made(*CASES[0])
    plain = fit(objective, {"policy": other}, RECORDS, [], replace(RECIPE, compiled=False), work=tmp_path / "b")
    assert fitted.losses == plain.losses


def test_when_layers_are_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    _, model = made(*CASES[0])
    long = kernels.COMPILE_FROM
    assert kernels.compiles(model, "cpu", long, None) == (True, "train.compiles")
    assert kernels.compiles(model, "cpu", long - 1, None) == (False, "train.compiles_too_short")
    assert kernels.compiles(model, "cpu", 0.0, True) == (True, "train.compiles")
    assert kernels.compiles(model, "cpu", long, False) == (False, "train.not_asked")
    assert kernels.compiles(model, "cuda", long, None) == (False, "train.compiles_not_here")
    assert kernels.compiles(torch.nn.Linear(2, 2), "cpu", long, None) == (False, "train.compiles_no_layers")
    monkeypatch.setenv("CXX", "no-such-compiler")
    monkeypatch.setenv("PATH", "")
    assert kernels.compiles(model, "cpu", long, None) == (False, "train.compiles_no_compiler")

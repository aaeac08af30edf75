"""The engine with a real model under adapters, and the choice of precision."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open

from conftest import real_data
from escalade.catalogue import hardware
from escalade.errors import Interrupted
from escalade.models import adapters
from escalade.models.load import load_model, load_tokenizer
from escalade.records import Pair, Record
from escalade.train import Recipe, fit, kernels, precision
from escalade.train.objectives.sft import Sft

torch.set_num_threads(1)
NAMES = ["Lily", "Tom", "Ben", "Mia", "Sam", "Anna"]
ROWS: list[Record] = [Pair(f"train:{i}", f"Once upon a time, {name}", " ran home.") for i, name in enumerate(NAMES)]
RECIPE = Recipe(learning_rate=1e-2, epochs=4, batch_rows=3, checkpoint_seconds=1e9)


@pytest.fixture
def folder() -> Path:
    return real_data("stories260k") / "hf"


def test_an_adapter_learns_alone_is_checkpointed_alone_and_merges(folder: Path, tmp_path: Path) -> None:
    model = adapters.add_lora(load_model(folder, "lm"), rank=4, alpha=8)
    frozen = {name: p.clone() for name, p in model.named_parameters() if not p.requires_grad}
    fitted = fit(Sft(load_tokenizer(folder), "decoder", 512), {"policy": model}, ROWS, ROWS[:2], RECIPE, work=tmp_path)
    assert fitted.trainable == adapters.trainable(model) < 0.05 * 260_032
    assert fitted.losses[-1][1] < 0.6 * fitted.losses[0][1]
    assert all(torch.equal(p, frozen[name]) for name, p in model.named_parameters() if name in frozen)
    with safe_open(next(tmp_path.glob("step-*")) / "weights.safetensors", "pt") as saved:
        assert saved.keys() and all("lora" in name for name in saved.keys())  # noqa: SIM118
    assert type(adapters.merge(model)).__name__ == "LlamaForCausalLM"


@pytest.mark.parametrize(
    ("info", "name", "bf16"),
    [
        ("processor : 0\nflags\t\t: fpu sse2 avx2 avx512f avx512_bf16\n", "AVX512-BF16", True),
        ("flags : avx2 avx512f\nflags : avx2 avx512f\n", "AVX512", False),
        ("Features\t: fp asimd bf16 i8mm\n", "Arm with BF16", True),
        ("model name : a bf16 avx512_bf16 processor\nflags : sse2 avx2\n", "other", False),
        ("", "other", False),
    ],
)
def test_the_precision_is_what_the_processor_has(
    info: str, name: str, bf16: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpuinfo").write_text(info)
    monkeypatch.setattr(hardware, "_INFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(precision, "processor", hardware.processor.__wrapped__)
    assert hardware.processor.__wrapped__().name == name
    assert precision.bf16_pays("cpu") is bf16 and not precision.bf16_pays("meta")


def test_the_precision_a_run_began_with_is_kept(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(work: str, stop: bool = False) -> tuple[list[float], list[dict[str, Any]]]:
        events: list[dict[str, Any]] = []
        model, objective = load_model(folder, "lm"), Sft(load_tokenizer(folder), "decoder", 512)
        reason = "signal" if stop else None
        fitted = fit(
            objective,
            {"policy": model},
            ROWS[:2],
            [],
            RECIPE,
            work=tmp_path / work,
            on_event=events.append,
            should_stop=lambda: reason,
        )
        return [loss for _, loss in fitted.losses], events

    monkeypatch.setattr(kernels, "bf16_pays", lambda device: True)
    half, events = run("half")
    assert [e["bf16"] for e in events if e["event"] == "kernels"] == [True]
    with pytest.raises(Interrupted):
        run("stopped", stop=True)
    monkeypatch.setattr(kernels, "bf16_pays", lambda device: False)
    single, _ = run("single")
    resumed, events = run("stopped")
    assert [e["bf16"] for e in events if e["event"] == "resumed"] == [True]
    assert resumed == half != single
    assert half == pytest.approx(single, rel=0.1)

"""The engine: what it returns, when it stops, what it survives."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from escalade.errors import BadInput, Interrupted, OutOfTime
from escalade.models import presets
from escalade.models.tokenizers import train_tokenizer
from escalade.records import Pair, Record
from escalade.train import Fitted, Recipe, dropout, fit, kernels, optim
from escalade.train.objectives.sft import Sft

torch.set_num_threads(1)
WORDS = "red green blue cold warm stone river cloud".split()
ROWS: list[Record] = [
    Pair(f"train:{i}", f"say {WORDS[i % 8]}", " ".join(WORDS[i % 5 : i % 5 + 1 + i % 3])) for i in range(12)
]
HELD: list[Record] = [Pair(f"validation:{i}", f"say {WORDS[i]}", WORDS[i % 5]) for i in range(4)]
TOKENIZER = train_tokenizer([" ".join(WORDS)] * 3, "decoder", 320)
RECIPE = Recipe(learning_rate=3e-3, epochs=3, batch_rows=4, eval_every=1, checkpoint_seconds=0, seed=2)
Events = list[dict[str, Any]]


@pytest.fixture
def single(monkeypatch: pytest.MonkeyPatch) -> None:
    """Float32 on every processor: what is compared digit by digit must not be rounded to eight bits on the way."""
    monkeypatch.setattr(kernels, "bf16_pays", lambda device: False)


def model(seed: int = 0, dropout: float = 0.1) -> Any:
    config = presets.preset("decoder", "50K", len(TOKENIZER), 48)
    config.attention_dropout = dropout
    return presets.create(config, seed)


def train(
    work: Path,
    recipe: Recipe = RECIPE,
    policy: Any = None,
    objective: Any = None,
    held: list[Record] = HELD,
    should_stop: Callable[[], str | None] = lambda: None,
) -> tuple[Fitted, Any, Events]:
    events: Events = []
    policy = policy or model()
    objective = objective or Sft(TOKENIZER, "decoder", 48)
    fitted = fit(
        objective, {"policy": policy}, ROWS, held, recipe, work=work, on_event=events.append, should_stop=should_stop
    )
    return fitted, policy, events


def test_a_run_drops_out_by_its_own_function_and_puts_the_librarys_back(tmp_path: Path) -> None:
    before, asked = torch.nn.functional.dropout, []

    def stop() -> str:
        asked.append(torch.nn.functional.dropout)
        return "signal"

    with pytest.raises(Interrupted):
        train(tmp_path, should_stop=stop)
    assert asked == [dropout.dropout] and torch.nn.functional.dropout is before


def same(one: nn.Module, two: nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))


def test_it_tells_what_it_did(tmp_path: Path) -> None:
    fitted, policy, events = train(tmp_path)
    steps = [e for e in events if e["event"] == "step"]
    assert fitted.steps == len(steps) == len(fitted.losses) == 9
    assert [e["loss"] for e in steps] == [loss for _, loss in fitted.losses]
    assert set(steps[0]) == {
        *(
            "event",
            "step",
            "steps",
            "loss",
            "lr",
            "tokens",
            "tokens_per_second",
            "padding",
            "memory",
            "ceiling",
            "seconds_left",
        )
    }
    assert all(e["memory"] > 1e8 for e in steps)
    assert all(0 <= e["padding"] < 1 and e["tokens_per_second"] > 0 for e in steps) and steps[-1]["seconds_left"] == 0
    assert [step for step, _ in fitted.validation] == [3, 6, 9]
    assert fitted.best_step == min(fitted.validation, key=lambda pair: pair[1])[0]
    assert fitted.trainable == sum(p.numel() for p in policy.parameters()) and fitted.tokens > 0
    assert not policy.training and all(p.grad is None for p in policy.parameters())


def test_the_same_run_twice_is_the_same(tmp_path: Path) -> None:
    (one, a, _), (two, b, _) = train(tmp_path / "a"), train(tmp_path / "b")
    assert one == two and same(a, b)
    other, c, _ = train(tmp_path / "c", replace(RECIPE, seed=3))
    assert other.losses != one.losses and not same(a, c)


def test_it_leaves_the_callers_random_numbers_alone(tmp_path: Path) -> None:
    torch.manual_seed(1)
    wanted = torch.rand(2)
    torch.manual_seed(1)
    train(tmp_path)
    assert torch.equal(torch.rand(2), wanted)


@pytest.mark.usefixtures("single")
def test_micro_batches_change_memory_and_nothing_else(tmp_path: Path) -> None:
    whole, _, _ = train(tmp_path / "a", replace(RECIPE, micro_tokens=10_000), model(dropout=0.0))
    split, _, _ = train(tmp_path / "b", replace(RECIPE, micro_tokens=1), model(dropout=0.0))
    for (_, one), (_, two) in zip(whole.losses, split.losses, strict=True):
        assert one == pytest.approx(two, rel=1e-4)


def test_the_best_weights_are_kept(tmp_path: Path) -> None:
    """A learning rate that ruins the model after the first validation leaves the model of that validation."""
    ruinous = replace(RECIPE, learning_rate=0.5, warmup=1.0, clip=0.0, eval_every=1 / 3)
    fitted, policy, _ = train(tmp_path / "a", ruinous)
    assert fitted.best_step < fitted.steps
    kept = fit(
        Sft(TOKENIZER, "decoder", 48),
        {"policy": policy},
        ROWS,
        HELD,
        replace(RECIPE, learning_rate=0.0),
        work=tmp_path / "b",
    )
    assert kept.validation[0][1] == pytest.approx(min(loss for _, loss in fitted.validation), rel=1e-6)


def test_patience_ends_it(tmp_path: Path) -> None:
    recipe = replace(RECIPE, learning_rate=0.0, epochs=50, patience=2)
    fitted, _, events = train(tmp_path, recipe)
    assert fitted.steps == 9 and fitted.best_step == 3 and events[-2]["event"] == "stopped_early"


def test_without_validation_the_last_step_is_kept(tmp_path: Path) -> None:
    fitted, _, _ = train(tmp_path, replace(RECIPE, epochs=None, steps=5), held=[])
    assert fitted.validation == [] and fitted.best_step == fitted.steps == 5


def test_a_part_of_an_epoch_is_a_length_too(tmp_path: Path) -> None:
    assert train(tmp_path, replace(RECIPE, epochs=0.2))[0].steps == 1


def test_batches_by_tokens(tmp_path: Path) -> None:
    fitted, _, events = train(tmp_path, replace(RECIPE, batch_rows=None, batch_tokens=60, epochs=2))
    assert fitted.steps == next(e["steps"] for e in events if e["event"] == "step") > 3


@pytest.mark.parametrize(("reason", "kind"), [("signal", Interrupted), ("time", OutOfTime)])
def test_it_stops_when_asked_and_goes_on_from_there(tmp_path: Path, reason: str, kind: type[Exception]) -> None:
    straight, wanted, _ = train(tmp_path / "a")
    recipe = replace(RECIPE, checkpoint_seconds=1e9)
    with pytest.raises(kind, match="after step 1 of 9"):
        train(tmp_path / "b", recipe, should_stop=lambda: reason)
    resumed, policy, events = train(tmp_path / "b", recipe)
    assert [e["step"] for e in events if e["event"] == "resumed"] == [1]
    assert resumed == straight and same(policy, wanted)


def test_a_finished_run_is_not_done_again(tmp_path: Path) -> None:
    first, wanted, _ = train(tmp_path)
    again, policy, events = train(tmp_path)
    assert again == first and same(policy, wanted)
    assert [e["event"] for e in events] == ["rows", "rows", "resumed"]


def checkpoints(work: Path) -> list[Path]:
    return sorted(work.glob("step-*"))


def half_done(work: Path, steps: int = 5) -> None:
    """A run that stopped after a number of steps, with a checkpoint after each."""
    left = iter([None] * (steps - 1) + ["signal"])
    with pytest.raises(Interrupted):
        train(work, should_stop=lambda: next(left))


def truncate(folder: Path) -> None:
    path = folder / "optimizer.safetensors"
    path.write_bytes(path.read_bytes()[:-7])


def flip_a_bit(folder: Path) -> None:
    path = folder / "weights.safetensors"
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


def lose_a_file(folder: Path) -> None:
    (folder / "best.safetensors").unlink()


def empty_the_manifest(folder: Path) -> None:
    (folder / "manifest.json").write_text("")


def lose_the_manifest(folder: Path) -> None:
    (folder / "manifest.json").unlink()


@pytest.mark.parametrize("damage", [truncate, flip_a_bit, lose_a_file, empty_the_manifest, lose_the_manifest])
def test_a_damaged_checkpoint_is_passed_over_and_said(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    straight, wanted, _ = train(tmp_path / "a")
    work = tmp_path / "b"
    half_done(work)
    assert [folder.name for folder in checkpoints(work)] == ["step-00000004", "step-00000005"]
    damage(checkpoints(work)[-1])
    resumed, policy, events = train(work)
    assert [e["event"] for e in events[2:4]] == ["checkpoint_passed_over", "resumed"]
    assert events[2]["checkpoint"] == "step-00000005" and events[3]["step"] == 4
    assert resumed == straight and same(policy, wanted)


def test_checkpoints_of_another_run_are_not_taken_up(tmp_path: Path) -> None:
    half_done(tmp_path)
    _, _, events = train(tmp_path, replace(RECIPE, seed=9))
    assert [e["event"] for e in events[2:5]] == ["checkpoint_passed_over", "checkpoint_passed_over", "kernels"]
    assert {e["file"] for e in events[2:4]} == {"another run"}


def test_checkpoints_of_another_run_do_not_push_out_ones_own(tmp_path: Path) -> None:
    """The other run went further, so its checkpoints bear higher numbers; the new one goes on where it stopped."""
    half_done(tmp_path, steps=5)
    other = replace(RECIPE, seed=9)
    left = iter([None, None, "signal"])
    with pytest.raises(Interrupted):
        train(tmp_path, other, should_stop=lambda: next(left))
    assert [folder.name for folder in checkpoints(tmp_path)] == ["step-00000002", "step-00000003"]
    _, _, events = train(tmp_path, other)
    assert [e["step"] for e in events if e["event"] == "resumed"] == [3]


@pytest.mark.parametrize("change", ["objective", "frozen", "config"])
def test_a_checkpoint_of_another_lesson_is_not_taken_up(tmp_path: Path, change: str) -> None:
    def run(changed: bool, stop: bool) -> Events:
        policy = model()
        policy.model.embed_tokens.requires_grad_(False)
        objective = Sft(TOKENIZER, "decoder", 48)
        if changed and change == "objective":
            objective.extra = 0.5  # type: ignore[attr-defined]
        if changed and change == "frozen":
            policy.model.embed_tokens.weight.data[0, 0] += 1
        if changed and change == "config":
            policy.config.attention_dropout = 0.3
        events: Events = []
        try:
            fit(
                objective,
                {"policy": policy},
                ROWS,
                HELD,
                RECIPE,
                work=tmp_path,
                on_event=events.append,
                should_stop=lambda: "signal" if stop else None,
            )
        except Interrupted:
            assert stop
        return events

    run(changed=False, stop=True)
    assert [e["event"] for e in run(changed=True, stop=True)].count("resumed") == 0
    run(changed=True, stop=True)


def test_a_validation_that_is_no_number_is_an_error(tmp_path: Path) -> None:
    class Blind(Sft):
        def totals(self, models: Any, batch: Any) -> dict[str, Tensor]:
            made = super().totals(models, batch)
            held = any(name.startswith("validation") for name in batch.get("names", ()))
            return {"token": made["token"] * (math.nan if held else 1)}

    with pytest.raises(BadInput) as error:
        train(tmp_path, objective=Blind(TOKENIZER, "decoder", 48))
    assert error.value.key == "train.not_finite" and error.value.place == "validation"


class Nothing(Sft):
    """No label of any row is learnt."""

    def collate(self, rows: Any, seeds: Any) -> Any:
        batch = super().collate(rows, seeds)
        return {**batch, "labels": torch.full_like(batch["labels"], -100)}


def test_a_step_that_teaches_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as error:
        train(tmp_path, objective=Nothing(TOKENIZER, "decoder", 48))
    assert error.value.key == "train.nothing_in_step" and "train:" in error.value.facts["rows"]


class Slow(Sft):
    """The first step takes a second, as one that compiles."""

    steps = 0

    def totals(self, models: Any, batch: Any) -> dict[str, Tensor]:
        if torch.is_grad_enabled():
            Slow.steps += 1
            if Slow.steps == 1:
                time.sleep(1.0)
        return super().totals(models, batch)


@pytest.mark.slow
def test_a_slow_first_step_takes_nothing_of_the_warm_up(tmp_path: Path) -> None:
    Slow.steps = 0
    recipe = replace(RECIPE, epochs=None, seconds=2.5, schedule="wsd", warmup=0.5, checkpoint_seconds=1e9)
    _, _, events = train(tmp_path, recipe, objective=Slow(TOKENIZER, "decoder", 48), held=[])
    rates = [e["lr"] for e in events if e["event"] == "step"]
    assert max(rates[:3]) < 0.5 * recipe.learning_rate and max(rates) > 0.9 * recipe.learning_rate
    assert rates[: len(rates) // 3] == sorted(rates[: len(rates) // 3])


def test_what_a_kill_left_half_written_does_not_matter(tmp_path: Path) -> None:
    half_done(tmp_path)
    (tmp_path / ".step-00000006.tmp").mkdir()
    (tmp_path / ".step-00000006.tmp" / "weights.safetensors").write_bytes(b"half")
    _, _, events = train(tmp_path)
    assert [e["step"] for e in events if e["event"] == "resumed"] == [5]
    assert not list(tmp_path.glob(".*")) and len(checkpoints(tmp_path)) == 2


class Spoilt(Sft):
    """The loss of one row is no number."""

    def totals(self, models: Any, batch: Any) -> dict[str, Tensor]:
        made = super().totals(models, batch)
        return {"token": made["token"] * (math.nan if "train:7" in batch["names"] else 1)}


def test_a_loss_that_is_no_number_names_step_term_and_rows(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as error:
        train(tmp_path, replace(RECIPE, micro_tokens=1), objective=Spoilt(TOKENIZER, "decoder", 48))
    assert error.value.key == "train.not_finite" and error.value.place.startswith("step ")
    assert error.value.facts == {"term": "token", "rows": "train:7"}


def test_a_gradient_that_is_no_number_is_caught(tmp_path: Path) -> None:
    policy = model()
    policy.lm_head.weight.register_hook(lambda grad: grad * math.inf)
    with pytest.raises(BadInput, match="'gradient'"):
        train(tmp_path, policy=policy)


class Hungry(Sft):
    """Runs out of memory where more than ``most`` tokens are read at once by a model that learns."""

    most = 64

    def totals(self, models: Any, batch: Any) -> dict[str, Tensor]:
        if batch["ids"].numel() > self.most and torch.is_grad_enabled():
            raise RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory")
        return super().totals(models, batch)


@pytest.mark.usefixtures("single")
@pytest.mark.parametrize("packed", [False, True])
def test_smaller_micro_batches_when_memory_runs_out(tmp_path: Path, packed: bool) -> None:
    hungry = Hungry(TOKENIZER, "decoder", 48)
    recipe = replace(RECIPE, packed=packed, batch_rows=12)
    fitted, _, events = train(tmp_path / "a", recipe, policy=model(dropout=0.0), objective=hungry, held=[])
    halved = [e["micro_tokens"] for e in events if e["event"] == "micro_batch"]
    assert halved and halved == sorted(halved, reverse=True)
    plain, _, _ = train(tmp_path / "b", recipe, policy=model(dropout=0.0), held=[])
    assert [loss for _, loss in fitted.losses] == pytest.approx([loss for _, loss in plain.losses], rel=1e-4)


def test_one_row_too_many_for_the_memory_is_an_error(tmp_path: Path) -> None:
    greedy = Hungry(TOKENIZER, "decoder", 48)
    greedy.most = 0
    events: Events = []
    with pytest.raises(BadInput) as error:
        fit(greedy, {"policy": model()}, ROWS, [], RECIPE, work=tmp_path, on_event=events.append)
    assert error.value.key == "train.out_of_memory"
    assert [e["event"] for e in events].count("recompute") == 1


class Broken(Sft):
    """Fails for a reason of its own."""

    def totals(self, models: Any, batch: Any) -> dict[str, Tensor]:
        raise RuntimeError("shapes differ")


def test_other_errors_are_not_swallowed(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="shapes differ"):
        train(tmp_path, objective=Broken(TOKENIZER, "decoder", 48))


def test_nothing_to_learn_and_nothing_to_train(tmp_path: Path) -> None:
    objective, policy = Sft(TOKENIZER, "decoder", 48), model()
    with pytest.raises(BadInput) as error:
        fit(objective, {"policy": policy}, [Pair("a", "x", "")], [], RECIPE, work=tmp_path)
    assert error.value.key == "train.nothing_to_learn"
    with pytest.raises(BadInput) as error:
        fit(objective, {"policy": policy.requires_grad_(False)}, ROWS, [], RECIPE, work=tmp_path)
    assert error.value.key == "train.nothing_trains"


def test_cut_and_empty_rows_are_listed(tmp_path: Path) -> None:
    rows = [*ROWS, Pair("long", "say " * 60, "red"), Pair("empty", "say", "")]
    held = [Pair("long too", "say", "red " * 99)]
    fitted = fit(
        Sft(TOKENIZER, "decoder", 48), {"policy": model()}, rows, held, replace(RECIPE, epochs=1), work=tmp_path
    )
    assert fitted.cut_rows == ["long", "long too"] and fitted.empty_rows == ["empty"]


def test_frozen_parameters_are_neither_changed_nor_saved(tmp_path: Path) -> None:
    policy, before = model(), model()
    policy.model.embed_tokens.requires_grad_(False)
    fitted, _, _ = train(tmp_path, policy=policy)
    assert torch.equal(policy.model.embed_tokens.weight, before.model.embed_tokens.weight)
    assert not torch.equal(policy.model.norm.weight, before.model.norm.weight)
    saved = (checkpoints(tmp_path)[-1] / "weights.safetensors").read_bytes()
    assert b"embed_tokens" not in saved[:20_000] and b"model.norm.weight" in saved[:20_000]
    assert fitted.trainable == sum(p.numel() for p in policy.parameters() if p.requires_grad)


def test_a_full_disk_is_said(tmp_path: Path) -> None:
    (tmp_path / "work").write_text("a file where the folder should be")
    with pytest.raises(BadInput) as error:
        train(tmp_path / "work")
    assert error.value.key == "train.no_checkpoint_room"


FULL = """
import resource, signal, sys
from pathlib import Path
import escalade
import torch
torch.set_num_threads(1)
sys.path.insert(0, {tests!r})
from test_engine import RECIPE, train
from escalade.errors import BadInput
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
asked = 0
def fill():
    global asked
    asked += 1
    if asked == 4:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
try:
    train(Path(sys.argv[1]), RECIPE, should_stop=fill)
except BadInput as error:
    print(error.key)
"""


@pytest.mark.slow
def test_a_disk_that_fills_up_leaves_the_last_whole_checkpoint(tmp_path: Path) -> None:
    """From the fourth step on no file may grow beyond 20 KB: the checkpoint of the third is there, and gone on from."""
    work = tmp_path / "full"
    code = FULL.format(tests=str(Path(__file__).parent))
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    done = subprocess.run([sys.executable, "-c", code, str(work)], capture_output=True, text=True, env=environment)
    assert done.stdout.split() == ["train.no_checkpoint_room"], done.stderr[-2000:]
    assert [folder.name for folder in checkpoints(work)] == ["step-00000002", "step-00000003"]
    assert not list(work.glob(".step-*"))
    straight, wanted, _ = train(tmp_path / "straight")
    resumed, policy, events = train(work)
    assert [e["step"] for e in events if e["event"] == "resumed"] == [3] and resumed.losses == straight.losses
    assert same(policy, wanted)


@pytest.mark.parametrize("wrong", [{"epochs": 1.0, "steps": 1}, {}, {"epochs": 1.0, "batch_tokens": 5}])
def test_a_recipe_has_one_length_and_one_batch_size(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="has"):
        Recipe(learning_rate=1.0, batch_rows=1, **wrong)


def test_the_learning_rate_rises_and_falls() -> None:
    recipe = replace(RECIPE, learning_rate=1.0, warmup=0.1)
    rates = [optim.rate(recipe, step, 100) for step in range(1, 101)]
    assert (
        rates[0] == pytest.approx(0.1) and rates[9] == 1.0 and rates == [*sorted(rates[:10]), *sorted(rates[10:])[::-1]]
    )
    assert 0 < rates[-1] < 0.001 and rates[54] == pytest.approx(0.5, abs=0.02)
    constant = replace(recipe, schedule="constant", warmup=0.0)
    assert {optim.rate(constant, step, 10) for step in range(1, 11)} == {1.0}


def test_warm_up_stable_decay() -> None:
    recipe = replace(RECIPE, learning_rate=1.0, warmup=0.1, schedule="wsd", decay=0.2)
    rates = [optim.rate(recipe, step, 100) for step in range(1, 101)]
    assert rates[:10] == pytest.approx([step / 10 for step in range(1, 11)])
    assert set(rates[10:80]) == {1.0}
    assert rates[80:] == pytest.approx([(20 - k) / 21 for k in range(20)])
    assert set([optim.rate(replace(recipe, decay=0.0), step, 100) for step in range(11, 101)]) == {1.0}


def test_a_run_by_the_clock_ends_with_it_and_its_schedule_too(tmp_path: Path) -> None:
    recipe = replace(RECIPE, epochs=None, seconds=1.5, schedule="wsd", warmup=0.2, decay=0.4, checkpoint_seconds=1e9)
    left = iter([None] * 5 + ["signal"])
    with pytest.raises(Interrupted):
        train(tmp_path, recipe, should_stop=lambda: next(left))
    begun = time.monotonic()
    fitted, _, events = train(tmp_path, recipe)
    steps = [e for e in events if e["event"] == "step"]
    assert steps[0]["step"] == 7 and fitted.steps == steps[-1]["step"] > 20
    assert 0.5 < time.monotonic() - begun < 5
    rates = [e["lr"] for e in steps]
    top = rates.index(max(rates))
    assert rates[:top] == sorted(rates[:top]) and rates[-1] < 0.2 * max(rates) == 0.2 * recipe.learning_rate
    assert steps[-1]["seconds_left"] < 0.5


def test_recomputed_activations_change_memory_and_nothing_else(tmp_path: Path) -> None:
    kept, one, _ = train(tmp_path / "a")
    recomputed, two, events = train(tmp_path / "b", replace(RECIPE, recompute=True))
    assert [e["recompute"] for e in events if e["event"] == "kernels"] == [True]
    assert recomputed.losses == kept.losses and same(one, two)
    assert not any(getattr(module, "gradient_checkpointing", False) for module in two.modules())


def test_only_matrices_decay() -> None:
    groups = optim.adamw(optim.trainable(model()), RECIPE).param_groups
    assert [group["weight_decay"] for group in groups] == [0.01, 0.0]
    assert all(p.ndim >= 2 for p in groups[0]["params"]) and all(p.ndim < 2 for p in groups[1]["params"])


KILLED = """
import sys, torch
from pathlib import Path
sys.path.insert(0, {tests!r})
torch.set_num_threads(1)
from test_engine import RECIPE, model, train
from dataclasses import replace
recipe = replace(RECIPE, epochs=20)
fitted, policy, events = train(Path(sys.argv[1]), recipe)
torch.save({{"losses": fitted.losses, "weights": policy.state_dict()}}, sys.argv[2])
"""


@pytest.mark.slow
def test_a_run_killed_at_any_moment_ends_as_if_nothing_had_happened(tmp_path: Path) -> None:
    code = KILLED.format(tests=str(Path(__file__).parent))

    def start(work: str, out: str) -> subprocess.Popen[bytes]:
        arguments = [sys.executable, "-c", code, str(tmp_path / work), str(tmp_path / out)]
        return subprocess.Popen(arguments, env={**os.environ, "PYTHONWARNINGS": "ignore"})

    assert start("straight", "straight.pt").wait() == 0
    work, kills = tmp_path / "killed", 0
    for least in (10, 40):
        process = start("killed", "killed.pt")
        while process.poll() is None:
            found = checkpoints(work)
            if found and int(found[-1].name[5:]) >= least:
                process.send_signal(signal.SIGKILL)
                kills += process.wait() == -signal.SIGKILL
                break
            time.sleep(0.003)
    assert kills == 2
    assert start("killed", "killed.pt").wait() == 0
    one, two = (torch.load(tmp_path / name, weights_only=True) for name in ("straight.pt", "killed.pt"))
    assert one["losses"] == two["losses"]
    assert all(torch.equal(value, two["weights"][name]) for name, value in one["weights"].items())
    state = json.loads((checkpoints(work)[-1] / "state.json").read_text())
    assert state["step"] == 60 and state["finished"]

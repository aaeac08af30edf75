"""The training engine: batches, steps, validation, checkpoints and exact resume for every objective alike."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor

from escalade.errors import BadInput, EscaladeError, Interrupted, OutOfTime
from escalade.protocols import Batch, Objective, Row
from escalade.records import Record
from escalade.train import (
    batches,
    ceiling,
    checkpoint,
    compiling,
    dropout,
    kernels,
    memory,
    optim,
    packing,
    store,
    world,
)
from escalade.train.attention import LONGEST
from escalade.train.batches import Micro
from escalade.train.kernels import Kernels
from escalade.train.recipe import Fitted, Recipe
from escalade.train.step import accumulate, mean_loss, not_finite
from escalade.values import digest_of

OnEvent = Callable[[dict[str, Any]], None]
_MOVING = 0.9
"""Weight of the past in the moving average of a step's seconds."""
_CEILING_FROM = 60.0
"""Seconds of a run from which measuring the processor's ceiling, a second or so, is worth it."""
_CLOCK = 1_000_000
"""Steps a run by the clock counts as, for its schedule."""


@dataclass
class _Position:
    """All that changes as training goes on, beside weights and moments: what a checkpoint's ``state.json`` holds."""

    step: int = 0
    epoch: int = 0
    taken: int = 0
    """Steps taken of this epoch."""
    tokens: int = 0
    spent: float = 0.0
    """Seconds of training so far."""
    starting: float = 0.0
    """Those of the first step of each process, which may have compiled: they are no time of the schedule."""
    losses: list[tuple[int, float]] = field(default_factory=list)
    validation: list[tuple[int, float]] = field(default_factory=list)
    best_step: int = 0
    worse: int = 0
    """Validations since the best."""
    micro_tokens: int = 0
    kernels: dict[str, bool] = field(default_factory=dict)
    finished: bool = False


def fit(
    objective: Objective,
    models: Mapping[str, Any],
    rows: Iterable[Record],
    validation: Iterable[Record],
    recipe: Recipe,
    *,
    work: Path,
    on_event: OnEvent = lambda event: None,
    should_stop: Callable[[], str | None] = lambda: None,
) -> Fitted:
    """Trains ``models["policy"]`` in place and leaves it with the weights of its best validation.

    What a checkpoint in ``work`` has done already is not done again, if it belongs to the same run: the final weights
    are bit for bit those of a run that was never stopped (same build, processor and number of threads). Under
    ``torchrun`` each process works off its share of every step, and all end with the same weights.

    Args:
        objective: What is learnt.
        models: By role; the policy is trained where its parameters ask for a gradient, all others stay as they are.
        rows: Records to learn from; encoded once, on disk in ``work``, so they may be more than memory holds.
        validation: Records to choose the best step by; the last step is kept where there are none.
        recipe: How.
        work: Where rows and checkpoints go; survives a kill.
        on_event: Hears of each step (``step``, ``steps``, ``loss``, ``lr``, ``tokens`` without padding,
            ``tokens_per_second``, ``padding``, ``memory`` in bytes, ``ceiling`` as a share, ``seconds_left``) and of
            ``rows``, ``kernels``, ``resumed``, ``checkpoint``, ``checkpoint_passed_over``, ``validation``,
            ``micro_batch``, ``not_compiled``, ``recompute`` and ``stopped_early``.
        should_stop: Asked after each step: None, ``signal`` or ``time``.

    Raises:
        Interrupted: Stopped by a signal, after a checkpoint.
        OutOfTime: Stopped as the time was over, after a checkpoint.
        BadInput: Nothing to learn, nothing trains, a loss that is no number, or one row is too much for the memory.
    """
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        run = _Run(objective, models, rows, validation, recipe, work, on_event)
        run.resume()
        with run.running():
            run.train(should_stop)
        return run.fitted()


class _Run:
    """One run of ``fit``."""

    def __init__(
        self,
        objective: Objective,
        models: Mapping[str, Any],
        records: Iterable[Record],
        validation: Iterable[Record],
        recipe: Recipe,
        work: Path,
        on_event: OnEvent,
    ) -> None:
        self.objective, self.models, self.recipe, self.work, self.tell = objective, models, recipe, work, on_event
        self.world = world.joined()
        self.policy = models["policy"]
        self.device = next(self.policy.parameters()).device
        self.attention = compiling.attention_of(self.policy)
        self.parameters = optim.trainable(self.policy)
        if not self.parameters:
            raise BadInput("train.nothing_trains", place=type(self.policy).__name__)
        self.rows, self.held = self._encoded(records, "rows"), self._encoded(validation, "held")
        if not len(self.rows):
            raise BadInput("train.nothing_to_learn", place=type(objective).__name__, rows=len(self.rows.empty))
        self.objective_settings = store.settings_of(objective)
        self.optimizer = optim.adamw(self.parameters, recipe)
        self.best: dict[str, Tensor] = {}
        self.at = _Position(micro_tokens=recipe.micro_tokens)
        self.seconds = 0.0
        """Moving average of a step's time."""
        self.over = 0.0
        """Share of a run by the clock that is over."""
        self.warm = False
        """Whether this process has taken a step."""
        self.ceiling = 0.0
        for role, model in models.items():
            if role != "policy":
                model.requires_grad_(False).eval()
        if hasattr(objective, "prepare"):
            objective.prepare(models, [*self.rows, *self.held])
        middling = self.rows[int(self.rows.lengths.argsort(kind="stable")[len(self.rows) // 2])]
        self.per_token = ceiling.operations_of(objective, self.policy, middling)

    # -- before the first step ---------------------------------------------------------------------------------------

    def _encoded(self, records: Iterable[Record], name: str) -> store.Rows:
        """The records as rows on disk, of each process its own."""
        folder = self.work / (name if self.world.leads else f"{name}-{self.world.rank}")
        rows = store.encoded(self.objective, records, folder, threads=torch.get_num_threads())
        self.tell({"event": "rows", "of": name, "rows": len(rows), "tokens": int(rows.lengths.sum())})
        return rows

    def identity(self) -> str:
        """What a checkpoint must belong to: recipe, rows, objective, models, and versions.

        Of what trains the checkpoint holds the weights; of what does not, a sum of each weight tells it from another.
        """
        recipe = {k: v for k, v in asdict(self.recipe).items() if k != "checkpoint_seconds"}
        rows = [self.rows.digest, self.held.digest]
        models = {role: _described(model, self.parameters if role == "policy" else {}) for role, model in
                  self.models.items()}  # fmt: skip
        versions = [torch.__version__, transformers.__version__, batches.VERSION]
        return digest_of([recipe, rows, self.objective_settings, models, versions])

    def resume(self) -> None:
        """Takes up the newest whole checkpoint of this run, or decides what a new one computes with."""

        def on_fault(folder: Path, file: str) -> None:
            self.tell({"event": "checkpoint_passed_over", "checkpoint": folder.name, "file": file})

        self.of_run = self.identity()
        found = self.world.told(checkpoint.newest(self.work, self.of_run, on_fault) if self.world.leads else None)
        if found is None:
            self.kernels = self._decided()
            self.at.kernels = self.kernels.chosen()
            self._plan()
            return
        found.state.pop("run")
        self.at = _Position(**found.state)
        self.at.losses = [(step, loss) for step, loss in self.at.losses]
        self.at.validation = [(step, loss) for step, loss in self.at.validation]
        self.kernels = Kernels(**self.at.kernels, why={})
        self._plan()
        self._put(found.weights)
        self.best = found.best
        optim.restore(self.optimizer, self.parameters, found.optimizer)
        self.tell({"event": "resumed", "step": self.at.step, "steps": self.steps, **self.at.kernels})

    def _decided(self) -> Kernels:
        """What this run computes with, told."""
        found = kernels.decide(self.objective, self.models, self.rows, self.recipe, self._forecast_seconds)
        chosen = self.world.told(found)
        self.tell({"event": "kernels", **chosen.chosen(), "why": chosen.why})
        return chosen

    def _forecast_seconds(self, packed: bool) -> float:
        """About how long this run will take here."""
        if self.recipe.seconds is not None:
            return self.recipe.seconds
        steps, per_epoch = batches.steps_of(self.rows.lengths, self.recipe, packed)
        tokens = float(self.rows.lengths.sum()) * (steps or 1) / per_epoch
        return kernels.forecast_seconds(tokens * self.per_token, self.device.type, torch.get_num_threads())

    def _plan(self) -> None:
        """Steps of the run and of an epoch; the widest line where rows are packed."""
        self.steps, self.per_epoch = batches.steps_of(self.rows.lengths, self.recipe, self.kernels.packed)
        longest = max(int(rows.lengths.max()) for rows in (self.rows, self.held) if len(rows))
        self.widest = packing.widest_of(longest) if self.kernels.packed else None

    def _longest(self) -> int:
        """Most tokens that stand side by side in a row, read or written, learnt from or held out."""
        return max(
            int(max(rows.read.max(), (rows.lengths - rows.read).max())) for rows in (self.rows, self.held) if len(rows)
        )

    @contextmanager
    def running(self) -> Iterator[None]:
        """Compiled layers, dropout of our own and recomputed activations while the run lasts."""
        if self.kernels.recompute:
            self._recompute()
        if self._forecast_seconds(self.kernels.packed) >= _CEILING_FROM:
            self.ceiling = ceiling.ceiling(self.policy, self.kernels.bf16)
        try:
            with compiling.prepared(), dropout.replaced():
                if self.kernels.compiled:
                    compiling.compile_layers(self.policy, written_out=self._longest() <= LONGEST)
                yield
        finally:
            compiling.uncompile(self.policy, self.attention)
            if self.at.kernels["recompute"]:
                disable = getattr(self.policy, "activation_checkpointing_disable", None)
                (disable or self.policy.gradient_checkpointing_disable)()

    # -- the steps ---------------------------------------------------------------------------------------------------

    def train(self, should_stop: Callable[[], str | None]) -> None:
        """Steps until the last one, patience runs out, or someone asks to stop."""
        source = batches.stream(self.rows.lengths, self.recipe, self.kernels.packed, self.at.epoch, self.at.taken)
        saved = clock = time.monotonic()
        while not self.at.finished:
            epoch, taken, places = next(source)
            self._step(epoch, [self.rows[int(place)] for place in places])
            self.at.epoch, self.at.taken = epoch, taken
            now = time.monotonic()
            took = self.world.told(now - clock)
            self.at.spent, clock = self.at.spent + took, now
            if not self.warm:
                self.at.starting, self.warm = self.at.starting + took, True
            last = self._is_last()
            if self._validation_is_due(last):
                self._validate()
            self.at.finished = self.at.finished or last
            reason = None if self.at.finished else self.world.told(should_stop())
            if reason or self.at.finished or self._checkpoint_is_due(saved):
                self._save()
                saved = time.monotonic()
            if reason:
                # Nobody leaves before the checkpoint is written: torchrun ends all when one does.
                self.world.told(None)
            if reason:
                raise self._stopped(reason)

    def _is_last(self) -> bool:
        if self.recipe.seconds is not None:
            return self.at.spent >= self.recipe.seconds
        return self.at.step >= (self.steps or 0)

    def _rate(self, step: int) -> float:
        """The learning rate of a step; by the clock, where that decides how long the run is."""
        if self.recipe.seconds is None:
            return optim.rate(self.recipe, step, self.steps or 1)
        starting = self.at.starting
        share = (self.at.spent - starting + self.seconds) / max(self.recipe.seconds - starting, 1e-9)
        # Steps that become faster must not turn the clock back.
        self.over = max(self.over, min(1.0, share))
        return self.world.told(optim.rate(self.recipe, max(1, round(_CLOCK * self.over)), _CLOCK))

    def _step(self, epoch: int, rows: Sequence[Row]) -> None:
        """One step, its micro-batches halved until they fit into memory."""
        began = time.perf_counter()
        step = self.at.step + 1
        loss = None
        while loss is None:
            micro = self._micro(rows, self.world.size)
            loss = self._attempt(epoch, step, micro)
        rate = self._rate(step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        self.at.step = step
        self.at.losses.append((step, loss))
        tokens = sum(row.length for row in rows)
        self.at.tokens += tokens
        self._tell_step(loss, rate, tokens, micro, time.perf_counter() - began)

    def _attempt(self, epoch: int, step: int, micro: Sequence[Micro]) -> float | None:
        """The loss of a step whose gradient is there; None where it has to be tried again in another way."""
        loss = None
        failed = False
        made: list[Batch] | None = None
        try:
            made = [self._collated(part, epoch) for part in self.world.share(micro)]
        except (RuntimeError, MemoryError) as error:
            if not _out_of_memory(error):
                raise
        if self.world.any(made is None):
            self._make_smaller(micro)
            return None
        try:
            loss = self._gradient(step, made or [])
        except (RuntimeError, MemoryError) as error:
            failed = compiling.is_failure(error)
            if failed and self.kernels.compiled:
                self._give_up_compiling(error)
            elif not _out_of_memory(error):
                raise
        # Outside of the handler, as the error's traceback holds on to the tensors that did not fit.
        if self.world.any(loss is None and not failed):
            self._make_smaller(micro)
            return None
        return None if self.world.any(failed) or loss is None else self._finished(loss, step, micro)

    def _micro(self, rows: Sequence[Row], parts: int = 1) -> list[Micro]:
        """The micro-batches of a step, or of the held-out rows."""
        attention = packing.attention_cost(self.policy.config)
        return batches.micro_batches(rows, self.at.micro_tokens, self.widest, parts, attention)

    def _gradient(self, step: int, made: Sequence[Batch]) -> float:
        """The step's gradient in the parameters; returns this process's part of the loss."""
        self.policy.train()
        self.optimizer.zero_grad(set_to_none=True)
        # Dropout depends on the step alone, so that a resumed run drops what the undisturbed one would have.
        torch.manual_seed(batches.seed_of(self.recipe.seed, "dropout", step))
        return accumulate(
            self.objective, self.models, made, f"step {step}", bf16=self.kernels.bf16, total=self.world.total
        )

    def _finished(self, loss: float, step: int, micro: Sequence[Micro]) -> float:
        """Gradient and loss over all processes, the gradient clipped."""
        self.world.add_gradients(self.parameters.values())
        limit = self.recipe.clip if self.recipe.clip > 0 else math.inf
        norm = torch.nn.utils.clip_grad_norm_(self.parameters.values(), limit)
        if not math.isfinite(float(norm)):
            names = [row.id for part in micro for row in part.rows]
            raise not_finite("gradient", {"names": names}, f"step {step}")
        return self.world.total([loss])[0]

    def _collated(self, part: Micro, epoch: int | str) -> Batch:
        seeds = [batches.seed_of(self.recipe.seed, epoch, row.id) for row in part.rows]
        if part.lines is not None:
            batch = kernels.packed_batch(self.objective, part, seeds)
        else:
            batch = self.objective.collate(part.rows, seeds)
        how = ("compiled" if self.kernels.compiled else "eager") if self.kernels.lean else None
        return {**batches.on_device(batch, self.device), "names": [row.id for row in part.rows], "lean": how}

    def _make_smaller(self, micro: Sequence[Micro]) -> None:
        """Smaller micro-batches after memory ran out; the effective batch and its gradient stay what they were."""
        self.optimizer.zero_grad(set_to_none=True)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        longest = max(row.length for part in micro for row in part.rows)
        if self.at.micro_tokens <= longest or all(len(part.rows) == 1 for part in micro):
            if self.at.kernels["recompute"] or not self._recompute():
                raise BadInput("train.out_of_memory", place=f"step {self.at.step + 1}", tokens=longest)
            self.tell({"event": "recompute", "step": self.at.step + 1})
            return
        used = max(part.worked for part in micro)
        self.at.micro_tokens = max(1, min(self.at.micro_tokens, used) // 2)
        self.tell({"event": "micro_batch", "step": self.at.step + 1, "micro_tokens": self.at.micro_tokens})

    def _recompute(self) -> bool:
        """Keeps no activations within layers from here on; False where the model cannot do without."""
        if not getattr(self.policy, "supports_gradient_checkpointing", False):
            return False
        # The name changed within transformers 5.
        enable = getattr(self.policy, "activation_checkpointing_enable", None)
        (enable or self.policy.gradient_checkpointing_enable)({"use_reentrant": False})
        if any(not p.requires_grad for p in self.policy.parameters()):
            self.policy.enable_input_require_grads()
        self.kernels.recompute = self.at.kernels["recompute"] = True
        return True

    def _give_up_compiling(self, error: Exception) -> None:
        """The step by the library's own kernels, where compiling them failed; said, not silent."""
        compiling.uncompile(self.policy, self.attention)
        self.kernels.compiled = self.at.kernels["compiled"] = False
        problem = (str(error).strip().splitlines() or [type(error).__name__])[0]
        self.tell({"event": "not_compiled", "step": self.at.step + 1, "problem": problem})

    # -- validation, checkpoints, events -----------------------------------------------------------------------------

    def _validation_is_due(self, last: bool) -> bool:
        every = max(1, round(self.recipe.eval_every * self.per_epoch))
        return len(self.held) > 0 and (self.at.step % every == 0 or last)

    def _validate(self) -> None:
        """Loss on the held-out rows, hidden alike every time; remembers the best weights."""
        parts = self.world.share(self._micro(self.held))
        made = (self._collated(part, "validation") for part in parts)
        with compiling.paused(self.policy):
            loss = mean_loss(self.objective, self.models, made, bf16=self.kernels.bf16, total=self.world.total)
        better = not self.at.validation or loss < min(value for _, value in self.at.validation)
        self.at.validation.append((self.at.step, loss))
        self.tell({"event": "validation", "step": self.at.step, "loss": loss, "best": better})
        if better:
            self.best = {name: parameter.detach().clone() for name, parameter in self.parameters.items()}
            self.at.best_step, self.at.worse = self.at.step, 0
            return
        self.at.worse += 1
        if self.recipe.patience is not None and self.at.worse >= self.recipe.patience:
            self.at.finished = True
            self.tell({"event": "stopped_early", "step": self.at.step, "best_step": self.at.best_step})

    def _checkpoint_is_due(self, saved: float) -> bool:
        return time.monotonic() - saved >= self.recipe.checkpoint_seconds

    def _save(self) -> None:
        if not self.world.leads:
            return
        weights = {name: parameter.detach() for name, parameter in self.parameters.items()}
        moments = optim.state_of(self.optimizer, self.parameters)
        state = {**asdict(self.at), "run": self.of_run}
        checkpoint.save(self.work, self.at.step, checkpoint.Checkpoint(state, weights, self.best, moments))
        self.tell({"event": "checkpoint", "step": self.at.step})

    def _stopped(self, reason: str) -> EscaladeError:
        place, facts = f"step {self.at.step}", {"step": self.at.step, "steps": self._steps_about()}
        if reason == "time":
            return OutOfTime("train.out_of_time", place=place, **facts)
        return Interrupted("train.interrupted", place=place, **facts)

    def _steps_about(self) -> int:
        """Steps of the whole run; where the clock decides, as many as it looks like by now."""
        if self.recipe.seconds is None:
            return self.steps or self.at.step
        left = max(0.0, self.recipe.seconds - self.at.spent)
        return self.at.step + round(left / max(self.seconds, 1e-9)) if self.seconds else self.at.step

    def _tell_step(self, loss: float, rate: float, tokens: int, micro: Sequence[Micro], seconds: float) -> None:
        if self.warm:
            self.seconds = seconds if not self.seconds else _MOVING * self.seconds + (1 - _MOVING) * seconds
        steps = self._steps_about()
        speed = tokens / max(seconds, 1e-9)
        self.tell(
            {
                "event": "step",
                "tokens": tokens,
                "step": self.at.step,
                "steps": steps,
                "loss": loss,
                "lr": rate,
                "tokens_per_second": speed,
                "padding": batches.padded_share(micro),
                "memory": memory.used(self.device),
                "ceiling": speed * self.per_token / self.ceiling if self.ceiling else None,
                "seconds_left": (self.seconds or seconds) * (steps - self.at.step),
            }
        )

    @torch.no_grad()
    def _put(self, weights: Mapping[str, Tensor]) -> None:
        for name, parameter in self.parameters.items():
            parameter.copy_(weights[name])

    def fitted(self) -> Fitted:
        """The best weights in the model, and the account of the run."""
        if self.best:
            self._put(self.best)
        self.optimizer.zero_grad(set_to_none=True)
        self.policy.eval()
        return Fitted(
            steps=self.at.step,
            losses=self.at.losses,
            validation=self.at.validation,
            best_step=self.at.best_step if self.best else self.at.step,
            cut_rows=list(dict.fromkeys((*self.rows.cut, *self.held.cut))),
            empty_rows=[*self.rows.empty, *self.held.empty],
            tokens=self.at.tokens,
            trainable=sum(parameter.numel() for parameter in self.parameters.values()),
            kernels=dict(self.at.kernels),
        )


def _described(model: Any, trained: Mapping[str, Any]) -> list[Any]:
    """A model's configuration, the shapes of what trains, and a sum of every weight that does not."""
    config = model.config.to_dict() if hasattr(model, "config") else {}
    kept = {k: v for k, v in config.items() if not k.startswith("_") and k != "name_or_path"}
    shapes = {name: [*parameter.shape] for name, parameter in trained.items()}
    frozen = {name: float(p.detach().double().sum()) for name, p in model.named_parameters() if name not in trained}
    return [type(model).__name__, json.dumps(kept, sort_keys=True, default=str), shapes, frozen]


def _out_of_memory(error: BaseException) -> bool:
    said = str(error).lower()
    return isinstance(error, MemoryError) or "out of memory" in said or "can't allocate memory" in said

"""The training engine: batches, steps, validation, checkpoints and exact resume for every objective alike."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from escalade.errors import BadInput, EscaladeError, Interrupted, OutOfTime
from escalade.protocols import Batch, Objective, Row
from escalade.records import Record
from escalade.train import batches, checkpoint, optim
from escalade.train.precision import bf16_pays
from escalade.train.recipe import Fitted, Recipe
from escalade.train.step import accumulate, mean_loss, not_finite
from escalade.values import digest_of

OnEvent = Callable[[dict[str, Any]], None]
_MOVING = 0.9
"""Weight of the past in the moving average of a step's seconds."""


@dataclass
class _Position:
    """All that changes as training goes on, beside weights and moments: what a checkpoint's ``state.json`` holds."""

    step: int = 0
    epoch: int = 0
    taken: int = 0
    """Steps taken of this epoch."""
    tokens: int = 0
    losses: list[tuple[int, float]] = field(default_factory=list)
    validation: list[tuple[int, float]] = field(default_factory=list)
    best_step: int = 0
    worse: int = 0
    """Validations since the best."""
    micro_tokens: int = 0
    bf16: bool = False
    finished: bool = False


def fit(
    objective: Objective,
    models: Mapping[str, Any],
    rows: Sequence[Record],
    validation: Sequence[Record],
    recipe: Recipe,
    *,
    work: Path,
    on_event: OnEvent = lambda event: None,
    should_stop: Callable[[], str | None] = lambda: None,
) -> Fitted:
    """Trains ``models["policy"]`` in place and leaves it with the weights of its best validation.

    What a checkpoint in ``work`` has done already is not done again, if it belongs to the same run: the final weights
    are bit for bit those of a run that was never stopped (same build, processor and number of threads).

    Args:
        objective: What is learnt.
        models: By role; the policy is trained where its parameters ask for a gradient, all others stay as they are.
        rows: Records to learn from.
        validation: Records to choose the best step by; the last step is kept where there are none.
        recipe: How.
        work: Where checkpoints go; survives a kill.
        on_event: Hears of each step (``step``, ``steps``, ``loss``, ``lr``, ``tokens_per_second``, ``padding``,
            ``seconds_left``) and of ``resumed``, ``checkpoint``, ``checkpoint_passed_over``, ``validation``,
            ``precision``, ``micro_batch`` and ``stopped_early``.
        should_stop: Asked after each step: None, ``signal`` or ``time``.

    Raises:
        Interrupted: Stopped by a signal, after a checkpoint.
        OutOfTime: Stopped as the time was over, after a checkpoint.
        BadInput: Nothing to learn, nothing trains, a loss that is no number, or one row is too much for the memory.
    """
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        run = _Run(objective, models, rows, validation, recipe, work, on_event)
        run.resume()
        run.train(should_stop)
        return run.fitted()


class _Run:
    """One run of ``fit``."""

    def __init__(
        self,
        objective: Objective,
        models: Mapping[str, Any],
        records: Sequence[Record],
        validation: Sequence[Record],
        recipe: Recipe,
        work: Path,
        on_event: OnEvent,
    ) -> None:
        self.objective, self.models, self.recipe, self.work, self.tell = objective, models, recipe, work, on_event
        self.policy = models["policy"]
        self.device = next(self.policy.parameters()).device
        self.parameters = optim.trainable(self.policy)
        if not self.parameters:
            raise BadInput("train.nothing_trains", place=type(self.policy).__name__)
        self.empty: list[str] = []
        self.rows = self._encoded(records)
        self.held = self._encoded(validation)
        if not self.rows:
            raise BadInput("train.nothing_to_learn", place=type(objective).__name__, rows=len(records))
        self.steps, self.per_epoch = batches.steps_of(self.rows, recipe)
        self.optimizer = optim.adamw(self.parameters, recipe)
        self.best: dict[str, Tensor] = {}
        self.at = _Position(micro_tokens=recipe.micro_tokens)
        self.seconds = 0.0
        """Moving average of a step's time."""
        for role, model in models.items():
            if role != "policy":
                model.requires_grad_(False).eval()
        if hasattr(objective, "prepare"):
            objective.prepare(models, [*self.rows, *self.held])

    # -- before the first step ---------------------------------------------------------------------------------------

    def _encoded(self, records: Sequence[Record]) -> list[Row]:
        made = []
        for record in records:
            row = self.objective.encode(record)
            if row is None:
                self.empty.append(record.id)
            else:
                made.append(row)
        return made

    def identity(self) -> str:
        """What a checkpoint must belong to: recipe, rows, objective, and the shapes of what trains."""
        recipe = {k: v for k, v in asdict(self.recipe).items() if k != "checkpoint_seconds"}
        rows = blake2b(digest_size=16)
        for row in (*self.rows, *self.held):
            rows.update(repr((row.id, row.ids, row.roles, row.target, row.group)).encode())
        shapes = {name: [*parameter.shape] for name, parameter in self.parameters.items()}
        said = [recipe, len(self.held), rows.hexdigest(), type(self.objective).__name__, shapes, torch.__version__]
        return digest_of(said)

    def resume(self) -> None:
        """Takes up the newest whole checkpoint of this run, or decides on the precision of a new one."""

        def on_fault(folder: Path, file: str) -> None:
            self.tell({"event": "checkpoint_passed_over", "checkpoint": folder.name, "file": file})

        self.of_run = self.identity()
        found = checkpoint.newest(self.work, on_fault)
        if found is not None and found.state.pop("run") != self.of_run:
            self.tell({"event": "checkpoint_passed_over", "checkpoint": "all", "file": "another run"})
            found = None
        if found is None:
            self.at.bf16 = bf16_pays(self.device.type)
            self.tell({"event": "precision", "bf16": self.at.bf16})
            return
        self.at = _Position(**found.state)
        self.at.losses = [(step, loss) for step, loss in self.at.losses]
        self.at.validation = [(step, loss) for step, loss in self.at.validation]
        self._put(found.weights)
        self.best = found.best
        optim.restore(self.optimizer, self.parameters, found.optimizer)
        self.tell({"event": "resumed", "step": self.at.step, "steps": self.steps, "bf16": self.at.bf16})

    # -- the steps ---------------------------------------------------------------------------------------------------

    def train(self, should_stop: Callable[[], str | None]) -> None:
        """Steps until the last one, patience runs out, or someone asks to stop."""
        source = batches.stream(self.rows, self.recipe, self.at.epoch, self.at.taken)
        saved = time.monotonic()
        while not self.at.finished:
            epoch, taken, rows = next(source)
            self._step(epoch, rows)
            self.at.epoch, self.at.taken = epoch, taken
            if self._validation_is_due():
                self._validate()
            self.at.finished = self.at.finished or self.at.step >= self.steps
            reason = None if self.at.finished else should_stop()
            if reason or self.at.finished or time.monotonic() - saved >= self.recipe.checkpoint_seconds:
                self._save()
                saved = time.monotonic()
            if reason:
                raise self._stopped(reason)

    def _step(self, epoch: int, rows: Sequence[Row]) -> None:
        """One step, its micro-batches halved until they fit into memory."""
        began = time.perf_counter()
        step = self.at.step + 1
        loss = None
        while loss is None:
            micro = batches.split(sorted(rows, key=lambda row: (row.length, row.id)), self.at.micro_tokens)
            try:
                loss = self._gradient(epoch, step, micro)
            except (RuntimeError, MemoryError) as error:
                if not _out_of_memory(error):
                    raise
            # Outside of the handler, as the error's traceback holds on to the tensors that did not fit.
            if loss is None:
                self._halve(micro)
        rate = optim.rate(self.recipe, step, self.steps)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        self.at.step = step
        self.at.losses.append((step, loss))
        tokens = sum(row.length for row in rows)
        self.at.tokens += tokens
        self._tell_step(loss, rate, tokens, micro, time.perf_counter() - began)

    def _gradient(self, epoch: int, step: int, micro: Sequence[Sequence[Row]]) -> float:
        """The step's gradient in the parameters, clipped; returns the loss."""
        self.policy.train()
        self.optimizer.zero_grad(set_to_none=True)
        # Dropout depends on the step alone, so that a resumed run drops what the undisturbed one would have.
        torch.manual_seed(batches.seed_of(self.recipe.seed, "dropout", step))
        made = [self._collated(rows, epoch) for rows in micro]
        loss = accumulate(self.objective, self.models, made, place=f"step {step}", bf16=self.at.bf16)
        limit = self.recipe.clip if self.recipe.clip > 0 else math.inf
        norm = torch.nn.utils.clip_grad_norm_(self.parameters.values(), limit)
        if not math.isfinite(float(norm)):
            raise not_finite("gradient", {"names": [row.id for rows in micro for row in rows]}, f"step {step}")
        return loss

    def _collated(self, rows: Sequence[Row], epoch: int | str) -> Batch:
        seeds = [batches.seed_of(self.recipe.seed, epoch, row.id) for row in rows]
        batch = batches.on_device(self.objective.collate(rows, seeds), self.device)
        return {**batch, "names": [row.id for row in rows]}

    def _halve(self, micro: Sequence[Sequence[Row]]) -> None:
        """Smaller micro-batches after memory ran out; the effective batch and its gradient stay what they were."""
        self.optimizer.zero_grad(set_to_none=True)
        if all(len(rows) == 1 for rows in micro):
            longest = max(row.length for rows in micro for row in rows)
            raise BadInput("train.out_of_memory", place=f"step {self.at.step + 1}", tokens=longest)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        used = max(len(rows) * max(row.length for row in rows) for rows in micro)
        self.at.micro_tokens = max(1, min(self.at.micro_tokens, used) // 2)
        self.tell({"event": "micro_batch", "step": self.at.step + 1, "micro_tokens": self.at.micro_tokens})

    # -- validation, checkpoints, events -----------------------------------------------------------------------------

    def _validation_is_due(self) -> bool:
        every = max(1, round(self.recipe.eval_every * self.per_epoch))
        return bool(self.held) and (self.at.step % every == 0 or self.at.step >= self.steps)

    def _validate(self) -> None:
        """Loss on the held-out rows, hidden alike every time; remembers the best weights."""
        rows = sorted(self.held, key=lambda row: (row.length, row.id))
        made = [self._collated(some, "validation") for some in batches.split(rows, self.at.micro_tokens)]
        loss = mean_loss(self.objective, self.models, made, bf16=self.at.bf16)
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

    def _save(self) -> None:
        weights = {name: parameter.detach() for name, parameter in self.parameters.items()}
        moments = optim.state_of(self.optimizer, self.parameters)
        state = {**asdict(self.at), "run": self.of_run}
        checkpoint.save(self.work, self.at.step, checkpoint.Checkpoint(state, weights, self.best, moments))
        self.tell({"event": "checkpoint", "step": self.at.step})

    def _stopped(self, reason: str) -> EscaladeError:
        place, facts = f"step {self.at.step}", {"step": self.at.step, "steps": self.steps}
        if reason == "time":
            return OutOfTime("train.out_of_time", place=place, **facts)
        return Interrupted("train.interrupted", place=place, **facts)

    def _tell_step(self, loss: float, rate: float, tokens: int, micro: Sequence[Sequence[Row]], seconds: float) -> None:
        self.seconds = seconds if not self.seconds else _MOVING * self.seconds + (1 - _MOVING) * seconds
        self.tell(
            {
                "event": "step",
                "step": self.at.step,
                "steps": self.steps,
                "loss": loss,
                "lr": rate,
                "tokens_per_second": tokens / max(seconds, 1e-9),
                "padding": batches.padded_share(micro),
                "seconds_left": self.seconds * (self.steps - self.at.step),
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
            cut_rows=list(dict.fromkeys(getattr(self.objective, "cut", ()))),
            empty_rows=self.empty,
            tokens=self.at.tokens,
            trainable=sum(parameter.numel() for parameter in self.parameters.values()),
        )


def _out_of_memory(error: BaseException) -> bool:
    said = str(error).lower()
    return isinstance(error, MemoryError) or "out of memory" in said or "can't allocate memory" in said

"""One measured process of escalade: ``fit`` with an objective over records; prints one JSON line.

The job is ``{"objective", "model", "records", "context", "rows", "passes", "recipe", "save"}``.
"""

from __future__ import annotations

import json
import math
import tempfile
import time
from pathlib import Path
from typing import Any

from train_worker_shared import CORES, Clock, answer, job, peak_bytes

JOB = job()

import escalade  # noqa: E402, F401, I001 (before torch, so that waiting threads sleep)
import torch  # noqa: E402
from escalade.models.describe import config_of, family_of  # noqa: E402
from escalade.models.heads import native_head  # noqa: E402
from escalade.models.load import load_model, load_tokenizer  # noqa: E402
from escalade.models.save import save_model  # noqa: E402
from escalade.records import Pair, Record, Text, from_json  # noqa: E402
from escalade.train import Recipe, fit  # noqa: E402
from train_works import objective_of  # noqa: E402


class Timed:
    """A function that remembers when it ended, and how long it took."""

    def __init__(self, work: Any) -> None:
        self.work = work
        self.calls: list[tuple[float, float]] = []

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        begun = time.perf_counter()
        made = self.work(*args, **kwargs)
        ended = time.perf_counter()
        self.calls.append((ended, ended - begun))
        return made


def records_of(path: Path) -> list[Record]:
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [from_json(Pair if "output" in row else Text, row) for row in rows]


def measured(said: dict[str, Any]) -> dict[str, Any]:
    torch.set_num_threads(CORES)
    folder = Path(said["model"])
    tokenizer = load_tokenizer(folder)
    model = load_model(folder, native_head(family_of(config_of(folder), folder)))
    objective = objective_of(said["objective"], tokenizer, said["context"])
    collate = objective.collate = Timed(objective.collate)
    records = records_of(Path(said["records"]))
    recipe = Recipe(
        epochs=said["passes"],
        batch_rows=said["rows"],
        checkpoint_seconds=math.inf,
        **{"learning_rate": 1e-4, **said.get("recipe", {})},
    )
    clock = Clock()
    losses: list[float] = []
    events: list[dict[str, Any]] = []

    def on_event(event: dict[str, Any]) -> None:
        if event["event"] == "step":
            clock.tick()
            losses.append(event["loss"])
        else:
            events.append(event)

    with tempfile.TemporaryDirectory() as work:
        clock.begun = time.perf_counter()
        done = fit(objective, {"policy": model}, records, [], recipe, work=Path(work), on_event=on_event)
    if done.cut_rows or done.empty_rows:
        raise RuntimeError("rows were cut or dropped")
    if any(event["event"] == "not_compiled" for event in events):
        raise RuntimeError("layers could not be compiled")
    peak = peak_bytes()
    if said.get("save"):
        save_model(model, tokenizer, Path(said["save"]))
    return {
        **clock.passes(),
        "steps": len(clock.ends) // 2,
        "first_loss": losses[0],
        "tokens": done.tokens / said["passes"],
        "collate_seconds": sum(took for ended, took in collate.calls if clock.in_second(ended)),
        "peak_bytes": peak,
        "settings": {k: v for e in events if e["event"] == "kernels" for k, v in e.items() if isinstance(v, bool)},
    }


if __name__ == "__main__":
    answer(measured(JOB))

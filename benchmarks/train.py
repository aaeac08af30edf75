"""Training beside TRL's ``SFTTrainer`` and transformers' ``Trainer``: speed, memory, and the share of the ceiling.

The same model with random weights and the same rows for all, two cores and two threads for each. Every measurement is
a process of its own that makes two passes over the rows; the second is timed as a whole, less what is still compiled
in it, so that compilation and start-up are left out (they are told). escalade, the peer as it comes, and the best of
the peer's grid (``grid_points``) take turns; ratios are of runs that stand beside each other.

A token is useful where it is part of a row: padding is not counted. The ceiling is the speed of bfloat16 matrix
products of the model's own shapes, measured in the same turns; operations are those that the rows need
(``train_counts.step_flops``). Memory is the most a process ever had in RAM (``VmHWM``).
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import escalade
import peers
from common import Row, at_least, at_most, main, noted
from train_counts import Size, products, size_of, step_flops, useful_tokens
from train_worker_shared import environment
from train_works import Made, Work, make, without_dropout

HERE = Path(__file__).resolve().parent
SOURCE = Path(escalade.__file__).resolve().parents[1]
GRID = peers.ROOT / "grid.json"
LIMIT = 1200
"""Seconds that one process may take."""
SEARCH = 3
"""Raised when a grid is searched in another way."""
SAME = 0.02
COLLATION = 0.1
MB = 1e6
FEW_STEPS, MORE_STEPS, FINALISTS = 4, 16, 2
"""Of a grid: steps of a pass by which the precision is chosen, and all else; how many of the fastest are compiled."""


@dataclass(frozen=True)
class Bars:
    """What a work should reach; None where nothing is asked."""

    peer: str
    defaults: float | None
    best: float | None
    ceiling: float | None = None
    memory: float | None = None


WORKS: dict[str, tuple[Work, Bars]] = {
    "sft": (Work("sft", "sft", length=None, few=8), Bars("trl", defaults=6, best=2)),
    "packed": (Work("packed", "clm", length=256, context=256, few=8), Bars("transformers", 2, 1.2, ceiling=0.6)),
    "mlm": (Work("mlm", "mlm", length=None), Bars("transformers", defaults=2.5, best=1.3)),
    "span": (Work("span", "span", length=None), Bars("transformers", defaults=2.5, best=1.3)),
    "memory": (
        Work("memory", "clm", length=512, vocabulary=50_000, steps=2),
        Bars("transformers", defaults=None, best=None, memory=0.6),
    ),
}
OPTIONS = {
    "work": {"choices": list(WORKS), "help": "one work alone"},
    "grid": {"action": "store_true", "help": "measure the peers' grids anew and nothing else"},
    "repeats": {"type": int, "help": "turns (5; quick: 2)"},
}
Found = dict[str, Any]


def rows(quick: bool, work: str | None, grid: bool, repeats: int | None) -> list[Row]:
    made: list[Row] = []
    for name in [work] if work else list(WORKS):
        said, bars = WORKS[name]
        smaller = replace(said, steps=min(said.steps, said.few)) if quick else said
        with tempfile.TemporaryDirectory(prefix="escalade-benchmark-") as folder:
            if grid:
                made += grid_rows(Path(folder), said, bars, anew=True)
            else:
                made += work_rows(Path(folder), smaller, bars, repeats or (2 if quick else 5))
    return made


def work_rows(folder: Path, work: Work, bars: Bars, repeats: int) -> list[Row]:
    """All that is measured of one work."""
    if bars.memory is not None:
        return memory_rows(make(work, folder), bars, min(repeats, 3))
    rows = grid_rows(folder / "grid", work, bars, anew=False)
    best = best_of(saved_grid(work, bars.peer))
    made = make(work, folder / "made")
    turns = [turn(made, bars.peer, best) for _ in range(repeats)]
    return [
        *rows,
        *speed_rows(made, bars, best, turns),
        *share_rows(made, bars, turns),
        *loss_rows(made, bars, best),
    ]


# -- one process ---------------------------------------------------------------------------------------------------


def ours(made: Made, data: Path | None = None, **changes: Any) -> Found:
    """One process of escalade; layers compiled, as in every run of more than three minutes, which this stands for."""
    said = {
        "recipe": {"compiled": True},
        "objective": made.work.objective,
        "model": str(made.model),
        "records": str(data or made.records),
        "context": made.work.context,
        "rows": made.work.rows,
        "passes": 2,
    }
    return process(sys.executable, "train_worker.py", {**said, **changes}, "escalade", {"PYTHONPATH": str(SOURCE)})


def theirs(made: Made, peer: str, settings: peers.Settings, data: Path | None = None, **changes: Any) -> Found:
    """One process of a peer."""
    said = {
        "peer": peer,
        "objective": made.work.objective,
        "model": str(made.model),
        "data": str(data or made.data),
        "rows": made.work.rows,
        "passes": 2,
        "settings": settings,
    }
    name = f"{peer}, {peers.shown(settings)}"
    return process(str(peers.python_of(peer)), "train_worker_peer.py", {**said, **changes}, name, {})


def ceiling(made: Made) -> Found:
    """The speed of bfloat16 matrix products of this model's shapes, with the tokens of a mean step."""
    sizes, steps = sizes_of(made), made.work.steps
    on = {
        "read": sum(size.read for size in sizes) // steps,
        "written": sum(size.written for size in sizes) // steps,
        "learnt": sum(size.learnt for size in sizes) // steps,
    }
    shapes = [[on[one.on], one.given, one.made, one.times] for one in products(made.config)]
    said = {"shapes": shapes, "seconds": 5}
    return process(sys.executable, "train_worker_ceiling.py", said, "ceiling", {"PYTHONPATH": str(SOURCE)})


def process(python: str, script: str, said: Found, name: str, more: dict[str, str]) -> Found:
    """Runs one worker and gives what its last line says.

    Raises:
        RuntimeError: It failed or took too long; the end of what it said is in the message.
    """
    caches = {"TORCHINDUCTOR_CACHE_DIR": str(peers.ROOT / "inductor" / script.removesuffix(".py"))}
    command = [python, str(HERE / script), json.dumps(said)]
    try:
        done = subprocess.run(
            command, env={**environment(), **caches, **more}, capture_output=True, text=True, timeout=LIMIT
        )
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(f"{name} took more than {LIMIT} seconds") from error
    if done.returncode:
        raise RuntimeError(f"{name} failed:\n{done.stderr[-2000:]}")
    found: Found = json.loads(done.stdout.splitlines()[-1])
    told = {k: round(v, 3) for k, v in found.items() if isinstance(v, float | int)}
    print(f"  {name}: {told}", file=sys.stderr, flush=True)
    return found


# -- the peer's best -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Point:
    """What one point of a grid reached."""

    speed: float
    """Useful tokens a second; 0 where it failed."""
    detail: str
    last: bool = False
    """It is one of those that the best is chosen from."""


def grid_rows(folder: Path, work: Work, bars: Bars, anew: bool) -> list[Row]:
    """A peer's grid, measured, or as an earlier run with the same versions found it."""
    if bars.memory is not None:
        return []
    found = {} if anew else saved_grid(work, bars.peer)
    if not found:
        found = grid_points(folder, work, bars.peer)
        save_grid(work, bars.peer, found)
    return [
        noted(f"{work.name}: {bars.peer}, {peers.shown(json.loads(settings))}", point.speed, point.detail)
        for settings, point in found.items()
    ]


def grid_points(folder: Path, work: Work, peer: str) -> dict[str, Point]:
    """Which precision is the faster, on a few rows; with it every order; and the two fastest of these compiled.

    Grouping by length needs rows to choose from: transformers sorts within a quarter of the rows if there are few.
    """
    found: dict[str, Point] = {}
    few, more = (make(replace(work, steps=steps), folder / str(steps)) for steps in (FEW_STEPS, MORE_STEPS))

    def fastest(made: Made, some: list[peers.Settings], last: bool) -> list[peers.Settings]:
        points = {json.dumps(settings): replace(point_of(made, peer, settings), last=last) for settings in some}
        found.update(points)
        return [json.loads(one) for one in sorted(points, key=lambda one: points[one].speed, reverse=True)]

    precision = fastest(few, peers.precisions(peer, work.length is None), last=False)[0]
    tokens = useful_tokens(sizes_of(more)) // MORE_STEPS
    plain = fastest(more, peers.orders(precision, peer, tokens), last=True)[:FINALISTS]
    fastest(more, [one for settings in plain for one in peers.compiled(settings)], last=True)
    return found


def point_of(made: Made, peer: str, settings: peers.Settings) -> Point:
    """Measures settings once; a fault is what they reached, too."""
    try:
        found = theirs(made, peer, settings)
    except RuntimeError as error:
        print(f"  {error}", file=sys.stderr, flush=True)
        return Point(0.0, "failed: " + str(error).strip().splitlines()[-1][:200])
    return Point(speed_of(made, found), f"tokens/s, a pass of {made.work.steps} steps")


def best_of(found: dict[str, Point]) -> peers.Settings:
    """The fastest settings of a grid."""
    fastest = max((settings for settings in found if found[settings].last), key=lambda settings: found[settings].speed)
    made: peers.Settings = json.loads(fastest)
    return made


def grid_key(work: Work, peer: str) -> str:
    """What a grid's result holds for."""
    same = {k: v for k, v in asdict(work).items() if k not in ("steps", "few")}
    return json.dumps([SEARCH, same, peer, peers.installed(peer)], sort_keys=True)


def saved_grid(work: Work, peer: str) -> dict[str, Point]:
    """Points by settings; empty where this grid was not measured yet."""
    found = json.loads(GRID.read_text(encoding="utf-8")) if GRID.is_file() else {}
    return {settings: Point(**point) for settings, point in found.get(grid_key(work, peer), {}).items()}


def save_grid(work: Work, peer: str, found: dict[str, Point]) -> None:
    """Keeps a grid's result beside the environments."""
    kept = json.loads(GRID.read_text(encoding="utf-8")) if GRID.is_file() else {}
    points = {settings: asdict(point) for settings, point in found.items()}
    GRID.write_text(json.dumps({**kept, grid_key(work, peer): points}, indent=1), encoding="utf-8")


# -- turns ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Turn:
    """Runs that stand beside each other."""

    ours: Found
    defaults: Found
    best: Found
    ceiling: Found


def turn(made: Made, peer: str, best: peers.Settings) -> Turn:
    """One run of escalade between the peer as it comes and the peer at its best, then the ceiling."""
    defaults = theirs(made, peer, peers.DEFAULTS)
    own = ours(made)
    return Turn(own, defaults, theirs(made, peer, best), ceiling(made))


def speed_rows(made: Made, bars: Bars, best: peers.Settings, turns: Sequence[Turn]) -> list[Row]:
    """How many times faster, pair by pair, and what was compared."""
    name, peer = made.work.name, bars.peer
    versions = ", ".join(f"{package} {version}" for package, version in peers.installed(peer).items())
    made_rows = [
        noted(f"{name}: million parameters", made.parameters / MB, f"{len(os.sched_getaffinity(0))} cores, {versions}"),
        speed_row(f"{name}: escalade, useful tokens/s", made, [one.ours for one in turns]),
        speed_row(f"{name}: {peer} defaults, useful tokens/s", made, [one.defaults for one in turns]),
        speed_row(f"{name}: {peer} best ({peers.shown(best)}), useful tokens/s", made, [one.best for one in turns]),
    ]
    for what, goal, pick in (
        ("defaults", bars.defaults, lambda one: one.defaults),
        ("best", bars.best, lambda one: one.best),
    ):
        ratios = [speed_of(made, one.ours) / speed_of(made, pick(one)) for one in turns]
        row_name, detail = f"{name}: times faster than {peer} {what}", spread(ratios)
        value = statistics.median(ratios)
        made_rows.append(noted(row_name, value, detail) if goal is None else at_least(row_name, value, goal, detail))
    memory = [one.ours["peak_bytes"] / one.defaults["peak_bytes"] for one in turns]
    return [*made_rows, noted(f"{name}: peak memory beside {peer} defaults", statistics.median(memory), spread(memory))]


def speed_row(name: str, made: Made, runs: Sequence[Found]) -> Row:
    """Useful tokens a second of one side, with what it really ran with."""
    speeds = [speed_of(made, run) for run in runs]
    warm = statistics.median(run["warm_seconds"] for run in runs)
    peak = max(run["peak_bytes"] for run in runs) / MB
    settings = ", ".join(f"{key}={value}" for key, value in runs[-1]["settings"].items())
    compiled = statistics.median(run["compile_seconds"] for run in runs)
    detail = f"{spread(speeds, 0)}; first pass {warm:.1f} s, compiled {compiled:.1f} s, {peak:.0f} MB; {settings}"
    return noted(name, statistics.median(speeds), detail)


def share_rows(made: Made, bars: Bars, turns: Sequence[Turn]) -> list[Row]:
    """What of the processor's speed a step reaches, and what of the step corruption and collation take."""
    needed = step_flops(made.config, sizes_of(made))
    shares = [needed / one.ours["seconds"] / one.ceiling["flops_per_second"] for one in turns]
    speeds = [one.ceiling["flops_per_second"] / 1e9 for one in turns]
    name = f"{made.work.name}: share of the ceiling"
    value = statistics.median(shares)
    median = statistics.median(one.ceiling["median"] for one in turns) / 1e9
    detail = (
        f"{spread(shares)}; {needed / made.work.steps / 1e9:.1f} Gflop a step; ceiling {spread(speeds, 0)} Gflop/s, "
        f"median of the shapes {median:.0f}; of the peer's best "
        f"{statistics.median(needed / one.best['seconds'] / one.ceiling['flops_per_second'] for one in turns):.2f}"
    )
    collation = [one.ours["collate_seconds"] / one.ours["seconds"] for one in turns]
    return [
        noted(name, value, detail) if bars.ceiling is None else at_least(name, value, bars.ceiling, detail),
        at_most(
            f"{made.work.name}: corruption and collation, share of the step",
            statistics.median(collation),
            COLLATION,
            spread(collation, 4),
        ),
    ]


def memory_rows(made: Made, bars: Bars, repeats: int) -> list[Row]:
    """Peak memory beside the peer as it comes."""
    pairs = [(ours(made), theirs(made, bars.peer, peers.DEFAULTS)) for _ in range(repeats)]
    ratios = [own["peak_bytes"] / other["peak_bytes"] for own, other in pairs]
    name = f"{made.work.name}: peak memory beside {bars.peer} defaults"
    low, high = pairs[-1][0]["peak_bytes"] / MB, pairs[-1][1]["peak_bytes"] / MB
    detail = f"{low:.0f} MB against {high:.0f} MB; {spread(ratios)}; {made.parameters / MB:.1f}M parameters"
    return [at_most(name, statistics.median(ratios), bars.memory or 0, detail)]


def loss_rows(made: Made, bars: Bars, best: peers.Settings) -> list[Row]:
    """The loss of one step over the same rows from the same weights, without dropout.

    The weights are such that know these rows a little: with random ones every loss is the logarithm of the vocabulary,
    whatever is learnt from what.
    """
    first, plain, learnt = made.folder / "first", made.folder / "plain", made.folder / "learnt"
    without_dropout(made, made.model, plain)
    recipe = {"learning_rate": 3e-3, "schedule": "constant"}
    ours(made, first / "records.jsonl", model=str(plain), passes=40, recipe=recipe, save=str(learnt))
    alike = {"model": str(learnt), "passes": 1}
    own = ours(made, first / "records.jsonl", **alike)["first_loss"]
    found = []
    for what, settings in {"defaults": peers.DEFAULTS, "best": best}.items():
        whole = {k: v for k, v in settings.items() if k != "per_device_train_batch_size"}
        other = theirs(made, bars.peer, whole, first / "rows.jsonl", **alike)["first_loss"]
        name = f"{made.work.name}: first loss, difference from {bars.peer} {what}"
        gap, detail = abs(own / other - 1), f"{own:.4f} and {other:.4f}"
        if settings.get("packing_strategy") == "wrapped":
            # Rows see each other there: a loss that differs is what these settings mean, and no fault of the benchmark.
            found.append(noted(name, gap, f"{detail}; rows see each other"))
        else:
            found.append(at_most(name, gap, SAME, detail))
    return found


# -- small things --------------------------------------------------------------------------------------------------


def sizes_of(made: Made) -> list[Size]:
    """The sizes of a pass's rows."""
    return [size_of(row, made.work.objective == "span") for row in made.rows]


def speed_of(made: Made, found: Found) -> float:
    """Useful tokens a second of a timed pass.

    Raises:
        RuntimeError: The rows that were read are not all of the pass's rows, or others.
    """
    sizes = sizes_of(made)
    read = sum(size.read for size in sizes)
    # escalade counts the tokens of a text before its spans are taken out, so only the passes tell there.
    if made.work.objective != "span" and abs(found["tokens"] / read - 1) > 0.02:
        raise RuntimeError(f"{found['tokens']} tokens were read a pass, not {read}")
    return useful_tokens(sizes) / found["seconds"]


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Lowest and highest."""
    return f"{min(values):.{digits}f} to {max(values):.{digits}f}"


if __name__ == "__main__":
    main(rows, "Training beside TRL and transformers.", OPTIONS)

"""``escalade scope``: what is asked, how hard it is, and what each way will cost, before it is spent."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from escalade import messages
from escalade.cli import console
from escalade.cli._project import OpenTask, open_task
from escalade.climb.decide import Graded
from escalade.evaluate import difference_spread, items_needed, load_metric, score_needed, smallest_difference


@click.command(help="help.scope")
@click.argument("path", type=click.Path(path_type=Path), default=Path("."))
@click.option("--task", help="help.task")
@click.option("--json", "as_json", is_flag=True, help="help.json")
def command(path: Path, task: str | None, as_json: bool) -> None:
    """Reads the rows, scores the baselines, and forecasts every attempt."""
    reporter = console.ConsoleReporter(quiet=as_json)
    opened = open_task(path, task, reporter)
    document = scope(opened)
    reporter.close()
    if as_json:
        console.print_json(document)
        return
    show(document)


def show(document: dict) -> None:  # type: ignore[type-arg]
    """Rows, what the target takes, the baselines, and what each attempt will take."""
    said = messages.text("cli.scope_rows", **document["rows"], task=document["task"], kind=document["kind"])
    console.print_wrapped(said)
    if document["needed_score"] is not None:
        needed = messages.text("cli.scope_needed", score=document["needed_score"], **document["target"])
        console.print_wrapped(needed)
    if document["smallest_difference"]:
        shown = {"difference": document["smallest_difference"], "metric": document["metric"]}
        console.print_wrapped(messages.text("cli.scope_difference", **shown))
    name, seconds = console.headings("headings.baseline", "headings.seconds")
    on = messages.text("headings.on_validation", metric=document["metric"])
    rows = [[b["name"], console.interval(b), f"{b['seconds']:.1f}"] for b in document["baselines"]]
    console.print_table([name, on, seconds], rows)
    tried = [a for a in document["attempts"] if a["refused"] is None]
    if tried:
        rows = [[a["name"], "" if a["seconds"] is None else f"{a['seconds']:.0f}", a["memory"]] for a in tried]
        console.print_table(console.headings("headings.attempt", "headings.predicted", "headings.memory"), rows)
    reasons: dict[str, list[str]] = {}
    for one in document["attempts"]:
        if one["refused"]:
            reasons.setdefault(one["refused"], []).append(one["name"])
    for one in document["refused"]:
        reasons.setdefault(one["reason"], []).append(one["name"])
    for reason, names in reasons.items():
        console.print_wrapped(messages.text("cli.refused", name=", ".join(names), reason=reason))


def scope(opened: OpenTask) -> dict:  # type: ignore[type-arg]
    """The scope as one document: rows, baselines with intervals, what the target takes to prove, forecasts."""
    steps, checked = opened.steps, opened.checked
    planned = steps.planned()
    baselines: list[dict[str, Any]] = []
    measured: list[tuple[float, Graded]] = []
    for one in (p for p in planned if p.is_baseline):
        adapted = steps.adapt(one, [])
        graded = steps.grade(adapted.model, "validation")
        found = graded.evaluation.score(checked.metric.name)
        measured.append((found.value, graded))
        baselines.append(
            {
                "name": one.base.name,
                "value": found.value,
                "lower": found.lower,
                "upper": found.upper,
                "seconds": adapted.seconds + graded.seconds,
            }
        )
    target = checked.task.target
    needed = None
    if target and checked.metric.high == 1 and checked.metric.low == 0:
        needed = score_needed(steps.data.test.groups, target.bound, target.confidence, rising=target.rising)
    return {
        "task": checked.task.name,
        "kind": steps.facts.kind,
        "metric": checked.metric.name,
        "rows": {name: getattr(steps.data, name).rows for name in ("train", "validation", "test")},
        "profile": steps.profile.to_json(),
        "target": target.model_dump(mode="json") | {"bound": target.bound} if target else None,
        "needed_score": needed,
        "smallest_difference": _shown_by_test(opened, measured),
        "baselines": baselines,
        "attempts": [
            {
                "name": p.name,
                "seconds": p.predicted.seconds if p.predicted else None,
                "peak_bytes": p.predicted.peak_bytes if p.predicted else None,
                "memory": f"{p.predicted.peak_bytes / 1e9:.1f} GB" if p.predicted and p.predicted.peak_bytes else "",
                "refused": p.refused.reason if p.refused else None,
            }
            for p in planned
            if not p.is_baseline
        ],
        "refused": [{"name": r.name, "reason": r.reason} for r in steps.shortlist.refused],
        "rows_needed_for_half_the_gap": _rows_for_gap(baselines, target),
    }


def _shown_by_test(opened: OpenTask, measured: Sequence[tuple[float, Graded]]) -> float | None:
    """The difference between two models that the test rows show four times in five.

    Two models differ on about as many rows as the two best baselines do; None where there are no two.
    """
    if len(measured) < 2:
        return None
    rising, name = opened.checked.metric.rising, opened.checked.metric.name
    ranked = sorted(measured, key=lambda pair: pair[0], reverse=rising)
    (_, first), (_, second) = ranked[:2]
    value = load_metric(name, opened.steps.facts).value
    spread, clusters = difference_spread(first.statistics[name], second.statistics[name], first.clusters, value)
    return smallest_difference(spread, clusters, opened.steps.data.test.groups) if clusters > 1 else None


def _rows_for_gap(baselines: list, target: object) -> int | None:  # type: ignore[type-arg]
    """Test rows that would prove the target for a model halfway between the best baseline and perfection."""
    if target is None or not baselines or not getattr(target, "rising", False):
        return None
    best = max(b["value"] for b in baselines)
    return items_needed((best + 1) / 2, target.bound, target.confidence) if best < 1 else None  # type: ignore[attr-defined]

"""``escalade evaluate``: grade an attempt on a split of its task."""

from __future__ import annotations

from pathlib import Path

import click

from escalade import messages
from escalade.cli import benchmark, console
from escalade.cli._project import folder_of, open_task
from escalade.cli.runs import open_ledger
from escalade.climb.book import count_look
from escalade.errors import BadInput
from escalade.evaluate import item_values, load_metric
from escalade.stages import attempts
from escalade.stages.ingest import test_rows


@click.command(help="help.evaluate")
@click.argument("attempt")
@click.option(
    "--split",
    type=click.Choice(["validation", "test"]),
    default="validation",
    show_default=True,
    help="help.evaluate_split",
)
@click.option("--project", "path", type=click.Path(path_type=Path), default=Path("."), help="help.project_path")
@click.option("--task", help="help.task")
@click.option("--show", help="help.evaluate_show")
@click.option("--benchmark", "tasks", help="help.evaluate_benchmark")
@click.option("--benchmark-tasks", "own", type=click.Path(path_type=Path), help="help.evaluate_benchmark_tasks")
@click.option("--limit", type=click.IntRange(min=1), help="help.evaluate_limit")
@click.option("--json", "as_json", is_flag=True, help="help.json")
def command(
    attempt: str,
    split: str,
    path: Path,
    task: str | None,
    show: str | None,
    tasks: str | None,
    own: Path | None,
    limit: int | None,
    as_json: bool,
) -> None:
    """ATTEMPT is a name such as `baseline linear`, or the start of an id; with a benchmark, a model."""
    if tasks is not None:
        if mixed := [name for name, value in (("--task", task), ("--show", show)) if value is not None]:
            raise BadInput("cli.benchmark_alone", place=f"escalade evaluate {mixed[0]}", name=mixed[0])
        benchmark.show(attempt, tasks, limit, own, as_json)
        return
    if mixed := [name for name, value in (("--limit", limit), ("--benchmark-tasks", own)) if value is not None]:
        raise BadInput("cli.needs_benchmark", place=f"escalade evaluate {mixed[0]}", name=mixed[0])
    reporter = console.ConsoleReporter(quiet=as_json)
    wanted = _shown(show) if show else None
    attempts.find(open_ledger(folder_of(path)), attempt)  # refused before anything is done where there is none at all
    opened = open_task(path, task, reporter)
    found = attempts.find(opened.space.ledger, attempt, opened.steps.data.train.digest)
    look = None
    if split == "test":
        rows = test_rows(opened.space, opened.checked.task, opened.steps.data)
        look = count_look(opened.space.ledger, rows, "", found.model)
    graded = opened.steps.grade(found.model, split)  # type: ignore[arg-type]
    reporter.close()
    scores = [s.to_json() for s in graded.evaluation.scores]
    examples = _examples(opened, found, split, graded, *wanted) if wanted else []
    if as_json:
        console.print_json(
            {"attempt": found.name, "split": split, "scores": scores, "empty": graded.evaluation.empty, "look": look}
            | ({"examples": examples} if show else {})
        )
        return
    title = f"{found.name}, n = {scores[0]['n']}"
    console.print_table(console.score_headings(split), console.score_rows(scores), title)
    if look:
        console.print_wrapped(messages.text("cli.looked", look=look))
    for one in examples:
        console.print_text(messages.text("cli.example", **one))


def _shown(show: str) -> tuple[str, int]:
    """``worst:20`` as an order and a number.

    Raises:
        BadInput: It is neither the worst nor the best, or no number.
    """
    order, _, count = show.partition(":")
    if order not in ("worst", "best") or not (count or "10").isdigit():
        raise BadInput("cli.bad_show", place=f"--show {show}", given=show)
    return order, int(count or 10)


def _examples(opened, found, split, graded, order, count) -> list:  # type: ignore[no-untyped-def,type-arg]
    """Items by their own score: the worst, or the best, first."""
    from escalade.records import input_text, output_text
    from escalade.stages.evaluate import predictions_of
    from escalade.stages.ingest import records_of

    metric = opened.checked.metric
    records = records_of(opened.space, getattr(opened.steps.data, split), opened.steps.facts)
    scores = item_values(load_metric(metric.name, opened.steps.facts), graded.statistics[metric.name])
    sign = 1 if metric.rising else -1
    ranked = [i for _, i in sorted((sign * score, i) for i, score in enumerate(scores) if score is not None)]
    if order == "best":
        ranked.reverse()
    answers = predictions_of(opened.space, graded.evaluation)
    made = []
    for i in ranked[:count]:
        said = answers[i].label if answers[i].label is not None else answers[i].text
        if (tags := answers[i].tags) is not None:
            said = " ".join(tags)
        text = " ".join(input_text(records[i]).split())
        made.append(
            {
                "id": records[i].id,
                "input": text[:300],
                "output": said,
                "reference": output_text(records[i]),
                "score": scores[i],
            }
        )
    return made

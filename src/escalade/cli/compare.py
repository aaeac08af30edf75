"""``escalade compare``: the paired test between attempts, or between files of predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from escalade import messages
from escalade import project as projects
from escalade.catalogue.metrics import card
from escalade.cli import console
from escalade.cli._project import open_task
from escalade.cli.runs import open_project
from escalade.climb.compare import compare
from escalade.errors import BadInput
from escalade.evaluate import Comparison, text_compare
from escalade.evaluate.pairwise import Judged, judge_pairs
from escalade.evaluate.read_texts import read_several, read_texts, source
from escalade.stages.helpers import helper_of, know_own_of, tell_unclear
from escalade.stages.judging import ApiJudge
from escalade.stages.workspace import open_workspace


@click.command(help="help.compare")
@click.argument("names", nargs=-1, required=True, metavar="A B...")
@click.option("--metric", "metrics", multiple=True, help="help.compare_metric")
@click.option("--references", multiple=True, help="help.compare_references")
@click.option("--groups", help="help.compare_groups")
@click.option("--lang", "--language", "language", help="help.score_language")
@click.option("--inputs", help="help.score_inputs")
@click.option("--judge-api", help="help.compare_judge_api")
@click.option("--judge-model", help="help.compare_judge_model")
@click.option("--judge-key-env", help="help.compare_judge_key_env")
@click.option("--human", help="help.compare_human")
@click.option("--task", help="help.task")
@click.option("--project", "root", type=click.Path(path_type=Path), default=Path("."), help="help.project")
@click.option("--json", "as_json", is_flag=True, help="help.json")
def command(
    names: tuple[str, ...],
    metrics: tuple[str, ...],
    references: tuple[str, ...],
    groups: str | None,
    language: str | None,
    inputs: str | None,
    task: str | None,
    root: Path,
    as_json: bool,
    **judging: str | None,
) -> None:
    """Differences are those of B, and of each further one, minus A, in the metric's own units."""
    if len(names) < 2:
        raise BadInput("cli.need_two", place=names[0])
    judged = _judged(names, references, groups, inputs, judging)
    if judged and not metrics:
        show_judged(judged, as_json)
        return
    if not references:
        space = open_project(root)
        if (root / projects.FILE).exists():
            know_own_of(projects.load(root), root)
        data = open_task(root, task, console.ConsoleReporter(quiet=True)).steps.data.train.digest if task else None
        found = compare(space, names, metrics, data)
    else:
        found = _texts(names, references, groups, metrics, language, inputs)
    if as_json:
        made = [one.to_json() for one in found]
        said = made[0] | {"split": None if references else "validation", "comparisons": made}
        console.print_json(said | ({"judged": [one.to_json() for one in judged]} if judged else {}))
    else:
        show(found)
        show_judged(judged, as_json)


def _texts(
    names: Sequence[str],
    references: Sequence[str],
    groups: str | None,
    metrics: Sequence[str],
    language: str | None,
    inputs: str | None,
) -> list[Comparison]:
    """Files of predictions, each read beside the references."""
    read, wanted = _read(names, references)
    space = open_workspace(Path("."), console.ConsoleReporter())
    helpers = {name: helper_of(space, card(name, "--metric")) for name in metrics}
    found = text_compare(read, wanted, metrics, language, groups=_rows(groups), inputs=_rows(inputs), helpers=helpers)
    tell_unclear(space, helpers)
    return found


def _read(names: Sequence[str], references: Sequence[str]) -> tuple[dict[str, list[str]], list[list[str]]]:
    """The texts of each file, and the references of each row."""
    wanted_from = [source(each) for each in references]
    read = {name: read_several(source(name), wanted_from) for name in names}
    return {name: said for name, (said, _) in read.items()}, next(iter(read.values()))[1]


def _rows(said: str | None) -> list[str] | None:
    return read_texts(*source(said)) if said else None


def _judged(
    names: Sequence[str],
    references: Sequence[str],
    groups: str | None,
    inputs: str | None,
    judging: Mapping[str, str | None],
) -> list[Judged]:
    """What a judge says of each further file beside the first; nothing where none is named."""
    if not any(judging.values()):
        return []
    api, model, human = judging["judge_api"], judging["judge_model"], judging["human"]
    if not api or not model or not references:
        raise BadInput("cli.judge_needs", place="--judge-api")
    if human and len(names) != 2:
        raise BadInput("cli.human_needs_two", place=f"--human {human}")
    read, wanted = _read(names, references)
    space = open_workspace(Path("."), console.ConsoleReporter())
    (first, one), *others = read.items()
    found = []
    for name, other in others:
        judge = ApiJudge(space, api, model, judging["judge_key_env"] or "")
        pair = {first: one, name: other}
        found.append(judge_pairs(judge, pair, wanted, _rows(inputs), groups=_rows(groups), human=_rows(human)))
    return found


def show_judged(judged: Sequence[Judged], as_json: bool) -> None:
    """What the judge said of each pair."""
    if as_json:
        console.print_json({"judged": [one.to_json() for one in judged]})
        return
    for one in judged:
        facts = {"a": one.a, "b": one.b, "judge": one.judge, "n": one.n}
        console.print_wrapped(messages.text("cli.judged", **facts, **vars(one.win_rate), p=one.p))
        console.print_wrapped(messages.text("cli.compared_items", wins=one.wins, ties=one.ties, losses=one.losses))
        if one.controlled:
            console.print_wrapped(messages.text("cli.judged_controlled", **vars(one.controlled)))
        else:
            console.print_wrapped(messages.text("cli.judged_uncontrolled"))
        shares = {"consistent": one.consistent, "first": one.first_preferred, "longer": one.longer_preferred}
        console.print_wrapped(messages.text("cli.judged_shares", **shares))
        if one.unclear:
            rows = ", ".join(one.unclear)
            console.print_wrapped(messages.text("cli.judged_unclear", count=len(one.unclear), rows=rows))
        if one.agreement:
            kappa = "-" if one.agreement.kappa is None else f"{one.agreement.kappa:.2f}"
            said = messages.text("cli.judged_human", share=one.agreement.share, n=one.agreement.n, kappa=kappa)
            console.print_wrapped(said)


def show(found: Sequence[Comparison]) -> None:
    """The sentence of each comparison, who won how often, and the difference slice by slice."""
    for one in found:
        console.print_wrapped(one.sentence)
        counts = {"wins": one.paired.wins, "ties": one.paired.ties, "losses": one.paired.losses}
        console.print_wrapped(messages.text("cli.compared_items", **counts))
        rows = [[s.by, s.name, s.n, f"{s.difference:+.4f} [{s.lower:+.4f}, {s.upper:+.4f}]"] for s in one.slices]
        if rows:
            keys = ("headings.slice", "headings.of", "headings.n", "headings.difference")
            console.print_table(console.headings(*keys), rows)
    if len(found) > 1:
        console.print_wrapped(messages.text("cli.compared_holm", count=len(found)))

"""The verbs as functions, for programs; the command line calls the same ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from escalade import climb
from escalade import project as projects
from escalade.catalogue import metrics as cards
from escalade.climb.compare import compare as compare_attempts
from escalade.document import RunDocument
from escalade.evaluate import text_score
from escalade.project import Project
from escalade.report import write_report
from escalade.stages import helpers as helping
from escalade.stages import pretrain as pretraining
from escalade.stages import using
from escalade.stages.check import Checked
from escalade.stages.workspace import Reporter, Workspace, open_workspace
from escalade.values import Family

__all__ = ["check", "compare", "predict", "pretrain", "run", "run_project", "score", "serve"]


def run(path: str | Path = ".", reporter: Reporter | None = None) -> RunDocument:
    """Climbs the project in a folder and writes its report.

    Raises:
        BadInput: Something is wrong with the project, its data or its candidates; nothing was written.
    """
    path = Path(path)
    return run_project(projects.load(path), _root(path), reporter)


def run_project(
    project: Project,
    root: Path,
    reporter: Reporter | None = None,
    *,
    interrupted: Callable[[], bool] = lambda: False,
    on_checked: Callable[[Workspace], None] = lambda space: None,
) -> RunDocument:
    """Checks, climbs and reports.

    Args:
        project: What is wanted.
        root: The project's folder.
        reporter: Who is told.
        interrupted: True once the user asked to stop.
        on_checked: Called once the check has passed, before anything is written.
    """
    space = open_workspace(root, reporter)
    space.interrupted = interrupted
    checked = climb.check(space, project)
    on_checked(space)
    document = climb.run(project, space, checked)
    report = write_report(root, document, space.ledger, project)
    return document.model_copy(update={"report": str(report)})


def check(path: str | Path = ".") -> list[Checked]:
    """Reads the project, its rows and its candidates; writes nothing."""
    path = Path(path)
    return climb.check(open_workspace(_root(path)), projects.load(path))


def predict(model: str | Path, texts: Sequence[str]) -> list[dict[str, Any]]:
    """Answers texts: label and probabilities, spans, text, or vector, as the model's kind has it."""
    space = open_workspace(Path("."))
    opened = using.open_model(space, str(model))
    records = [using.record_from_text(opened.facts.kind, text, i) for i, text in enumerate(texts)]
    return [using.as_json(r, p) for r, p in zip(records, using.answer(opened, records), strict=True)]


def stream(model: str | Path, text: str) -> Iterator[str]:
    """The answer of a model that writes text, in pieces."""
    opened = using.open_model(open_workspace(Path(".")), str(model))
    for piece in using.stream(opened, using.record_from_text(opened.facts.kind, text)) or ():
        yield piece.text


def compare(path: str | Path, a: str, b: str, metric: str | None = None) -> dict[str, Any]:
    """The paired test of attempt B against attempt A of a project."""
    metrics = (metric,) if metric else ()
    return compare_attempts(open_workspace(_root(Path(path))), (a, b), metrics)[0].to_json()


def score(
    predictions: Sequence[str],
    references: Sequence[str] | Sequence[Sequence[str]],
    metrics: Sequence[str] = (),
    language: str | None = None,
    items: bool = False,
    *,
    inputs: Sequence[str] | None = None,
    groups: Sequence[str] | None = None,
    metrics_from: Sequence[str | Path] = (),
    reporter: Reporter | None = None,
) -> dict[str, Any]:
    """Metrics of texts against references, with intervals.

    Args:
        predictions: The texts to score.
        references: For each, its reference or references.
        metrics: Names of metrics, with options; the usual ones where left out.
        language: ISO 639-1 code; by the script of the references where left out.
        items: Give the value of each row too.
        inputs: What each text answers, for metrics that look at it.
        groups: Per row: what it is resampled with (a document, a problem); itself where left out.
        metrics_from: Python files with metrics of your own, which are computed beside the named ones.
        reporter: Told what leaves this machine.
    """
    space = open_workspace(Path("."), reporter)
    helping.know_own([str(file) for file in metrics_from], Path("."), "--metrics-from")
    own = [card.name for card in cards.own_metrics()]
    names = [*(metrics or cards.metrics_for("generation", usual=True)), *own]
    found = [cards.card(name, "metrics") for name in dict.fromkeys(names)]
    helpers = {card.name: helping.helper_of(space, card) for card in found}
    made = text_score(
        predictions, references, list(helpers), language, items=items, inputs=inputs, groups=groups, helpers=helpers
    )
    for name, rows in helping.tell_unclear(space, helpers).items():
        made["metrics"][name]["unclear_rows"] = [int(row) for row in rows]
    return made


def serve(model: str | Path, host: str = "127.0.0.1", port: int = 8000, token: str | None = None) -> None:
    """Serves a release until a signal; loopback unless a token guards it."""
    using.check_binding(host, token)
    opened = using.open_model(open_workspace(Path(".")), str(model))
    using.serve(using.served(opened, Path(model).name), host, port, token, lambda address: None)


def pretrain(
    texts: Sequence[str | Path], family: Family | None, out: str | Path, size: str | None = None, **settings: Any
) -> Path:
    """Trains a base on text files into the folder ``out``.

    Args:
        texts: The files.
        family: Architecture family; None with a ``base``, which decides it.
        out: Folder of the new base.
        size: ``tiny``, ``mini``, ``small`` or a count such as ``5M``.
        settings: As ``stages.pretrain.pretrain`` has them: ``minutes``, ``base``, ``objective``, ...
    """
    out = Path(out)
    space = open_workspace(out.resolve().parent)
    if not pretraining.helps():
        pretraining.check_free(space, out)
    if settings.get("validation") is not None:
        settings["validation"] = str(Path(settings["validation"]).resolve())
    done = pretraining.pretrain(space, [str(Path(t).resolve()) for t in texts], family, size, **settings)
    return out if done is None else pretraining.place(space, done[0], out)


def _root(path: Path) -> Path:
    return (path if path.is_dir() else path.parent).resolve()

"""``escalade demo``: the built-in example, on real data that every machine has: Python's own standard library."""

from __future__ import annotations

import importlib.util
import json
import threading
from pathlib import Path
from typing import Any

import click
import yaml

from escalade import api, climb, messages
from escalade import project as projects
from escalade.cli import console
from escalade.cli.ladder import show
from escalade.data import harvest
from escalade.document import RunDocument
from escalade.errors import BadInput
from escalade.stages import using
from escalade.stages.workspace import Reporter, open_workspace

HEADER = "# written by `escalade demo`; edit it freely and run it again\n"
BUDGET = "8m"
SHARE = 0.65
"""The target of the task `area`: this share of what the best baseline scored on validation."""


@click.command(help="help.demo")
@click.argument("folder", type=click.Path(path_type=Path), default=Path("escalade-demo"))
@click.option("--json", "as_json", is_flag=True, help="help.json")
def command(folder: Path, as_json: bool) -> int:
    """Harvests the rows, climbs two tasks, serves a release and asks it one question."""
    if importlib.util.find_spec("openai") is None:
        raise BadInput("cli.demo_needs_openai", place="escalade demo")
    reporter = console.ConsoleReporter(quiet=as_json)
    root = folder.resolve()
    with console.stoppable() as asked:
        prepare(root, reporter)
        project = projects.load(root)
        document = api.run_project(project, root, reporter, interrupted=asked.is_set)
    reporter.close()
    answer = ask(root, document)
    if as_json:
        console.print_json(document.to_json() | {"asked": answer})
    else:
        show(document)
        if answer:
            console.print_wrapped(messages.text("cli.asked", **answer))
    return 0 if document.verdict == "met" else 3


def prepare(root: Path, reporter: Reporter) -> None:
    """Writes rows and project file, once: the file is the user's from then on."""
    if (root / projects.FILE).exists():
        return
    root.mkdir(parents=True, exist_ok=True)
    found = harvest.write(root)
    reporter.say("cli.harvested", area=sum(found.area_rows.values()), summary=found.summary_rows)
    target = area_target(root)
    body = yaml.safe_dump(description(target), allow_unicode=True, sort_keys=False)
    (root / projects.FILE).write_text(HEADER + body, encoding="utf-8")


def area_target(root: Path) -> dict[str, Any]:
    """The first task's target, from a validation run of its baselines, with where it comes from."""
    said = description(None)
    said["tasks"], said["rungs"] = said["tasks"][:1], ["baseline"]
    del said["candidates"]
    scores = climb.baselines(projects.parse(said), open_workspace(root))
    name, score = max(scores.items(), key=lambda item: item[1])
    origin = messages.text("cli.demo_origin", share=f"{SHARE:.0%}", name=name, score=f"{score:.4f}")
    return {"metric": "macro_f1", "at_least": round(SHARE * score, 3), "origin": origin}


def description(target: dict[str, Any] | None) -> dict[str, Any]:
    """The project file of the example."""
    area: dict[str, Any] = {
        "name": "area",
        "kind": "classification",
        "data": "area.jsonl",
        "columns": {"input": "docstring", "output": "area", "group": "file"},
        "metric": "macro_f1",
    }
    if target:
        area["target"] = target
        del area["metric"]
    return {
        "name": "standard-library",
        "seed": 0,
        "language": "en",
        "tasks": [
            area,
            {
                "name": "summary",
                "kind": "summarization",
                "data": "summary.jsonl",
                "columns": {"input": "code", "output": "summary", "group": "file"},
                "metric": "rouge1",
                "input_limit": 128,
            },
        ],
        "candidates": ["scratch:encoder:tiny", "scratch:decoder:tiny", "scratch:encoder-decoder:tiny"],
        "budget": {"time": BUDGET},
    }


def ask(root: Path, document: RunDocument) -> dict[str, str] | None:
    """Serves the first release on a free port and asks it one question through the OpenAI client."""
    task = next((task for task in document.tasks if task.release), None)
    if task is None or task.release is None:
        return None
    folder = root / task.release
    opened = using.open_model(open_workspace(root), str(folder))
    question = "Return a new list containing all items from the iterable in ascending order."
    ready = threading.Event()
    address: list[str] = []

    def on_ready(where: str) -> None:
        address.append(where)
        ready.set()

    server = using.server(using.served(opened, task.name), on_ready)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    ready.wait(60)
    import openai

    client = openai.OpenAI(base_url=f"{address[0]}/v1", api_key="local")
    served = client.models.list().data[0].id
    said = client.post("/classify", body={"model": served, "input": question}, cast_to=object)
    server.should_exit = True
    thread.join(30)
    return {"task": task.name, "address": address[0], "question": question, "answer": json.dumps(said)}

"""Kills `escalade run` at chosen moments, for real, and says what became of each project.

One parent imports everything and forks a child per command, so that dozens of kills take minutes rather than an hour.
The child is the command line as it is; only ``os.replace`` and ``os.rename`` are watched, to know the moment.

Usage: ``kill_driver.py FOLDER {renames|moments|again}``; FOLDER holds ``project``, which is copied for each kill. One
JSON document a line on stdout, the first one for the undisturbed run.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from tiny_project import make, results
from transformers import BertForSequenceClassification  # noqa: F401  (lazily imported otherwise, in every child)

from escalade import cli
from escalade.ledger import Ledger
from escalade.rungs import loading, tuning  # noqa: F401

MOMENTS = 30
torch.set_num_threads(1)


class Watch:
    """Counts renames, and kills this process before or after one of them.

    Args:
        at: Which one, from 1; 0 for none.
        after: Once it is done rather than before.
    """

    def __init__(self, at: int = 0, after: bool = False) -> None:
        self.at, self.after, self.count = at, after, 0

    def wrapped(self, rename: Callable[..., None]) -> Callable[..., None]:
        def watched(*arguments: Any, **more: Any) -> None:
            self.count += 1
            if self.count == self.at and not self.after:
                os.kill(os.getpid(), signal.SIGKILL)
            rename(*arguments, **more)
            if self.count == self.at:
                os.kill(os.getpid(), signal.SIGKILL)

        return watched


def child(project: Path, watch: Watch) -> None:
    """The command, in the forked process: never returns."""
    os.replace, os.rename = watch.wrapped(os.replace), watch.wrapped(os.rename)
    code = 70
    with open(project.parent / f"{project.name}.log", "a") as log:
        with contextlib.redirect_stdout(log), contextlib.redirect_stderr(log):
            try:
                cli.main(["run", str(project), "--json", "--quiet"])
            except SystemExit as leaving:
                code = int(leaving.code or 0)
            log.write(f"\nrenames {watch.count}\n")
    os._exit(code)


def command(project: Path, watch: Watch, seconds: float | None = None) -> int:
    """Runs the command in a child; its exit code, or minus the signal that ended it, as after ``seconds``."""
    pid = os.fork()
    if pid == 0:
        child(project, watch)
    if seconds is not None:
        time.sleep(seconds)
        # A child that has ended keeps its pid until it is asked for its exit status.
        os.kill(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def outcome(project: Path, codes: list[int], **facts: object) -> dict[str, object]:
    """What became of a project, which is then deleted."""
    log = (project.parent / f"{project.name}.log").read_text()
    said = {
        "codes": codes,
        "faults": [str(fault) for fault in Ledger(project / ".escalade").verify()],
        "results": results(project),
        "litter": sorted(path.name for path in (project / "releases").iterdir() if path.name.startswith(".")),
        "log": log if codes[-1] not in (0, 3) else "",
    }
    shutil.rmtree(project)
    return said | facts


def fresh(folder: Path) -> Iterator[Path]:
    """Copies of the project, one after another."""
    number = 0
    while True:
        number += 1
        yield Path(shutil.copytree(folder / "project", folder / f"copy{number}"))


def undisturbed(folder: Path, project: Path) -> dict[str, object]:
    began = time.perf_counter()
    code = command(project, Watch())
    seconds = time.perf_counter() - began
    renames = int((folder / f"{project.name}.log").read_text().rsplit("renames ", 1)[1])
    return outcome(project, [code], seconds=seconds, renames=renames)


def renames(projects: Iterator[Path]) -> Iterator[dict[str, object]]:
    """A kill before and after every rename there is, until a run has fewer."""
    at = 0
    while True:
        at += 1
        for after in (False, True):
            project = next(projects)
            codes = [command(project, Watch(at, after))]
            if codes[0] != -signal.SIGKILL:
                yield outcome(project, codes, at=at, after=after)
                return
            codes.append(command(project, Watch()))
            yield outcome(project, codes, at=at, after=after)


def moments(projects: Iterator[Path], duration: float) -> Iterator[dict[str, object]]:
    """A kill at moments spread over the undisturbed duration, by chance but always the same share of it."""
    chance = random.Random(7)
    for number in range(MOMENTS):
        project, moment = next(projects), duration * (number + chance.random()) / MOMENTS
        codes = [command(project, Watch(), moment)]
        codes.append(command(project, Watch()))
        yield outcome(project, codes, moment=moment)


def again(projects: Iterator[Path], duration: float) -> Iterator[dict[str, object]]:
    """Kill after kill on the same project, each a little later than the last, until it ends by itself."""
    project, codes, patience = next(projects), [], duration / 20
    while not codes or codes[-1] == -signal.SIGKILL:
        codes.append(command(project, Watch(), patience))
        patience *= 1.3
    yield outcome(project, codes)


def main() -> None:
    folder, what = Path(sys.argv[1]), sys.argv[2]
    # What is imported late is imported now: once, rather than by each child. Nothing is trained here, as a process
    # that has computed a gradient may not be forked.
    os.environ["ESCALADE_LANG"] = "en"
    warm = make(folder / "warm", tasks=["topic"], rungs=["baseline"])
    with contextlib.redirect_stdout(sys.stderr), contextlib.suppress(SystemExit):
        cli.main(["run", str(warm), "--json", "--quiet"])
    projects = fresh(folder)
    first, second = (undisturbed(folder, next(projects)) for _ in range(2))
    print(json.dumps(first | {"twice the same": first["results"] == second["results"]}), flush=True)
    # The shorter of two, so that what else this machine did meanwhile does not put kills behind the end.
    duration = min(float(str(one["seconds"])) for one in (first, second))
    said = {
        "renames": lambda: renames(projects),
        "moments": lambda: moments(projects, duration),
        "again": lambda: again(projects, duration),
    }[what]()
    for one in said:
        print(json.dumps(one), flush=True)


if __name__ == "__main__":
    main()

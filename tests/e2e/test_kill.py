"""A power cut at any moment costs time and nothing else: the same command goes on, and ends with the same digests."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tiny_project import make, results

from escalade.ledger import Ledger

pytestmark = pytest.mark.slow
HERE = Path(__file__).parent
SCRIPT = Path(sys.executable).parent / "escalade"
KILLED = -signal.SIGKILL
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "ESCALADE_LANG": "en", "HF_HUB_OFFLINE": "1", "NO_COLOR": "1"}


def drive(folder: Path, what: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The undisturbed run, and each that was killed."""
    command = [sys.executable, HERE / "kill_driver.py", folder, what]
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, check=False)
    assert done.returncode == 0, done.stderr
    first, *rest = (json.loads(line) for line in done.stdout.splitlines())
    assert first["twice the same"]
    return first, rest


def same(one: dict[str, Any], undisturbed: dict[str, Any]) -> bool:
    """Whether a project that was killed ended as if it had not been."""
    assert one["codes"][-1] in (0, 3), one["log"]
    assert one["faults"] == [] and one["litter"] == []
    return bool(one["results"] == undisturbed["results"] and one["codes"][-1] == undisturbed["codes"][-1])


def test_killed_before_or_after_any_rename_it_goes_on_to_the_same_end(tmp_path: Path) -> None:
    make(tmp_path / "project", tasks=["mood"], rungs=["baseline"])
    undisturbed, killed = drive(tmp_path, "renames")
    *cut, last = killed
    assert undisturbed["renames"] > 30 and len(cut) >= 2 * undisturbed["renames"]
    assert all(one["codes"][0] == KILLED for one in cut) and len(last["codes"]) == 1
    wrong = [(one["at"], one["after"]) for one in killed if not same(one, undisturbed)]
    assert wrong == []


def test_killed_at_any_moment_it_goes_on_to_the_same_end(tmp_path: Path) -> None:
    make(tmp_path / "project", tasks=["mood"])
    undisturbed, killed = drive(tmp_path, "moments")
    assert len(killed) == 30 and sum(one["codes"][0] == KILLED for one in killed) >= 20
    assert [one["moment"] for one in killed if not same(one, undisturbed)] == []


def test_killed_again_and_again_it_still_comes_to_the_same_end(tmp_path: Path) -> None:
    make(tmp_path / "project", tasks=["mood"])
    undisturbed, (killed,) = drive(tmp_path, "again")
    assert killed["codes"].count(KILLED) >= 3 and same(killed, undisturbed)


def start(project: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [SCRIPT, "run", project, "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT,
    )  # fmt: skip


def test_two_processes_at_once_share_the_work_and_come_to_the_same_end(tmp_path: Path) -> None:
    alone = make(tmp_path / "alone", tasks=["mood"])
    with start(alone) as process:
        said = json.loads(process.communicate()[0])
    project = make(tmp_path / "project", tasks=["mood"])
    with start(project) as first, start(project) as second:
        refused = gc_until_refused(project)
        ended = [process.communicate() for process in (first, second)]
    assert first.returncode == second.returncode == process.returncode
    documents = [json.loads(out) for out, _ in ended]
    assert sum(document["executed"] for document in documents) == said["executed"], "nothing was done twice"
    assert results(project) == results(alone) and Ledger(project / ".escalade").verify() == []
    of_other = ((first.pid, ended[1][1]), (second.pid, ended[0][1]))
    assert any(f"waiting for process {pid} on" in text for pid, text in of_other), ended
    assert refused["key"] == "ledger.busy" and any(f"process {p.pid} on" in refused["cause"] for p in (first, second))


def gc_until_refused(project: Path) -> dict[str, str]:
    """What `runs gc` says while the others are at work."""
    deadline = time.time() + 60
    while time.time() < deadline:
        if (project / ".escalade").exists():
            command = [SCRIPT, "runs", "gc", "--project", project, "--json"]
            done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, check=False)
            if done.returncode == 2:
                error: dict[str, str] = json.loads(done.stdout)["error"]
                return error
            assert done.returncode == 0, done.stderr
        time.sleep(0.05)
    raise AssertionError("gc was never refused")

"""Runs programs that a model wrote, each in a process of its own, held to limits.

The limits keep mistakes in bounds: time, memory, size of files, no network where the kernel lets that be taken away.
They are no prison: a program can read what the user can read. Code that may be hostile belongs on a machine of its own.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

from escalade.stages.workspace import Workspace, cores

_MEMORY = 2 * 2**30
_FILE = 2**20
"""Bytes of a file that is written."""
_GRACE = 5.0
"""Seconds for starting, beyond what the program may compute."""
_LAUNCHER = """
import resource, sys
seconds, memory, size = int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
for what, most in (
    (resource.RLIMIT_CPU, seconds), (resource.RLIMIT_AS, memory), (resource.RLIMIT_FSIZE, size),
    (resource.RLIMIT_CORE, 0), (resource.RLIMIT_NOFILE, 64),
):
    hard = resource.getrlimit(what)[1]
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(what, (most, most))
with open(sys.argv[1], encoding="utf-8") as file:
    source = file.read()
mark, sys.argv = sys.argv[5], ["program.py"]
exec(compile(source, "program.py", "exec"), {"__name__": "__main__"})
sys.stdout.flush()
sys.__stderr__.write("\\n" + mark)
sys.__stderr__.flush()
"""
"""A program that leaves early, with whatever exit code, never comes to the mark."""


class Programs:
    """Runs programs a few at a time.

    Args:
        space: Who is told, and when to stop.
        seconds: Processor time of each, and, with some grace, time by the clock.
    """

    def __init__(self, space: Workspace, seconds: int) -> None:
        self._space, self._seconds = space, seconds

    def passes(self, programs: Sequence[str]) -> list[bool]:
        """Whether each program comes to its end without an error."""
        key = "stages.runs_programs" if _isolated() else "stages.runs_programs_online"
        self._space.reporter.say(key, count=len(programs), seconds=self._seconds)
        found = []
        with ThreadPoolExecutor(cores(), thread_name_prefix="programs") as pool:
            for passed in pool.map(self._passes, programs):
                found.append(passed)
                self._space.reporter.progress("passk", len(found), len(programs))
        self._space.check()
        return found

    def _passes(self, source: str) -> bool:
        if self._space.should_stop():
            return False
        mark = secrets.token_hex(16)
        with tempfile.TemporaryDirectory(prefix="escalade-") as folder:
            file = Path(folder) / "program.py"
            file.write_text(source, encoding="utf-8", errors="replace")
            limits = [str(self._seconds), str(_MEMORY), str(_FILE), mark]
            command = [*_isolated(), sys.executable, "-I", "-c", _LAUNCHER, str(file), *limits]
            return self._ran(command, folder, mark)

    def _ran(self, command: list[str], folder: str, mark: str) -> bool:
        environment = {"PATH": os.defpath, "HOME": folder, "TMPDIR": folder, "OMP_NUM_THREADS": "1"}
        with tempfile.TemporaryFile() as told:
            process = subprocess.Popen(
                command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=told,
                start_new_session=True,
            )  # fmt: skip
            try:
                code = process.wait(self._seconds + _GRACE)
            except subprocess.TimeoutExpired:
                code = -1
            finally:
                # What it has started goes with it.
                try:
                    os.killpg(process.pid, signal.SIGKILL)
                except (ProcessLookupError, PermissionError):
                    pass
                process.wait()
            told.seek(0, os.SEEK_END)
            told.seek(max(0, told.tell() - len(mark)))
            return code == 0 and told.read().decode(errors="replace") == mark


@cache
def _isolated() -> tuple[str, ...]:
    """The words that take away the network and bring all processes of a program to their end; none where that fails."""
    if (tool := shutil.which("unshare")) is None:
        return ()
    words = (tool, "--user", "--map-root-user", "--net", "--pid", "--fork", "--kill-child")
    try:
        tried = subprocess.run([*words, "true"], capture_output=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return words if tried.returncode == 0 else ()

"""Two processes never do the same work: the second waits and looks up; a dead holder holds nothing."""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from ledger_cases import Said, perform

from escalade.errors import Busy, Interrupted
from escalade.ledger import Bench, Ledger
from escalade.ledger.index import Index, _born

HOLD = """
import sys, time
from pathlib import Path
from escalade.ledger.index import Index
with Index(Path(sys.argv[1])).lease(sys.argv[2], "adapt"):
    print("held", flush=True)
    sys.stdin.readline()
print("given back", flush=True)
"""
WRITE = """
import sys, time
from pathlib import Path
from escalade.ledger import Ledger
from escalade.values import Rung
def work(bench):
    with open(Path(sys.argv[1]) / "executed", "a") as file:
        file.write("once\\n")
    time.sleep(0.5)
    return Rung(name="done")
ledger = Ledger(Path(sys.argv[1]) / "ledger")
while time.time() < float(sys.argv[2]):
    pass
print(ledger.perform("slow", 1, {}, work).output_digest, ledger.note("begun", "p", {"by": sys.argv[3]})["by"])
"""


@pytest.fixture
def index(tmp_path: Path) -> Index:
    return Ledger(tmp_path / "ledger").index


def holder_process(index: Index, name: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "error", "-c", HOLD, str(index.path), name]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    return process


def put(index: Index, name: str, pid: int, born: str, host: str, beat: float) -> None:
    """A lease as another process would have written it."""
    with sqlite3.connect(index.path) as connection:
        connection.execute(
            "INSERT INTO leases VALUES (?, ?, ?, ?, ?, ?, ?)", (name, pid, born, host, "adapt", beat, beat)
        )
    connection.close()


def test_a_lease_is_held_for_the_block_and_given_back_even_after_an_error(index: Index) -> None:
    with index.lease("a", "adapt"):
        holder = index.holders()["a"]
        assert (holder.pid, holder.host, holder.what) == (os.getpid(), socket.gethostname(), "adapt")
        assert abs(time.time() - holder.since) < 5
        with index.lease("b", "evaluate"):
            assert set(index.holders()) == {"a", "b"}
    with pytest.raises(ZeroDivisionError), index.lease("a", "adapt"):
        1 / 0  # noqa: B018
    assert index.holders() == {}


def test_busy_names_process_host_and_what(index: Index) -> None:
    with holder_process(index, "b2:x") as process:
        with pytest.raises(Busy) as error, index.lease("b2:x", "again"):
            pass
        said = str(error.value)
        assert error.value.place == "b2:x" and error.value.exit_code == 2
        assert f"process {process.pid} on {socket.gethostname()}" in said and "(adapt)" in said and error.value.cure
        process.communicate("\n")
    with index.lease("b2:x", "again"):
        assert index.holders()["b2:x"].pid == os.getpid()


def test_a_killed_holder_is_taken_over_even_before_its_parent_has_noticed(index: Index) -> None:
    with holder_process(index, "b2:x") as process:
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert Path(f"/proc/{process.pid}").exists(), "a zombie, as nobody has asked for its exit status"
        with index.lease("b2:x", "again"):
            assert index.holders()["b2:x"].pid == os.getpid()


def test_a_pid_that_was_given_anew_holds_nothing(index: Index) -> None:
    mine = _born(os.getpid())
    assert mine.isdigit()
    put(index, "same", os.getpid(), mine, socket.gethostname(), time.time())
    put(index, "other birth", os.getpid(), str(int(mine) - 1), socket.gethostname(), time.time())
    assert set(index.holders()) == {"same"}
    with index.lease("other birth", "again"):
        assert index.holders()["other birth"].what == "again"


def test_a_holder_on_another_host_lives_as_long_as_it_is_heard_of(index: Index) -> None:
    put(index, "heard", 1, "1", "elsewhere", time.time() - 60)
    put(index, "silent", 1, "1", "elsewhere", time.time() - 180)
    assert set(index.holders()) == {"heard"}
    with index.lease("silent", "again"), pytest.raises(Busy, match="elsewhere"), index.lease("heard", "again"):
        pass


def test_a_lease_that_was_taken_over_is_neither_kept_alive_nor_given_back(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("escalade.ledger.index._BEAT", 0.02)
    with index.lease("a", "mine"):
        with sqlite3.connect(index.path) as connection:
            connection.execute("UPDATE leases SET host = 'elsewhere', what = 'theirs', beat = ?", (time.time() - 60,))
        connection.close()
        time.sleep(0.1)
        assert time.time() - index.holders()["a"].beat > 50
    assert index.holders()["a"].what == "theirs"


def test_a_held_lease_beats(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("escalade.ledger.index._BEAT", 0.02)
    with index.lease("a", "adapt"):
        first = index.holders()["a"].beat
        deadline = time.time() + 5
        while index.holders()["a"].beat == first and time.time() < deadline:
            time.sleep(0.02)
        assert index.holders()["a"].beat > first


def test_of_two_threads_the_second_waits_and_looks_up(tmp_path: Path) -> None:
    at_work, go_on = threading.Event(), threading.Event()
    told: list[Busy] = []

    def work(bench: Bench) -> Said:
        at_work.set()
        assert go_on.wait(10)
        return Said(text="first")

    first = Ledger(tmp_path / "ledger")
    second = Ledger(tmp_path / "ledger", waiting=lambda busy: (told.append(busy), go_on.set())[0])
    thread = threading.Thread(target=first.perform, args=("s", 1, {}, work))
    thread.start()
    assert at_work.wait(10)
    found = second.perform("s", 1, {}, lambda bench: Said(text="second"))
    thread.join()
    assert found.output["text"] == "first"
    assert (first.executed, second.executed) == (["s"], [])
    assert [(busy.facts["pid"], busy.facts["what"]) for busy in told] == [(os.getpid(), "s")]


def test_who_waits_can_be_told_to_stop(tmp_path: Path) -> None:
    def stop() -> None:
        raise Interrupted("stages.interrupted")

    ledger = Ledger(tmp_path / "ledger", still=stop)
    run = perform(ledger, text="there is nothing to wait for")
    with Ledger(ledger.root).index.lease("b2:x", "adapt"), pytest.raises(Interrupted), ledger.holding("b2:x", "again"):
        pass
    assert perform(ledger, text="there is nothing to wait for") == run


@pytest.mark.slow
def test_of_two_processes_that_begin_at_once_one_works(tmp_path: Path) -> None:
    at = str(time.time() + 1.5)
    command = [sys.executable, "-W", "error", "-c", WRITE, str(tmp_path), at]
    both = [subprocess.Popen([*command, who], stdout=subprocess.PIPE, text=True) for who in ("one", "other")]
    said = [process.communicate(timeout=30)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert said[0] == said[1] and said[0].split()[1] in ("one", "other")
    assert (tmp_path / "executed").read_text() == "once\n"
    assert Ledger(tmp_path / "ledger").verify() == []


MAKE = """
import sys, time
from pathlib import Path
from escalade.ledger import Ledger
ledger = Ledger(Path(sys.argv[1]) / "ledger")
while time.time() < float(sys.argv[2]):
    pass
print(ledger.store(Path(sys.argv[1]) / "source"), ledger.index.ids())
"""


@pytest.mark.slow
def test_processes_that_make_the_same_ledger_and_artifact_at_once_do_not_fall_over_each_other(tmp_path: Path) -> None:
    for turn in range(8):
        folder = tmp_path / str(turn)
        (folder / "source").mkdir(parents=True)
        (folder / "source" / "text.txt").write_text("the same")
        command = [sys.executable, "-W", "error", "-c", MAKE, str(folder), str(time.time() + 1.0)]
        several = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
        said = [process.communicate(timeout=30)[0] for process in several]
        assert [process.returncode for process in several] == [0] * 4
        assert len(set(said)) == 1
        ledger = Ledger(folder / "ledger")
        assert ledger.verify() == [] and len(list((ledger.root / "artifacts").iterdir())) == 1

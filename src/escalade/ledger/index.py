"""The SQLite database beside the run files: events while work goes on, leases, and an index of the runs.

It is derived and disposable: `escalade runs rebuild` makes it anew from the files. Only leases and events live
here alone; a lost lease is one nobody holds, and events are a diary.
"""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from escalade.errors import Busy

_TABLES = """
CREATE TABLE IF NOT EXISTS runs (id TEXT PRIMARY KEY, stage TEXT, started TEXT, output_digest TEXT);
CREATE TABLE IF NOT EXISTS leases (name TEXT PRIMARY KEY, pid INTEGER, born TEXT, host TEXT, what TEXT, since REAL,
                                   beat REAL);
CREATE TABLE IF NOT EXISTS events (time REAL, run TEXT, kind TEXT, facts TEXT);
CREATE INDEX IF NOT EXISTS events_of_run ON events (run);
"""
_BEAT = 20.0
"""Seconds between heartbeats of a held lease."""
_SILENCE = 120.0
"""Seconds without one after which a holder on another host is taken for dead."""
_ALL = "*"
"""The name of the lease that stands for every other."""


@dataclass(frozen=True)
class Holder:
    """Who holds a lease."""

    pid: int
    born: str
    host: str
    what: str
    since: float
    beat: float

    @property
    def alive(self) -> bool:
        """False where the process is gone; on another host, where it has been silent for two minutes."""
        if self.host != socket.gethostname():
            return time.time() - self.beat < _SILENCE
        return _born(self.pid) == self.born


class Index:
    """One connection per use: cheap, and safe across threads and forks."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def _connect(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self.path, timeout=30, isolation_level=None)
        try:
            # Two processes that make the database at once: the switch does not wait for the other's, and need not.
            with suppress(sqlite3.OperationalError):
                connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.executescript(_TABLES)
            yield connection
        finally:
            connection.close()

    def sound(self) -> bool:
        """False where the file is not a database that can be read; one that is merely locked is sound."""
        try:
            with self._connect() as connection:
                return bool(connection.execute("PRAGMA quick_check").fetchone()[0] == "ok")
        except sqlite3.DatabaseError as error:
            # The low byte is the kind of error, the rest its details.
            if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
                return False
            raise

    def add(self, id: str, stage: str, started: str, output_digest: str) -> None:
        """Lists a run."""
        with self._connect() as connection:
            connection.execute("INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?)", (id, stage, started, output_digest))

    def ids(self) -> list[str]:
        """Every listed run, oldest first."""
        with self._connect() as connection:
            return [row[0] for row in connection.execute("SELECT id FROM runs ORDER BY started, id")]

    def refill(self, rows: list[tuple[str, str, str, str]]) -> None:
        """Replaces the list of runs."""
        with self._connect() as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("DELETE FROM runs")
            connection.executemany("INSERT INTO runs VALUES (?, ?, ?, ?)", rows)
            connection.execute("COMMIT")

    def event(self, run: str, kind: str, facts: dict[str, Any]) -> None:
        """Adds a line to the diary."""
        with self._connect() as connection:
            connection.execute("INSERT INTO events VALUES (?, ?, ?, ?)", (time.time(), run, kind, json.dumps(facts)))

    def events(self, run: str) -> list[tuple[float, str, dict[str, Any]]]:
        """The diary of a run: time, kind, facts."""
        with self._connect() as connection:
            found = connection.execute("SELECT time, kind, facts FROM events WHERE run = ? ORDER BY rowid", (run,))
            return [(when, kind, json.loads(facts)) for when, kind, facts in found]

    def holders(self) -> dict[str, Holder]:
        """Every lease held by somebody alive."""
        with self._connect() as connection:
            return _living(connection)

    @contextmanager
    def lease(self, name: str, what: str) -> Iterator[None]:
        """Holds a name for the length of the block.

        Raises:
            Busy: Another process, or another thread of this one, holds it, or everything.
        """
        with self._held(name, what, lambda held: name in held or _ALL in held):
            yield

    @contextmanager
    def lease_of_all(self, what: str) -> Iterator[None]:
        """Holds everything for the length of the block: nobody else has a lease or gets one.

        Raises:
            Busy: Another process holds something.
        """
        with self._held(_ALL, what, bool):
            yield

    @contextmanager
    def _held(self, name: str, what: str, blocks: _Blocks) -> Iterator[None]:
        mine = (name, os.getpid(), _born(os.getpid()), socket.gethostname())
        # Kept open for the length of the block: the last connection to close costs a checkpoint, 30 ms where it was
        # measured, and every event of the block would pay it.
        with self._connect() as connection:
            self._take(connection, mine, what, blocks)
            done = threading.Event()
            beating = threading.Thread(target=self._beat, args=(mine, done), daemon=True)
            beating.start()
            try:
                yield
            finally:
                done.set()
                beating.join()
                connection.execute("DELETE FROM leases WHERE " + _MINE, mine)

    def _take(self, connection: sqlite3.Connection, mine: _Mine, what: str, blocks: _Blocks) -> None:
        now = time.time()
        connection.execute("BEGIN IMMEDIATE")
        try:
            held = _living(connection)
            if blocks(held):
                place = next(name for name in (mine[0], _ALL, *held) if name in held)
                first = held[place]
                raise Busy("ledger.busy", place=place, pid=first.pid, host=first.host, what=first.what)
            connection.execute("INSERT OR REPLACE INTO leases VALUES (?, ?, ?, ?, ?, ?, ?)", (*mine, what, now, now))
        finally:
            connection.execute("COMMIT")

    def _beat(self, mine: _Mine, done: threading.Event) -> None:
        while not done.wait(_BEAT):
            # A beat that the database had no time for is made up for by the next one.
            with suppress(sqlite3.OperationalError), self._connect() as connection:
                connection.execute("UPDATE leases SET beat = ? WHERE " + _MINE, (time.time(), *mine))


_Mine = tuple[str, int, str, str]
_Blocks = Callable[[dict[str, Holder]], bool]
_MINE = "name = ? AND pid = ? AND born = ? AND host = ?"
"""A lease of this very process: one that was taken over meanwhile is somebody else's."""


def _living(connection: sqlite3.Connection) -> dict[str, Holder]:
    rows = connection.execute("SELECT name, pid, born, host, what, since, beat FROM leases ORDER BY since")
    held = {name: Holder(*facts) for name, *facts in rows}
    return {name: holder for name, holder in held.items() if holder.alive}


def _born(pid: int) -> str:
    """When a process began, in the kernel's ticks; empty where it is gone (a pid alone may have been given anew)."""
    try:
        facts = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        # A zombie has ended; only its parent has not asked yet.
        return "" if facts[0] in "ZX" else facts[19]
    except (FileNotFoundError, ProcessLookupError):
        pass
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return ""
    except PermissionError:
        return "alive"
    return "alive"

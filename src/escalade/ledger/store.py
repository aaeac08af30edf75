"""The ledger: what happened, append-only. Its files are the truth; everything else can be made anew from them.

::

    .escalade/
      runs/<id>.json            one immutable record a run, written last and renamed into place
      artifacts/<digest>/       immutable folders, named by the digest of what they hold
      notes/<topic>/<name>.json immutable sealed notes: a climb begun, a look at a test set, a climb finished
      work/<id>/                a run under way: checkpoints, half-made files; kept until it is recorded
      index.sqlite              derived: index, leases, events
"""

from __future__ import annotations

import json
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from escalade.errors import Busy, Damaged
from escalade.ledger import files, note
from escalade.ledger.index import Index
from escalade.ledger.run import Measured, Run, identity, packages
from escalade.values import Value, digest_of

_PATIENCE = 0.2
"""Seconds between two looks at whether a lease is free."""
_LEFTOVERS = ("runs/.*.tmp", "artifacts/.*.tmp", "notes/*/.*.tmp")
"""What a killed write leaves behind."""


@dataclass
class Bench:
    """What a stage works on: its own folder, which outlives a kill, and the way to keep what it makes."""

    id: str
    folder: Path
    ledger: Ledger
    kept: list[str] = field(default_factory=list)

    def new(self, name: str) -> Path:
        """An empty folder to be kept: what a killed process left half-made in it is gone."""
        folder = self.folder / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        return folder

    def keep(self, path: Path) -> str:
        """Stores a file or folder as an artifact of this run and returns its digest."""
        digest = self.ledger.store(path)
        self.kept.append(digest)
        return digest

    def event(self, kind: str, **facts: Any) -> None:
        """Writes a line into the diary of this run."""
        self.ledger.index.event(self.id, kind, facts)


@dataclass(frozen=True)
class Fault:
    """Something recorded that is no longer what was written."""

    what: str
    """``run``, ``artifact`` or ``note``."""
    name: str
    problem: str


class Ledger:
    """The record of a project, in one folder.

    Args:
        root: The folder; made at the first write.
        waiting: Called once with a sentence's facts when another process is at work on what this one needs.
        stale: Called with a run that was recorded under other package versions and is used all the same.
        still: Asked again and again while waiting; what it raises ends the waiting.
    """

    def __init__(
        self,
        root: Path,
        *,
        waiting: Callable[[Busy], None] | None = None,
        stale: Callable[[Run], None] | None = None,
        still: Callable[[], None] | None = None,
    ) -> None:
        self.root = root
        self.executed: list[str] = []
        """Stages that ran in this process, in order; look-ups are not among them."""
        self.used: dict[str, Run] = {}
        """Every run this process executed or looked up."""
        self._waiting = waiting or (lambda busy: None)
        self._stale = stale or (lambda run: None)
        self.still = still or (lambda: None)
        self._told_stale: set[str] = set()
        self._index: Index | None = None

    @property
    def index(self) -> Index:
        """The derived database; made anew where it is missing or cannot be read."""
        if self._index is None:
            self._make_folders()
            index = Index(self.root / "index.sqlite")
            if not index.sound():
                for part in self.root.glob("index.sqlite*"):
                    part.unlink(missing_ok=True)
            # A kill between a run's file and its line in the index leaves them apart.
            if len(index.ids()) != sum(1 for _ in (self.root / "runs").glob("b2-*.json")):
                index.refill(self._lines())
            self._index = index
        return self._index

    # -- runs ---------------------------------------------------------------------------------------------------

    def perform(
        self,
        stage: str,
        version: int,
        inputs: Mapping[str, object],
        work: Callable[[Bench], Value],
        *,
        parents: Sequence[Run] = (),
        fresh: bool = False,
    ) -> Run:
        """Does a stage's work once: a run with the same name, version and inputs is looked up instead.

        Args:
            stage: The stage's name.
            version: Bumped when the stage's meaning changes.
            inputs: All that the result depends on.
            work: Does it and gives the output; called with the lease held.
            parents: The runs whose outputs are among the inputs.
            fresh: A run recorded under other package versions does not count.

        Raises:
            Damaged: The record found does not agree with its own digests.
        """
        given = _plain(inputs)
        id = identity(stage, version, given)
        if found := self._usable(id, fresh):
            return self._note_use(found)
        with self.holding(id, stage):
            # Whoever was waited for may have done it.
            found = self._usable(id, fresh) or self._execute(id, stage, version, given, work, parents)
            return self._note_use(found)

    def holds(self, stage: str, version: int, inputs: Mapping[str, object]) -> bool:
        """Whether ``perform`` would look this up rather than do it."""
        return self._usable(identity(stage, version, _plain(inputs)), fresh=False) is not None

    def find(self, id: str) -> Run | None:
        """The run with this id; None where there is none.

        Raises:
            Damaged: Its file cannot be read or was edited.
        """
        path = self._run_path(id)
        try:
            run = Run.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except ValueError:
            raise Damaged("ledger.unreadable", place=path) from None
        if faults := [*run.faults(), *(["name"] if run.id != id else [])]:
            raise Damaged("ledger.edited", place=path, faults=", ".join(faults))
        return run

    def runs(self) -> list[Run]:
        """Every readable run, oldest first."""
        found = []
        for path in (self.root / "runs").glob("b2-*.json"):
            try:
                found.append(Run.model_validate_json(path.read_bytes()))
            except ValueError:
                continue
        return sorted(found, key=lambda run: (run.started, run.id))

    def _usable(self, id: str, fresh: bool) -> Run | None:
        run = self.find(id)
        if run is None or any(not self.path(digest).exists() for digest in run.artifacts):
            return None
        if run.stale:
            if fresh:
                return None
            if id not in self._told_stale:
                self._told_stale.add(id)
                self._stale(run)
        return run

    def _execute(
        self,
        id: str,
        stage: str,
        version: int,
        given: dict[str, Any],
        work: Callable[[Bench], Value],
        parents: Sequence[Run],
    ) -> Run:
        # Work begun under other package versions is not gone on with: half old and half new is neither.
        folder = self.root / "work" / files.file_name(id) / files.file_name(digest_of(packages()))
        folder.mkdir(parents=True, exist_ok=True)
        started, clock = datetime.now(UTC), time.perf_counter()
        bench = Bench(id, folder, self)
        output = work(bench).to_json()
        run = Run(
            id=id,
            stage=stage,
            version=version,
            inputs=given,
            output=output,
            output_digest=digest_of(output),
            artifacts=tuple(dict.fromkeys(bench.kept)),
            parents=tuple(dict.fromkeys(parent.id for parent in parents)),
            packages=packages(),
            started=started.isoformat(timespec="milliseconds"),
            measured=Measured(seconds=time.perf_counter() - clock, peak_bytes=_peak_bytes()),
        ).sealed()
        files.write(self._run_path(id), json.dumps(run.to_json(), indent=1, ensure_ascii=False).encode())
        self.index.add(run.id, run.stage, run.started, run.output_digest)
        shutil.rmtree(folder.parent, ignore_errors=True)
        self.executed.append(stage)
        return run

    def _note_use(self, run: Run) -> Run:
        self.used[run.id] = run
        return run

    @contextmanager
    def holding(self, name: str, what: str) -> Iterator[None]:
        """Holds a lease for the length of the block; waits for whoever holds it now."""
        with ExitStack() as held:
            told: set[object] = set()
            while True:
                try:
                    held.enter_context(self.index.lease(name, what))
                    break
                except Busy as busy:
                    who = busy.facts["host"], busy.facts["pid"]
                    if who not in told:
                        told.add(who)
                        self._waiting(busy)
                    self.still()
                    time.sleep(_PATIENCE)
            yield

    def _run_path(self, id: str) -> Path:
        return self.root / "runs" / f"{files.file_name(id)}.json"

    # -- artifacts ----------------------------------------------------------------------------------------------

    def store(self, source: Path) -> str:
        """Copies a file or folder in as an immutable artifact and returns its digest."""
        self._make_folders()
        temporary = self.root / "artifacts" / f".{uuid.uuid4().hex}.tmp"
        files.copy_tree(source, temporary)
        digest = files.tree_digest(temporary)
        target = self.path(digest)
        if not target.exists() or files.tree_digest(target) != digest:
            files.sync_tree(temporary)
            self._place(temporary, target, digest)
        shutil.rmtree(temporary, ignore_errors=True)
        return digest

    def _place(self, temporary: Path, target: Path, digest: str) -> None:
        try:
            os.replace(temporary, target)
        except OSError:
            # Something lies there: the same, from another process just now, or something damaged.
            if files.tree_digest(target) != digest:
                damaged = target.with_name(f".{uuid.uuid4().hex}.tmp")
                os.replace(target, damaged)
                os.replace(temporary, target)
                shutil.rmtree(damaged)
        files.sync_folder(target.parent)

    def path(self, digest: str) -> Path:
        """Where an artifact lies."""
        return self.root / "artifacts" / files.file_name(digest)

    def artifacts(self) -> Iterator[str]:
        """Digests of all artifacts."""
        for path in sorted((self.root / "artifacts").glob("b2-*")):
            yield files.digest_from(path.name)

    # -- notes --------------------------------------------------------------------------------------------------

    def note(self, topic: str, name: str, content: dict[str, Any]) -> dict[str, Any]:
        """Writes an immutable note once; a second writer gets what the first one wrote."""
        if (found := self.read_note(topic, name)) is not None:
            return found
        with self.holding(f"{topic} {name}", "note"):
            if (found := self.read_note(topic, name)) is not None:
                return found
            path = self._note_path(topic, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            files.write(path, note.sealed(content))
            return content

    def read_note(self, topic: str, name: str) -> dict[str, Any] | None:
        """A note's content; None where there is none.

        Raises:
            Damaged: It was edited.
        """
        path = self._note_path(topic, name)
        try:
            return note.content_of(path.read_bytes(), path)
        except FileNotFoundError:
            return None

    def notes(self, topic: str) -> dict[str, dict[str, Any]]:
        """Every note of a topic by name."""
        names = sorted(path.stem for path in (self.root / "notes" / topic).glob("*.json"))
        return {name: content for name in names if (content := self.read_note(topic, name)) is not None}

    def _note_path(self, topic: str, name: str) -> Path:
        return self.root / "notes" / topic / f"{files.file_name(name)}.json"

    # -- upkeep -------------------------------------------------------------------------------------------------

    def verify(self) -> list[Fault]:
        """Re-derives every digest and returns what does not agree."""
        found = [fault for path in sorted((self.root / "runs").glob("b2-*.json")) for fault in self._verify_run(path)]
        for digest in self.artifacts():
            if files.tree_digest(self.path(digest)) != digest:
                found.append(Fault("artifact", digest, "changed"))
        for path in sorted((self.root / "notes").glob("*/*.json")):
            try:
                self.read_note(path.parent.name, path.stem)
            except Damaged:
                found.append(Fault("note", f"{path.parent.name}/{path.stem}", "edited"))
        return found

    def _verify_run(self, path: Path) -> Iterator[Fault]:
        id = files.digest_from(path.stem)
        try:
            run = Run.model_validate_json(path.read_bytes())
        except ValueError:
            yield Fault("run", id, "unreadable")
            return
        for problem in run.faults():
            yield Fault("run", id, f"{problem} edited")
        if run.id != id:
            yield Fault("run", id, "file name edited")
        for digest in run.artifacts:
            if not self.path(digest).exists():
                yield Fault("artifact", digest, "deleted")

    def gc(self) -> list[str]:
        """Deletes what nothing refers to: artifacts of no run, leftovers of killed writes, work that was recorded.

        Raises:
            Busy: Some process is at work here.
            Damaged: A run's record cannot be read or was edited.
        """
        with self.index.lease_of_all("gc"):
            # A record that cannot be read may be mended yet: what it refers to is not deleted behind its back.
            ids = [files.digest_from(path.stem) for path in (self.root / "runs").glob("b2-*.json")]
            runs = [run for id in ids if (run := self.find(id)) is not None]
            wanted = {digest for run in runs for digest in run.artifacts}
            recorded = {files.file_name(run.id) for run in runs}
            doomed = [self.path(digest) for digest in self.artifacts() if digest not in wanted]
            doomed += [path for place in _LEFTOVERS for path in self.root.glob(place)]
            doomed += [path for path in (self.root / "work").glob("*") if path.name in recorded]
            for path in doomed:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            return [path.name for path in doomed]

    def rebuild(self) -> int:
        """Makes the index anew from the run files; returns how many there are."""
        lines = self._lines()
        self.index.refill(lines)
        return len(lines)

    def _lines(self) -> list[tuple[str, str, str, str]]:
        return [(run.id, run.stage, run.started, run.output_digest) for run in self.runs()]

    def _make_folders(self) -> None:
        for name in ("runs", "artifacts", "notes", "work"):
            (self.root / name).mkdir(parents=True, exist_ok=True)


def _peak_bytes() -> float | None:
    """Highest resident memory of this process so far."""
    try:
        import resource
    except ImportError:
        return None
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


def _plain(inputs: Mapping[str, object]) -> dict[str, Any]:
    """Inputs as JSON has them."""
    return {name: v.to_json() if isinstance(v, Value) else v for name, v in inputs.items()}

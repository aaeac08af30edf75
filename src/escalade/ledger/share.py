"""Sharing: immutable objects copied to and from any address that fsspec knows."""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec

from escalade.errors import BadInput, Damaged
from escalade.ledger import files, note
from escalade.ledger.run import Run
from escalade.ledger.store import Ledger


def push(ledger: Ledger, address: str) -> int:
    """Copies every run, artifact and note that is not there yet; artifacts first, so that no run lacks one."""
    remote, root = _open(address)
    copied: set[str] = set()
    with ledger.holding("push", "push"):
        for folder in ("artifacts", "notes", "runs"):
            for path in files.files_in(ledger.root / folder):
                name = path.relative_to(ledger.root).as_posix()
                if any(part.startswith(".") and part.endswith(".tmp") for part in Path(name).parts):
                    continue
                target = f"{root}/{name}"
                if remote.exists(target) and remote.size(target) == path.stat().st_size:
                    continue
                remote.makedirs(target.rsplit("/", 1)[0], exist_ok=True)
                remote.put_file(str(path), target)
                # An artifact is one object, however many files it has.
                copied.add("/".join(Path(name).parts[:2]) if folder == "artifacts" else name)
    return len(copied)


def pull(ledger: Ledger, address: str) -> int:
    """Copies what is not here yet, each object checked against its digest before it is taken in.

    A run is taken in after its artifacts, so that a pull that was cut short leaves a ledger that is whole.

    Raises:
        Damaged: An object at the address is not what its name says.
    """
    remote, root = _open(address)
    if not remote.exists(f"{root}/runs"):
        raise BadInput("ledger.nothing_there", place=address)
    with ledger.holding("pull", "pull"):
        copied = sum(_pull_run(ledger, remote, root, name) for name in _names(remote, f"{root}/runs"))
        for topic in _names(remote, f"{root}/notes"):
            copied += sum(_pull_note(ledger, remote, root, topic, n) for n in _names(remote, f"{root}/notes/{topic}"))
        ledger.rebuild()
    return copied


def _pull_run(ledger: Ledger, remote: Any, root: str, name: str) -> int:
    place, target = f"{root}/runs/{name}", ledger.root / "runs" / name
    if here := ledger.find(files.digest_from(target.stem)):
        lost = [digest for digest in here.artifacts if not ledger.path(digest).exists()]
        return sum(_pull_artifact(ledger, remote, root, d) for d in lost if remote.exists(_artifact(root, d)))
    content = remote.cat_file(place)
    try:
        run = Run.model_validate_json(content)
    except ValueError:
        raise Damaged("ledger.unreadable", place=place) from None
    if faults := [*run.faults(), *(["name"] if name != f"{files.file_name(run.id)}.json" else [])]:
        raise Damaged("ledger.edited", place=place, faults=", ".join(faults))
    copied = sum(_pull_artifact(ledger, remote, root, digest) for digest in run.artifacts)
    files.write(target, content)
    return copied + 1


def _pull_artifact(ledger: Ledger, remote: Any, root: str, digest: str) -> int:
    if ledger.path(digest).exists():
        return 0
    place = _artifact(root, digest)
    temporary = ledger.root / "artifacts" / f".{uuid.uuid4().hex}.tmp"
    try:
        temporary.mkdir()
        for path in remote.find(place):
            relative = PurePosixPath(path).relative_to(place)
            if ".." in relative.parts:
                raise Damaged("ledger.changed", place=path)
            (temporary / relative).parent.mkdir(parents=True, exist_ok=True)
            remote.get_file(path, str(temporary / relative))
        if files.tree_digest(temporary) != digest:
            raise Damaged("ledger.changed", place=place)
        ledger.store(temporary)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return 1


def _pull_note(ledger: Ledger, remote: Any, root: str, topic: str, name: str) -> int:
    place, target = f"{root}/notes/{topic}/{name}", ledger.root / "notes" / topic / name
    if target.exists():
        return 0
    content = remote.cat_file(place)
    note.content_of(content, place)
    target.parent.mkdir(parents=True, exist_ok=True)
    files.write(target, content)
    return 1


def _artifact(root: str, digest: str) -> str:
    return f"{root}/artifacts/{files.file_name(digest)}"


def _names(remote: Any, folder: str) -> list[str]:
    """The names in a folder, sorted; none where there is no such folder."""
    found = remote.ls(folder, detail=False) if remote.exists(folder) else []
    return sorted(name for path in found if not (name := path.rstrip("/").rsplit("/", 1)[-1]).startswith("."))


def _open(address: str) -> tuple[Any, str]:
    try:
        remote, root = fsspec.core.url_to_fs(address)
    except (ValueError, ImportError) as error:
        raise BadInput("ledger.no_such_address", place=address, problem=error) from None
    return remote, root.rstrip("/")

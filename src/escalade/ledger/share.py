"""Sharing: immutable objects copied to and from any address that fsspec knows."""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path
from typing import Any

import fsspec

from escalade.errors import BadInput, Damaged
from escalade.ledger import files
from escalade.ledger.run import Run
from escalade.ledger.store import Ledger


def push(ledger: Ledger, address: str) -> int:
    """Copies every run, artifact and note that is not there yet; artifacts first, so that no run lacks one."""
    remote, root = _open(address)
    copied = 0
    for folder in ("artifacts", "notes", "runs"):
        for path in files.files_in(ledger.root / folder) if (ledger.root / folder).exists() else ():
            name = path.relative_to(ledger.root).as_posix()
            if any(part.startswith(".") for part in Path(name).parts):
                continue
            target = f"{root}/{name}"
            if remote.exists(target) and remote.size(target) == path.stat().st_size:
                continue
            remote.makedirs(target.rsplit("/", 1)[0], exist_ok=True)
            remote.put_file(str(path), target)
            copied += 1
    return copied


def pull(ledger: Ledger, address: str) -> int:
    """Copies what is not here yet, each object checked against its digest before it is taken in.

    Raises:
        Damaged: An object at the address is not what its name says.
    """
    remote, root = _open(address)
    if not remote.exists(f"{root}/runs"):
        raise BadInput("ledger.nothing_there", place=address)
    ledger.index  # noqa: B018  (makes the folders and the database)
    copied = sum(_pull_artifact(ledger, remote, path) for path in _names(remote, f"{root}/artifacts"))
    copied += sum(_pull_run(ledger, remote, path) for path in _names(remote, f"{root}/runs"))
    for topic in _names(remote, f"{root}/notes"):
        for path in _names(remote, topic):
            target = ledger.root / "notes" / Path(topic).name / Path(path).name
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                files.write(target, remote.cat_file(path))
                ledger.read_note(target.parent.name, target.stem)
                copied += 1
    ledger.rebuild()
    return copied


def _pull_artifact(ledger: Ledger, remote: Any, path: str) -> int:
    digest = files.digest_from(Path(path).name)
    if ledger.path(digest).exists():
        return 0
    temporary = ledger.root / "artifacts" / f".{uuid.uuid4().hex}.tmp"
    remote.get(path, str(temporary), recursive=True)
    try:
        if files.tree_digest(temporary) != digest:
            raise Damaged("ledger.changed", place=path)
        ledger.store(temporary)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return 1


def _pull_run(ledger: Ledger, remote: Any, path: str) -> int:
    target = ledger.root / "runs" / Path(path).name
    if target.exists():
        return 0
    content = remote.cat_file(path)
    try:
        faults = Run.model_validate_json(content).faults()
    except ValueError:
        raise Damaged("ledger.unreadable", place=path) from None
    if faults:
        raise Damaged("ledger.edited", place=path, faults=", ".join(faults))
    files.write(target, content)
    return 1


def _names(remote: Any, folder: str) -> list[str]:
    return sorted(remote.ls(folder, detail=False)) if remote.exists(folder) else []


def _open(address: str) -> tuple[Any, str]:
    try:
        return fsspec.core.url_to_fs(address)
    except (ValueError, ImportError) as error:
        raise BadInput("ledger.no_such_address", place=address, problem=error) from None

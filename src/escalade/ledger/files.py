"""Files that survive a power cut: written beside, synced, renamed into place; and hashes of what they hold."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from escalade.values import digest_of

_CHUNK = 1 << 20


def write(path: Path, content: bytes) -> None:
    """Writes a file so that a reader sees all of it or none of it, whenever the machine stops."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    with open(temporary, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Makes renames inside a folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def file_digest(path: Path) -> str:
    """BLAKE2b-128 of a file's bytes, as ``b2:`` and 32 hex digits."""
    running = hashlib.blake2b(digest_size=16)
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            running.update(chunk)
    return "b2:" + running.hexdigest()


def files_in(folder: Path) -> Iterator[Path]:
    """Every file below a folder, sorted by its relative path."""
    yield from sorted(path for path in folder.rglob("*") if path.is_file())


def tree_digest(folder: Path) -> str:
    """Digest of a folder: of its files' relative paths and digests."""
    return digest_of([[path.relative_to(folder).as_posix(), file_digest(path)] for path in files_in(folder)])


def sync_tree(folder: Path) -> None:
    """Makes every file below a folder, and the folders, durable."""
    for path in files_in(folder):
        with open(path, "rb") as file:
            os.fsync(file.fileno())
    for path in [folder, *(p for p in folder.rglob("*") if p.is_dir())]:
        sync_folder(path)


def copy_tree(source: Path, target: Path) -> None:
    """Copies a file or folder into the folder ``target``; links are followed."""
    if source.is_file():
        target.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target / source.name)
    else:
        shutil.copytree(source, target, dirs_exist_ok=True, copy_function=shutil.copyfile)


def file_name(digest: str) -> str:
    """A digest as a file name."""
    return digest.replace(":", "-")


def digest_from(name: str) -> str:
    """The digest that ``file_name`` made a file name of."""
    return name.replace("-", ":", 1)


def replace_tree(source: Path, target: Path) -> None:
    """Puts a copy of ``source`` at ``target``, in place of what stood there; at no moment is half of it there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_name(f".{target.name}.{uuid.uuid4().hex}.tmp")
    copy_tree(source, fresh)
    sync_tree(fresh)
    if target.exists():
        old = target.with_name(f".{target.name}.{uuid.uuid4().hex}.old.tmp")
        os.replace(target, old)
        os.replace(fresh, target)
        shutil.rmtree(old)
    else:
        os.replace(fresh, target)
    sync_folder(target.parent)


def clear_leftovers(target: Path) -> None:
    """Deletes what a killed ``replace_tree`` left beside its target; for the only writer there is."""
    leftover = re.compile(re.escape(f".{target.name}.") + r"[0-9a-f]{32}(\.old)?\.tmp")
    for path in target.parent.glob(".*.tmp"):
        if leftover.fullmatch(path.name):
            shutil.rmtree(path)

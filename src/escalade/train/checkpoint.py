"""Checkpoints that survive a kill at any moment: written aside, synced, a manifest of digests last, then renamed.

``work/step-000120/`` holds ``weights.safetensors``, ``best.safetensors``, ``optimizer.safetensors``, ``state.json`` and
``manifest.json``. The last two are kept; one whose files are not what its manifest says is passed over.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from escalade.errors import BadInput

KEPT = 2
_MANIFEST = "manifest.json"
_FILES = ("state.json", "weights.safetensors", "best.safetensors", "optimizer.safetensors")
_CHUNK = 1 << 20
Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class Checkpoint:
    """What training needs to go on as if it had never stopped."""

    state: dict[str, Any]
    """Position, losses, and the choices that must be kept to: plain JSON."""
    weights: Tensors
    best: Tensors
    """Weights of the best validation so far; empty where there was none."""
    optimizer: Tensors


def save(work: Path, step: int, checkpoint: Checkpoint) -> Path:
    """Writes ``work/step-N`` so that it is there whole or not at all, and drops all but the last two.

    Raises:
        BadInput: The disk is full or cannot be written.
    """
    folder, temporary = work / f"step-{step:08d}", work / f".step-{step:08d}.tmp"
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        for name in ("weights", "best", "optimizer"):
            save_file(_plain(getattr(checkpoint, name)), temporary / f"{name}.safetensors")
        (temporary / "state.json").write_text(json.dumps(checkpoint.state), encoding="utf-8")
        digests = {path.name: _synced_digest(path) for path in sorted(temporary.iterdir())}
        (temporary / _MANIFEST).write_text(json.dumps(digests), encoding="utf-8")
        _synced_digest(temporary / _MANIFEST)
        _sync_folder(temporary)
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(temporary, folder)
        _sync_folder(work)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise BadInput("train.no_checkpoint_room", place=work, problem=error) from error
    # What stands at later steps is damaged or of another run: this run has not been there yet.
    before = [other for other in _folders(work) if other.name < folder.name][: KEPT - 1]
    for old in (*_folders(work), *work.glob(".step-*.tmp")):
        if old != folder and old not in before:
            shutil.rmtree(old, ignore_errors=True)
    return folder


def newest(work: Path, run: str, on_fault: Callable[[Path, str], None]) -> Checkpoint | None:
    """The newest checkpoint of a run that is whole; ``on_fault`` hears of each that is not, and why."""
    for folder in _folders(work):
        fault = fault_of(folder)
        if fault is None:
            state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
            if state.get("run") != run:
                on_fault(folder, "another run")
                continue
            return Checkpoint(
                state=state,
                weights=load_file(folder / "weights.safetensors"),
                best=load_file(folder / "best.safetensors"),
                optimizer=load_file(folder / "optimizer.safetensors"),
            )
        on_fault(folder, fault)
    return None


def fault_of(folder: Path) -> str | None:
    """The first file of a checkpoint that is missing or changed; None where all is as it was written."""
    try:
        said: dict[str, str] = dict(json.loads((folder / _MANIFEST).read_text(encoding="utf-8")))
        files = {name: folder / name for name in {*said, *_FILES}}
        return next((n for n, path in files.items() if not path.is_file() or _digest(path) != said.get(n)), None)
    except (OSError, ValueError, TypeError):
        return _MANIFEST


def _folders(work: Path) -> list[Path]:
    """The checkpoints in a folder, newest first."""
    return sorted(work.glob("step-*"), reverse=True)


def _plain(tensors: Tensors) -> Tensors:
    return {name: tensor.detach().to("cpu").contiguous() for name, tensor in tensors.items()}


def _digest(path: Path) -> str:
    running = blake2b(digest_size=16)
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            running.update(chunk)
    return running.hexdigest()


def _synced_digest(path: Path) -> str:
    with open(path, "rb") as file:
        os.fsync(file.fileno())
    return _digest(path)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

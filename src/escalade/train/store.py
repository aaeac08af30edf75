"""Encoded rows on disk: as many as there are, in as little memory as one chunk takes, tokenised once.

A folder holds the rows' numbers as flat files of int32 with the offsets of each row, and a manifest written last that
names what they were made from. The same records, tokenizer and objective find them again.
"""

from __future__ import annotations

import json
import os
import shutil
from array import array
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from escalade.errors import BadInput
from escalade.protocols import Objective, Row
from escalade.records import Record

_CHUNK = 256
"""Records that one thread encodes at a time."""
_FIELDS = ("ids", "roles", "target")
_MANIFEST = "manifest.json"
_NOT_SETTINGS = ("tokenizer", "cut")
_IN_MEMORY = 1 << 22
"""Up to so many numbers the rows are kept in memory too: 16 MiB."""


@dataclass
class Rows(Sequence[Row]):
    """Encoded rows, read from disk one by one."""

    digest: str
    """Of all rows."""
    lengths: NDArray[np.int64]
    """(rows,): tokens of each, target included."""
    read: NDArray[np.int64]
    """(rows,): tokens of each that are read, target left out."""
    empty: list[str]
    """Ids of the records in which there was nothing to learn."""
    cut: list[str]
    """Ids of the records that were too long."""
    flat: dict[str, NDArray[np.int32]] = field(repr=False)
    offsets: dict[str, NDArray[np.int64]] = field(repr=False)
    names: NDArray[np.uint8] = field(repr=False)

    def __len__(self) -> int:
        """Rows."""
        return len(self.lengths)

    def __getitem__(self, at: Any) -> Any:
        """Row ``at``."""
        if isinstance(at, slice):
            return [self[i] for i in range(*at.indices(len(self)))]
        at = range(len(self))[at]
        ids, roles, target = (self._part(name, self.flat[name], at) for name in _FIELDS)
        name = bytes(self._part("names", self.names, at)).decode()
        return Row(name, tuple(ids), tuple(roles), tuple(target), int(self.offsets["group"][at]))

    def _part(self, name: str, values: NDArray[Any], at: int) -> list[int]:
        start, end = self.offsets[name][at : at + 2]
        made: list[int] = values[start:end].tolist()
        return made


def encoded(objective: Objective, records: Iterable[Record], folder: Path, threads: int = 1) -> Rows:
    """All records as rows, in order, written to ``folder`` and read from there.

    Args:
        objective: Encodes, and knows in ``cut`` (where it has that) which records it cut.
        records: As many as there are; a few chunks of them are held at a time. Rows are found again where the records
            can be read twice (a sequence), or say by an attribute ``digest`` what they are.
        folder: Replaced, unless it holds these very rows.
        threads: That encode side by side; tokenizers work outside of Python's lock.

    Raises:
        BadInput: The disk is full or cannot be written.
    """
    origin = _origin(objective, records)
    if origin is not None and (found := _found(folder, origin)) is not None:
        return found
    temporary = folder.with_name(f".{folder.name}.tmp")
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        with _Writer(temporary) as writer:
            for record, row in _in_order(objective, records, threads):
                writer.add(record, row)
            writer.finish(list(dict.fromkeys(getattr(objective, "cut", ()))), origin or "")
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(temporary, folder)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise BadInput("train.no_checkpoint_room", place=folder, problem=error) from error
    return _opened(folder)


def _in_order(objective: Objective, records: Iterable[Record], threads: int) -> Iterator[tuple[Record, Row | None]]:
    """Each record with its row; at most two chunks a thread are under way."""

    def work(chunk: list[Record]) -> list[tuple[Record, Row | None]]:
        return [(record, objective.encode(record)) for record in chunk]

    source = iter(records)
    with ThreadPoolExecutor(threads) as pool:
        under_way: list[Future[list[tuple[Record, Row | None]]]] = []
        while chunk := list(islice(source, _CHUNK)):
            under_way.append(pool.submit(work, chunk))
            if len(under_way) > 2 * threads:
                yield from under_way.pop(0).result()
        for future in under_way:
            yield from future.result()


class _Writer:
    """Appends rows to the files of a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files = {name: open(folder / f"{name}.bin", "wb") for name in (*_FIELDS, "names")}
        self.ends = {name: array("q", [0]) for name in self.files}
        self.groups = array("q")
        self.empty: list[str] = []
        self.hash = blake2b(digest_size=16)

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, *error: object) -> None:
        for file in self.files.values():
            file.close()

    def add(self, record: Record, row: Row | None) -> None:
        """One record's row, or that it has none."""
        if row is None:
            self.empty.append(record.id)
            return
        parts = {name: np.asarray(getattr(row, name), dtype=np.int32).tobytes() for name in _FIELDS}
        parts["names"] = row.id.encode()
        for name, part in parts.items():
            self.files[name].write(part)
            self.ends[name].append(self.ends[name][-1] + (len(part) if name == "names" else len(part) // 4))
            self.hash.update(len(part).to_bytes(8, "little") + part)
        self.groups.append(row.group)
        self.hash.update(row.group.to_bytes(8, "little"))

    def finish(self, cut: list[str], origin: str) -> None:
        """Offsets, and the manifest last."""
        for file in self.files.values():
            file.flush()
            os.fsync(file.fileno())
        offsets = {name: np.asarray(ends, dtype=np.int64) for name, ends in self.ends.items()}
        offsets["group"] = np.asarray(self.groups, dtype=np.int64)
        np.savez(self.folder / "offsets.npz", allow_pickle=False, **offsets)
        said = {"origin": origin, "digest": self.hash.hexdigest(), "empty": self.empty, "cut": cut}
        (self.folder / _MANIFEST).write_text(json.dumps(said), encoding="utf-8")


def _origin(objective: Objective, records: Iterable[Record]) -> str | None:
    """What rows are made from: the objective with its settings, its tokenizer, and the records; None if not known."""
    said = getattr(records, "digest", None)
    if said is None and not isinstance(records, Sequence):
        return None
    running = blake2b(digest_size=16)
    tokenizer = getattr(objective, "tokenizer", None)
    running.update(settings_of(objective).encode())
    backend = getattr(tokenizer, "backend_tokenizer", None)
    running.update(backend.to_str().encode() if backend is not None else repr(tokenizer).encode())
    for record in (said,) if said is not None else records:
        running.update(repr(record).encode())
    return running.hexdigest()


def settings_of(thing: object) -> str:
    """An objective's settings as text: all its attributes but tokenizer and the list of what it cut, deeply."""
    return repr(_plain(thing))


def _plain(thing: Any) -> Any:
    match thing:
        case np.ndarray():
            return blake2b(thing.tobytes(), digest_size=8).hexdigest()
        case dict():
            return sorted((repr(_plain(key)), repr(_plain(value))) for key, value in thing.items())
        case set() | frozenset():
            return sorted(repr(_plain(one)) for one in thing)
        case list() | tuple():
            return [_plain(one) for one in thing]
        case str() | int() | float() | bytes() | None:
            return thing
    own = {name: _plain(value) for name, value in getattr(thing, "__dict__", {}).items() if name not in _NOT_SETTINGS}
    ours = any(kind.__module__.startswith("escalade") for kind in type(thing).__mro__)
    return [type(thing).__qualname__, sorted(own.items(), key=lambda pair: pair[0]) if ours else []]


def _found(folder: Path, origin: str) -> Rows | None:
    try:
        said = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        if said["origin"] != origin:
            return None
        rows = _opened(folder)
        return rows if _digest(rows) == rows.digest else None
    except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile):
        return None


def _digest(rows: Rows) -> str:
    """The digest of what the files hold now."""
    running = blake2b(digest_size=16)
    for at in range(len(rows)):
        for name in (*_FIELDS, "names"):
            start, end = rows.offsets[name][at : at + 2]
            part = (rows.names if name == "names" else rows.flat[name])[start:end].tobytes()
            running.update(len(part).to_bytes(8, "little") + part)
        running.update(int(rows.offsets["group"][at]).to_bytes(8, "little"))
    return running.hexdigest()


def _opened(folder: Path) -> Rows:
    said = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
    with np.load(folder / "offsets.npz") as stored:
        offsets = {name: stored[name] for name in stored.files}
    flat = {name: _numbers(folder / f"{name}.bin", np.dtype(np.int32)) for name in _FIELDS}
    names = _numbers(folder / "names.bin", np.dtype(np.uint8))
    read, target = np.diff(offsets["ids"]), np.diff(offsets["target"])
    return Rows(said["digest"], read + target, read, said["empty"], said["cut"], flat, offsets, names)


def _numbers(path: Path, dtype: np.dtype[Any]) -> NDArray[Any]:
    """The file's numbers: in memory where they are few, else read as they are asked for."""
    size = path.stat().st_size // dtype.itemsize
    return np.fromfile(path, dtype) if size <= _IN_MEMORY else np.memmap(path, dtype, mode="r")

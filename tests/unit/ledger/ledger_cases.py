"""Small ledgers with real runs, artifacts and notes, and ways of harming them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from escalade.ledger import Bench, Ledger, Run
from escalade.ledger.files import file_name
from escalade.values import Value


class Said(Value):
    text: str
    artifact: str | None = None


def perform(ledger: Ledger, stage: str = "write", text: str = "hello", keep: bool = True, **more: Any) -> Run:
    """A run that keeps one folder with two files."""

    def work(bench: Bench) -> Said:
        if not keep:
            return Said(text=text)
        folder = bench.new("out")
        (folder / "inner").mkdir()
        (folder / "text.txt").write_text(text, encoding="utf-8")
        (folder / "inner" / "numbers.bin").write_bytes(bytes(range(256)))
        return Said(text=text, artifact=bench.keep(folder))

    return ledger.perform(stage, 1, {"text": text}, work, **more)


def run_file(ledger: Ledger, run: Run) -> Path:
    return ledger.root / "runs" / f"{file_name(run.id)}.json"


def edit(path: Path, **changes: Any) -> None:
    """Changes fields of a JSON file, leaving it as well-formed as before."""
    said = json.loads(path.read_bytes())
    assert changes.keys() <= said.keys()
    path.write_text(json.dumps(said | changes, indent=1, ensure_ascii=False), encoding="utf-8")


def flip_bit(path: Path, bit: int = 0) -> None:
    """Flips one bit of a file; its length stays."""
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


def listing(folder: Path) -> dict[str, bytes]:
    """Every file below a folder by its relative path, but the database."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith("index.sqlite")
    }

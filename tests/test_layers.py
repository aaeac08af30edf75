"""The house's floors, read from the source: imports point down, rooms of one floor never meet, torch comes late."""

from __future__ import annotations

import ast
import json
import resource
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "escalade"

GROUND = ("messages", "errors", "values", "records", "protocols", "mistakes", "project", "document")
"""Floor 0, from left to right: each may import what stands to its left."""

FLOORS = (
    ("ledger", "data", "catalogue", "models"),
    ("train", "generate", "evaluate", "plan", "deploy"),
    ("assess", "rungs"),
    ("stages",),
    ("climb", "report"),
    ("web",),
    ("api",),
    ("cli",),
    ("__main__",),
)
"""Floors 1 and up: a room may import any room below, and none beside it."""

RANK = {room: (0, i) for i, room in enumerate(GROUND)} | {
    room: (number, 0) for number, rooms in enumerate(FLOORS, 1) for room in rooms
}

LATE = {"stages", "cli"}
"""Rooms whose functions may import escalade's own modules."""

TORCH_FREE = (
    "escalade",
    "escalade.ledger",
    "escalade.data",
    "escalade.catalogue",
    "escalade.models.describe",
    "escalade.models.hub",
    "escalade.models.manifest",
    "escalade.evaluate",
    "escalade.climb",
    "escalade.report",
    "escalade.api",
    "escalade.cli",
)
HEAVY = ("torch", "transformers", "datasets", "sklearn", "pandas", "pyarrow", "peft")


@dataclass(frozen=True)
class Import:
    """One import of an escalade module: who imports, on which line, what, and where in the file it stands."""

    module: str
    line: int
    imported: str
    inside: bool
    typing_only: bool

    @property
    def place(self) -> str:
        return f"{self.module}:{self.line} imports {self.imported}"


def room_of(module: str) -> str:
    """``escalade.data.read`` stands in the room ``data``."""
    return module.split(".")[1] if "." in module else ""


def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name."""
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        parts = ["escalade", *path.relative_to(SOURCE).with_suffix("").parts]
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def imports_of(module: str, tree: ast.Module) -> list[Import]:
    """Every import of an escalade module in a file, relative ones made absolute."""
    return list(_walk(module, tree, inside=False, typing_only=False))


def _walk(module: str, node: ast.AST, inside: bool, typing_only: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            for name in _names(module, child):
                if name.split(".")[0] == "escalade":
                    yield Import(module, child.lineno, name, inside, typing_only)
        within = inside or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        typed = typing_only or (isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test))
        yield from _walk(module, child, within, typed)


def _names(module: str, node: ast.Import | ast.ImportFrom) -> list[str]:
    """The modules an import statement names: ``from escalade import data`` names ``escalade.data``."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    start = node.module or ""
    if node.level:
        package = module.split(".") if MODULES[module].name == "__init__.py" else module.split(".")[:-1]
        above = package[: len(package) - node.level + 1]
        start = ".".join([*above, start] if start else above)
    return [f"{start}.{a.name}" if f"{start}.{a.name}" in MODULES else start for a in node.names]


IMPORTS = [one for name, path in MODULES.items() for one in imports_of(name, ast.parse(path.read_text("utf-8")))]


def allowed(importer: str, imported: str) -> bool:
    """Whether one room may import another: itself, or whatever lies below."""
    return importer == imported or RANK[imported] < RANK[importer]


def test_every_room_has_a_floor() -> None:
    assert {room_of(name) for name in MODULES} - {""} <= set(RANK)
    assert len(IMPORTS) > 300


def test_imports_point_down_and_rooms_of_one_floor_do_not_meet() -> None:
    wrong = [one.place for one in IMPORTS if room_of(one.module) and not _fits(one)]
    assert not wrong


def _fits(one: Import) -> bool:
    """The package itself is not a room: nothing may import it, for it would hide what is meant."""
    return bool(room_of(one.imported)) and allowed(room_of(one.module), room_of(one.imported))


def test_the_package_itself_imports_no_room_until_asked() -> None:
    assert [one for one in IMPORTS if one.module == "escalade" and not one.inside] == []


def test_only_stages_and_verbs_import_late() -> None:
    late = {one.place for one in IMPORTS if one.inside and room_of(one.module) not in LATE}
    assert not late


@pytest.mark.parametrize(
    ("importer", "imported", "fits"),
    [
        ("errors", "messages", True),
        ("messages", "errors", False),
        ("data", "ledger", False),
        ("models", "values", True),
        ("evaluate", "catalogue", True),
        ("catalogue", "evaluate", False),
        ("train", "generate", False),
        ("rungs", "train", True),
        ("stages", "rungs", True),
        ("rungs", "stages", False),
        ("climb", "report", False),
        ("cli", "api", True),
        ("api", "cli", False),
    ],
)
def test_the_rule_itself_refuses_what_the_house_forbids(importer: str, imported: str, fits: bool) -> None:
    assert allowed(importer, imported) is fits


def test_the_reader_sees_late_typed_and_relative_imports() -> None:
    source = """
from typing import TYPE_CHECKING
from . import table
from escalade import values, __version__
if TYPE_CHECKING:
    from escalade.stages import using
def f():
    import escalade.climb.run
"""
    found = [(i.imported, i.inside, i.typing_only) for i in imports_of("escalade.data.read", ast.parse(source))]
    assert found == [
        ("escalade.data.table", False, False),
        ("escalade.values", False, False),
        ("escalade", False, False),
        ("escalade.stages.using", False, True),
        ("escalade.climb.run", True, False),
    ]


# -- what an import brings with it ----------------------------------------------------------------------------------

LOADED = """
import importlib, json, sys
found = {}
for name in json.loads(sys.argv[1]):
    importlib.import_module(name)
    found[name] = [heavy for heavy in json.loads(sys.argv[2]) if heavy in sys.modules]
print(json.dumps(found))
"""


def loaded_by(names: list[str]) -> dict[str, list[str]]:
    """Which heavy packages are there after each import, in a fresh interpreter and in this order.

    Imports only ever add modules: where nothing heavy is loaded after all of them, no single one loads it.
    """
    command = [sys.executable, "-c", LOADED, json.dumps(names), json.dumps(HEAVY)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, list[str]] = json.loads(done.stdout)
    return found


def test_what_must_answer_at_once_loads_nothing_heavy() -> None:
    late = [name for name in MODULES if name.startswith(("escalade.stages.", "escalade.climb.", "escalade.cli."))]
    assert len(late) > 30
    found = loaded_by([*TORCH_FREE, *late])
    assert {name: heavy for name, heavy in found.items() if heavy} == {}


def test_the_command_line_alone_loads_no_verb() -> None:
    command = [sys.executable, "-X", "importtime", "-c", "import escalade.cli"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    imported = [line.rpartition("|")[2].strip() for line in told.splitlines()]
    assert "escalade.cli" in imported
    assert not [name for name in imported if name.split(".")[0] in ("pydantic", "numpy", "scipy", "rich", *HEAVY)]


def test_help_answers_in_under_half_a_second_of_processor_time() -> None:
    command = [sys.executable, "-c", "from escalade.cli import main; main(['--help'])"]
    taken = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        taken.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        assert "run" in done.stdout
    assert min(taken) < 0.5

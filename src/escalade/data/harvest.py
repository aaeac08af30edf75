"""The built-in example: the documentation of the interpreter's own standard library, read with ``ast`` alone.

Two data sets that everybody has and nobody needs to download: which area of the library reference a docstring
belongs to (``area``), and the first line of a docstring from the code it describes (``summary``).
"""

from __future__ import annotations

import ast
import json
import os
import sysconfig
import textwrap
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from escalade.data.library import areas_of

SHORTEST = 20
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
_LEFT_OUT = frozenset(
    {"test", "tests", "idlelib", "lib2to3", "ensurepip", "site-packages", "dist-packages", "turtledemo"}
)


@dataclass(frozen=True, slots=True)
class Documented:
    """A public function or class with a docstring.

    Args:
        file: Path inside the standard library, with ``/``.
        module: First part of the module's dotted name.
        name: Qualified name inside the file.
        docstring: Cleaned of its indentation.
        code: Signature and body without the docstring; "" where nothing else is in it.
    """

    file: str
    module: str
    name: str
    docstring: str
    code: str


@dataclass(frozen=True)
class Harvest:
    """What was written, and how much.

    Args:
        area: File of the rows docstring, area, file.
        summary: File of the rows code, summary, file.
        area_rows: Rows per area.
        summary_rows: Rows of ``summary``.
        documented: Documented functions and classes found.
        without_area: Rows left out of ``area`` since their module has no area.
        short: Rows left out of ``area`` since the docstring is shorter than 20 characters.
        repeated: Rows left out of ``area`` since the same docstring came before.
    """

    area: Path
    summary: Path
    area_rows: dict[str, int]
    summary_rows: int
    documented: int
    without_area: int
    short: int
    repeated: int


def write(folder: Path) -> Harvest:
    """Writes ``area.jsonl`` and ``summary.jsonl`` into ``folder``; the same interpreter gives the same bytes."""
    found = list(documented(Path(sysconfig.get_paths()["stdlib"])))
    areas = areas_of((d.module, d.file) for d in found)
    placed = [d for d in found if d.module in areas]
    long = [d for d in placed if len(d.docstring) >= SHORTEST]
    distinct = list({d.docstring: d for d in reversed(long)}.values())[::-1]
    area = [{"docstring": d.docstring, "area": areas[d.module], "file": d.file} for d in distinct]
    summary = list(_summaries(found))
    folder.mkdir(parents=True, exist_ok=True)
    counts: dict[str, int] = {}
    for row in area:
        counts[row["area"]] = counts.get(row["area"], 0) + 1
    return Harvest(
        area=_save(area, folder / "area.jsonl"),
        summary=_save(summary, folder / "summary.jsonl"),
        area_rows=dict(sorted(counts.items())),
        summary_rows=len(summary),
        documented=len(found),
        without_area=len(found) - len(placed),
        short=len(placed) - len(long),
        repeated=len(long) - len(distinct),
    )


def documented(library: Path) -> Iterator[Documented]:
    """Every documented public function, class and method below a folder, sorted by file, in the order of the file."""
    for relative in sorted(_public_files(library), key=Path.as_posix):
        path = library / relative
        try:
            with warnings.catch_warnings():
                # Old files hold invalid escapes; they are not ours to mend.
                warnings.simplefilter("ignore")
                content = path.read_bytes().decode("utf-8")
                tree = ast.parse(content)
        except (SyntaxError, ValueError, OSError):
            continue
        lines = content.split("\n")
        documenting = [node for node in _definitions(tree.body) if ast.get_docstring(node, clean=False)]
        file = relative.as_posix()
        module = relative.parts[0].removesuffix(".py")
        for name, node in _public_nodes(tree.body, ""):
            if docstring := _written(ast.get_docstring(node)):
                yield Documented(file, module, name, docstring, _without_docstring(node, documenting, lines))


def _public_files(library: Path) -> Iterator[Path]:
    """Files, relative to the library, below no private folder and none that is left out."""
    for folder, folders, files in os.walk(library):
        folders[:] = [name for name in folders if not name.startswith("_") and name not in _LEFT_OUT]
        for name in files:
            public = not name.startswith("_") or name == "__init__.py"
            if name.endswith(".py") and public and name.removesuffix(".py") not in _LEFT_OUT:
                yield (Path(folder) / name).relative_to(library)


def _definitions(body: Iterable[ast.AST]) -> Iterator[Definition]:
    """Every definition at any depth; expressions, most of a tree, are not entered."""
    for node in body:
        if isinstance(node, Definition):
            yield node
        for inner in ("body", "orelse", "finalbody", "handlers", "cases"):
            if isinstance(members := getattr(node, inner, None), list):
                yield from _definitions(members)


def _public_nodes(body: Iterable[ast.stmt], prefix: str) -> Iterator[tuple[str, Definition]]:
    for node in body:
        if isinstance(node, Definition) and not node.name.startswith("_"):
            yield prefix + node.name, node
            if isinstance(node, ast.ClassDef):
                yield from _public_nodes(node.body, f"{prefix}{node.name}.")


def _written(docstring: str | None) -> str:
    """The docstring if it can be written as UTF-8: a few show lone surrogates."""
    text = (docstring or "").strip()
    try:
        text.encode()
    except UnicodeEncodeError:
        return ""
    return text


def _without_docstring(node: Definition, documenting: Sequence[Definition], lines: Sequence[str]) -> str:
    """Signature and body as they are written, less every docstring in them; "" where nothing else is left."""
    if len(node.body) < 2:
        return ""
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    last = node.end_lineno or node.lineno
    kept = {line: lines[line - 1] for line in range(first, last + 1)}
    for inner in documenting:
        if not node.lineno <= inner.lineno <= last:
            continue
        said = inner.body[0]
        end = said.end_lineno or said.lineno
        alone = lines[said.lineno - 1][: said.col_offset].isspace()
        if not alone or (len(inner.body) > 1 and inner.body[1].lineno == end):
            return ""
        for line in range(said.lineno, end + 1):
            del kept[line]
        if len(inner.body) == 1:
            kept[said.lineno] = " " * said.col_offset + "pass"
    return textwrap.dedent("\n".join(kept[line] for line in sorted(kept))).strip()


def _summaries(found: Iterable[Documented]) -> Iterator[dict[str, str]]:
    seen: set[tuple[str, str]] = set()
    for d in found:
        summary = d.docstring.splitlines()[0].strip()
        if d.code and (d.code, summary) not in seen and _written(d.code):
            seen.add((d.code, summary))
            yield {"code": d.code, "summary": summary, "file": d.file}


def _save(rows: Iterable[dict[str, str]], path: Path) -> Path:
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_text("".join(lines), encoding="utf-8", newline="\n")
    return path

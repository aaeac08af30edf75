"""The built-in example: public, documented, reproducible."""

from __future__ import annotations

import ast
import json
import sys
import time
from collections import defaultdict
from pathlib import Path

import pytest

from escalade.data.harvest import documented, write
from escalade.data.library import FEWEST_FILES, FEWEST_MODULES, MOST_AREAS, areas_of

MODULE = '''
"""Module docstring."""

class Wall:
    """A wall to scale."""

    def climb(self, rung):
        """Climbs one rung.

        And says so.
        """
        # a comment stays
        def inner():
            """Inside."""
        return rung + 1

    def _private(self):
        """Not seen."""

    def __len__(self):
        """Not seen either."""

@decorated
async def scale(): "One line."

def told():
    """Only a docstring."""

def undocumented():
    return 1

class _Hidden:
    """Not public."""
    def method(self):
        """Inside a private class."""
'''


def test_what_is_public_and_documented(tmp_path: Path) -> None:
    for name in (
        "pkg/mod.py",
        "_private.py",
        "test/test_it.py",
        "pkg/_sub/deep.py",
        "site-packages/other.py",
        "idlelib/x.py",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(MODULE)
    (tmp_path / "broken.py").write_text("def (:")
    (tmp_path / "latin.py").write_bytes(b'# \xe9\ndef f():\n    """Doc."""\n')
    found = list(documented(tmp_path))
    assert [(d.file, d.module, d.name) for d in found] == [
        ("pkg/mod.py", "pkg", name) for name in ("Wall", "Wall.climb", "scale", "told")
    ]
    climb = found[1]
    assert climb.docstring == "Climbs one rung.\n\nAnd says so."
    assert (
        climb.code
        == "def climb(self, rung):\n    # a comment stays\n    def inner():\n        pass\n    return rung + 1"
    )
    assert "scale" not in found[0].code and '"""' not in found[0].code and ast.parse(found[0].code)
    assert [d.code for d in found[2:]] == ["", ""]


def test_areas_that_fall_short_are_merged_or_left_out() -> None:
    enough = [
        (m, f"{m}{i}.py") for m in "email json mailbox mimetypes base64 quopri uu binascii".split() for i in range(3)
    ]
    areas = areas_of([*enough, ("re", "re.py"), ("tkinter", "tkinter.py"), ("nobody", "nobody.py")])
    assert areas == {m: "Internet Data" for m in {"re", *(m for m, _ in enough)}}
    assert areas_of([("re", "re.py")]) == {}


@pytest.mark.slow
def test_the_interpreters_own_library(tmp_path: Path) -> None:
    start = time.monotonic()
    found = write(tmp_path / "one")
    assert time.monotonic() - start < 60
    area = [json.loads(line) for line in found.area.read_text(encoding="utf-8").splitlines()]
    assert len(area) == sum(found.area_rows.values()) > 3000
    assert found.documented == len(area) + found.without_area + found.short + found.repeated
    files, modules = defaultdict(set), defaultdict(set)
    for row in area:
        assert set(row) == {"docstring", "area", "file"} and len(row["docstring"]) >= 20
        files[row["area"]].add(row["file"])
        modules[row["area"]].add(row["file"].split("/")[0])
    assert 5 <= len(files) <= MOST_AREAS
    assert all(len(f) >= FEWEST_FILES for f in files.values()) and all(
        len(m) >= FEWEST_MODULES for m in modules.values()
    )
    assert len({row["docstring"] for row in area}) == len(area)
    summary = [json.loads(line) for line in found.summary.read_text(encoding="utf-8").splitlines()]
    assert len(summary) == found.summary_rows > 3000
    for row in summary[::50]:
        assert set(row) == {"code", "summary", "file"} and row["summary"] and "\n" not in row["summary"]
        ast.parse(row["code"])
    again = write(tmp_path / "two")
    assert (
        again.area.read_bytes() == found.area.read_bytes() and again.summary.read_bytes() == found.summary.read_bytes()
    )


def test_nothing_of_the_library_is_imported() -> None:
    before = set(sys.modules)
    for _, node in zip(range(200), documented(Path(ast.__file__).parent), strict=False):
        assert node.docstring
    assert not {"tkinter", "turtle", "antigravity", "distutils"} & (set(sys.modules) - before)

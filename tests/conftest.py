"""What every test can ask for: the real data sets, or a skip that says they are absent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

DATA = Path(os.environ.get("ESCALADE_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))


_BEHIND_THE_CORE = ("parity", "e2e")
"""Folders whose tests are slow as a whole: the core is what must answer within a minute while one writes."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks every test of parity/ and e2e/ as slow."""
    here = Path(__file__).parent
    for item in items:
        if item.path.relative_to(here).parts[0] in _BEHIND_THE_CORE:
            item.add_marker(pytest.mark.slow)


def real_data(name: str) -> Path:
    """The folder of a real data set; skips where it is absent, fails where ESCALADE_REQUIRE_DATA=1 asks for it."""
    folder = DATA / name
    if not folder.exists():
        reason = f"the real data set {name!r} is not at {DATA}"
        if os.environ.get("ESCALADE_REQUIRE_DATA") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return folder


@pytest.fixture
def data_folder() -> object:
    """A function from a data set's name to its folder."""
    return real_data


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages in English unless a test asks otherwise; no colours; nothing leaves this machine."""
    from escalade import messages

    monkeypatch.setenv("ESCALADE_LANG", "en")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    messages.use("en")

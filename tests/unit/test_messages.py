"""Every text that the source asks for is there, in both languages, with the placeholders that it is given."""

from __future__ import annotations

import ast
import re
import string
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from escalade import messages
from escalade.cli import VERBS
from escalade.errors import BadInput

SOURCE = Path(messages.__file__).parents[1]
ROOMS = {path.stem: tomllib.loads(path.read_text("utf-8")) for path in sorted((SOURCE / "messages").glob("*.toml"))}
KNOWN = {f"{room}.{name}": entry for room, entries in ROOMS.items() for name, entry in entries.items()}
KEY = re.compile(rf"(?:{'|'.join(ROOMS)})\.[a-z][a-z0-9_]*")
FAMILIES = {"cli.verb_": VERBS}
"""Keys whose ends are computed: every end there is."""
NO_KEYS = {"report.html"}
"""File names that only look like keys."""


def trees() -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(SOURCE.rglob("*.py")):
        yield path, ast.parse(path.read_text("utf-8"))


TREES = list(trees())


def used_keys() -> dict[str, list[str]]:
    """Every literal that is a key of a room, and where; f-strings stand for their whole family."""
    found: dict[str, list[str]] = defaultdict(list)
    for path, tree in TREES:
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                start = node.values[0].value if node.values and isinstance(node.values[0], ast.Constant) else ""
                for end in FAMILIES.get(str(start), ()):
                    found[f"{start}{end}"].append(f"{path.name}:{node.lineno}")
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and KEY.fullmatch(node.value):
                found[node.value].append(f"{path.name}:{node.lineno}")
    for page in sorted(SOURCE.rglob("*.html")):
        for key in re.findall(rf"""['"]({KEY.pattern})['"]""", page.read_text("utf-8")):
            found[key].append(page.name)
    return {key: places for key, places in found.items() if key not in NO_KEYS | set(FAMILIES)}


USED = used_keys()


def texts(entry: object) -> list[str]:
    """An entry's texts in one language: one, or cause and cure."""
    return [entry] if isinstance(entry, str) else list(entry)  # type: ignore[call-overload]


def placeholders(entry: object) -> set[str]:
    """What ``format`` would fill in; a ValueError where it could not be parsed."""
    return {name for text in texts(entry) for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def calls() -> Iterator[tuple[str, str, set[str]]]:
    """Key, place and names of the facts of every call that gives its facts one by one."""
    for path, tree in TREES:
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and (key := _key_of(node)):
                names = [keyword.arg for keyword in node.keywords]
                if None not in names and "facts" not in names:
                    yield key, f"{path.name}:{node.lineno}", {name for name in names if name}


def _key_of(node: ast.Call) -> str | None:
    """The key of a call such as ``text("room.name", ...)``, ``BadInput("room.name", ...)``, ``say("room.name")``."""
    # Only what formats on the spot: a Refusal or a table of keys carries its facts another way.
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    formats = {"text", "say", "cause_and_cure", "BadInput", "Busy", "NotProven", "OutOfTime", "Interrupted", "Damaged"}
    if name in formats | {"EscaladeError"} and node.args and isinstance(node.args[0], ast.Constant):
        said = node.args[0].value
        return said if isinstance(said, str) and KEY.fullmatch(said) else None
    return None


def test_the_source_was_read() -> None:
    assert len(ROOMS) >= 12 and len(USED) > 250 and len(list(calls())) > 100


def test_every_key_used_is_there() -> None:
    assert {key: places for key, places in USED.items() if key not in KNOWN} == {}


def test_no_text_is_unused() -> None:
    assert sorted(set(KNOWN) - set(USED)) == []


@pytest.mark.parametrize("room", ROOMS)
def test_both_languages_have_the_same_texts_with_the_same_placeholders(room: str) -> None:
    for name, entry in ROOMS[room].items():
        assert set(entry) == set(messages.LANGUAGES), name
        assert len(texts(entry["en"])) == len(texts(entry["zh"])) in (1, 2), name
        assert isinstance(entry["en"], list) == isinstance(entry["zh"], list), name
        assert all(text.strip() for language in entry.values() for text in texts(language)), name
        assert placeholders(entry["en"]) == placeholders(entry["zh"]), name


ONLY_SIGNS = re.compile(r"\{[^}]*\}|`[^`]*`|[\W\d_]")
"""Placeholders, code and signs: what need not be in any language."""


@pytest.mark.parametrize("room", ROOMS)
def test_chinese_texts_are_chinese_and_english_ones_are_not(room: str) -> None:
    for name, entry in ROOMS[room].items():
        for english, chinese in zip(texts(entry["en"]), texts(entry["zh"]), strict=True):
            assert not re.search(r"[\u4e00-\u9fff]", english), name
            # A text of placeholders, code and signs alone has nothing to translate.
            if ONLY_SIGNS.sub("", english):
                assert re.search(r"[\u4e00-\u9fff]", chinese) or english == chinese, name
                assert english != chinese or len(ONLY_SIGNS.sub("", english)) <= 12, name


def test_every_placeholder_is_given_where_the_text_is_asked_for() -> None:
    missing = {
        f"{key} at {place}": sorted(lacking)
        for key, place, given in calls()
        if key in KNOWN and (lacking := placeholders(KNOWN[key]["en"]) - given)
    }
    assert missing == {}


def test_an_error_speaks_the_language_in_use() -> None:
    error = BadInput("project.unknown_key_close", place="escalade.yaml, tsks", key="tsks", close="tasks")
    assert str(error) == "escalade.yaml, tsks: unknown key 'tsks'. did you mean 'tasks'?"
    messages.use("zh")
    assert error.cause == "未知的键 'tsks'" and "tasks" in error.cure
    assert error.to_json().keys() == {"key", "place", "cause", "cure"}


@pytest.mark.parametrize(
    ("chosen", "environment", "expected"),
    [
        ("zh", {}, "zh"),
        ("fr", {}, "en"),
        (None, {"ESCALADE_LANG": "zh"}, "zh"),
        (None, {"LC_ALL": "zh_CN.UTF-8", "LANG": "en_US.UTF-8"}, "zh"),
        (None, {"LC_ALL": "C", "LANG": "zh_CN.UTF-8"}, "en"),
        (None, {"LANG": "zh_TW"}, "zh"),
    ],
)
def test_the_language_comes_from_the_user_then_the_variable_then_the_locale(
    monkeypatch: pytest.MonkeyPatch, chosen: str | None, environment: dict[str, str], expected: str
) -> None:
    for name in ("ESCALADE_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert messages.use(chosen) == expected == messages.language()

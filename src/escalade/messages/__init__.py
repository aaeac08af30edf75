"""User-facing text in every language escalade speaks, one TOML file a room.

An entry of ``messages/<room>.toml`` has the key ``<room>.<name>`` and holds one text per language, the languages
beside each other so that they cannot part company. Errors hold two texts, the cause and the cure::

    [missing_column]
    en = ["there is no column {column!r}; the columns are {columns}", "name one of them under `columns`"]
    zh = ["没有名为 {column!r} 的列；现有的列是 {columns}", "请在 `columns` 下填写其中之一"]

    [rows_read]
    en = "{rows} rows read"
    zh = "读入 {rows} 行"

A test holds that every key used in the source exists, in every language, with the same placeholders.
"""

from __future__ import annotations

import locale
import os
import tomllib
from functools import cache
from pathlib import Path

LANGUAGES = ("en", "zh")
_current = ""


def use(language: str | None) -> str:
    """Sets the language of every later text and returns it; None asks the locale.

    An unknown language falls back to English: a message in the wrong language beats none.
    """
    global _current
    chosen = language or os.environ.get("ESCALADE_LANG") or _from_locale()
    _current = "zh" if chosen.lower().startswith("zh") else "en"
    return _current


def language() -> str:
    """The language in use, taken from the locale at the first question."""
    return _current or use(None)


def text(key: str, /, **facts: object) -> str:
    """The text of ``key`` in the language in use, its placeholders filled from ``facts``."""
    entry = _entry(key)
    return (entry if isinstance(entry, str) else entry[0]).format(**facts)


def in_english(key: str, /, **facts: object) -> str:
    """The English text of ``key``: for what is recorded and must be the same under every locale."""
    entry = _room(key.partition(".")[0])[key.partition(".")[2]]["en"]
    return (entry if isinstance(entry, str) else entry[0]).format(**facts)


def cause_and_cure(key: str, /, **facts: object) -> tuple[str, str]:
    """The two texts of an error in the language in use."""
    entry = _entry(key)
    cause, cure = (entry, "") if isinstance(entry, str) else (entry[0], entry[1])
    return cause.format(**facts), cure.format(**facts)


def _entry(key: str) -> str | list[str]:
    room, _, name = key.partition(".")
    entry: str | list[str] = _room(room)[name][language()]
    return entry


@cache
def _room(room: str) -> dict[str, dict[str, str | list[str]]]:
    return tomllib.loads((Path(__file__).parent / f"{room}.toml").read_text(encoding="utf-8"))


def _from_locale() -> str:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if value := os.environ.get(name):
            return value
    return locale.getlocale()[0] or "en"

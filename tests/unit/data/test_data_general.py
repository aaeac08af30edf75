"""General text: the same sample everywhere, made of prose, and no longer than it may be."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from escalade import data
from escalade.data import general


def test_the_documentation_is_prose_of_many_topics_and_always_the_same() -> None:
    source, texts = data.documentation()
    assert source == f"pydoc_data.topics (Python {platform.python_version()})"
    assert texts == data.documentation()[1] and len(texts) == general.TEXTS
    assert len({text.group for text in texts}) > 15 and len({text.id for text in texts}) == len(texts)
    for text in texts:
        assert 150 <= len(text.text.encode()) <= 600 and text.text[0].isupper() and text.text[-1] == "."
        assert "\n" not in text.text and "***" not in text.text and "::=" not in text.text


def test_a_source_gives_a_fixed_sample_of_texts_cut_short(tmp_path: Path) -> None:
    (tmp_path / "long.txt").write_text("".join(f"{i} " + "word " * 300 + "\n" for i in range(200)), encoding="utf-8")
    texts = data.general_text("long.txt", tmp_path)
    assert texts == data.general_text("long.txt", tmp_path) and len(texts) == general.TEXTS
    assert all(595 <= len(text.text) <= 600 and text.text.endswith("word") for text in texts)


def test_the_same_text_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "twice.txt").write_text("one\ntwo\none\nthree \ntwo\n", encoding="utf-8")
    assert [text.text for text in data.general_text("twice.txt", tmp_path)] == ["one", "two", "three"]


@pytest.mark.parametrize("letter", ["a", "é", "字", "😀"])
def test_a_cut_falls_between_characters(letter: str) -> None:
    short = general.cut(letter * 1000)
    assert set(short) == {letter} and 597 <= len(short.encode()) <= 600
    assert general.cut("  short \n") == "short"


def test_a_lone_surrogate_does_no_harm() -> None:
    assert general.cut("a\ud800b") == "a?b"

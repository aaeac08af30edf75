"""Sentences of any script, without losing a character."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from escalade.data.sentences import joined, sentences


@given(st.text())
@example("A. B。C！\n\n“D.” E")
def test_sentences_join_to_the_text(text: str) -> None:
    parts = sentences(text)
    assert "".join(parts) == text
    assert all(parts)
    assert joined(parts) == text or any(len(part) == len(part.strip()) for part in parts)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("It rained. We left!  Why? No one knows…", ["It rained. ", "We left!  ", "Why? ", "No one knows…"]),
        ("今天下雨。我们走了！为什么？没人知道", ["今天下雨。", "我们走了！", "为什么？", "没人知道"]),
        ("他说：“走吧。”然后走了。", ["他说：“走吧。”", "然后走了。"]),
        ('He said "go." Then (we left.) Done', ['He said "go." ', "Then (we left.) ", "Done"]),
        (
            "Mr. Smith met J. R. Hill. He paid 3.14 dollars, e.g. to us.",
            ["Mr. Smith met J. R. Hill. ", "He paid 3.14 dollars, e.g. to us."],
        ),
        ("यह एक है। वह दो है।", ["यह एक है। ", "वह दो है।"]),
        ("هل تعرف؟ نعم.", ["هل تعرف؟ ", "نعم."]),
        ("a title\nA line\n", ["a title\n", "A line\n"]),
        ("See www.example.com or v1.2 now", ["See www.example.com or v1.2 now"]),
        ("", []),
        ("...", ["..."]),
    ],
)
def test_where_sentences_end(text: str, wanted: list[str]) -> None:
    assert sentences(text) == wanted


def test_stripped_sentences_get_a_blank_between_them_where_their_script_has_one() -> None:
    assert joined(["It rained.", "We left. ", "Why?"]) == "It rained. We left. Why?"
    assert joined(["今天下雨。", "我们走了！"]) == "今天下雨。我们走了！"
    assert joined([]) == ""

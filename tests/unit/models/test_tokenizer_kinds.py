"""Four kinds of tokenizer: alike in every process, saved as any other, and reading back what they say they do."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from escalade.errors import BadInput
from escalade.models.encoding import decode, encode_plain
from escalade.models.tokenizers import KINDS, SPECIAL, train_tokenizer
from escalade.values import Family

TEXTS = ["the cat sat on the mat", "the dog sat on the log", "unbelievable! 天气很好，我们去公园"] * 5
FAMILIES: tuple[Family, ...] = ("encoder", "decoder", "encoder-decoder")
MADE: dict[str, Any] = {kind: train_tokenizer(TEXTS, "decoder", 420, kind) for kind in KINDS}
NAMED = list(SPECIAL["decoder"].values())
ALONE = """
import hashlib
from escalade.models.tokenizers import KINDS, train_tokenizer
for kind in KINDS:
    made = train_tokenizer({texts!r}, "decoder", 420, kind)
    print(hashlib.sha256(made.backend_tokenizer.to_str().encode()).hexdigest())
"""


def test_another_process_makes_the_same_bytes() -> None:
    code = ALONE.format(texts=TEXTS)
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert told == [hashlib.sha256(MADE[kind].backend_tokenizer.to_str().encode()).hexdigest() for kind in KINDS]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_saved_and_opened_like_any_other(kind: str, family: Family, tmp_path: Path) -> None:
    made = train_tokenizer(TEXTS, family, 420, kind)
    assert [made.convert_tokens_to_ids(token) for token in SPECIAL[family].values()] == list(
        range(len(SPECIAL[family]))
    )
    assert len(made) <= 420 and made.is_fast
    made.save_pretrained(tmp_path)
    opened = AutoTokenizer.from_pretrained(tmp_path)
    for text in (TEXTS[0], TEXTS[2], "  new\n\twords 龘😀", ""):
        assert opened(text)["input_ids"] == made(text)["input_ids"]
        assert decode(opened, opened(text)["input_ids"]) == decode(made, made(text)["input_ids"])
    assert opened.all_special_ids == made.all_special_ids and opened.get_vocab() == made.get_vocab()


@settings(deadline=None, max_examples=300)
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\U0010ffff")))
@example("  the  cat▁▂▃ <0x41> <0xE2>\r\n\t")
@example("▁ ▁the 😀👩‍👩‍👧 龘 天气 e\u0301")
def test_any_text_is_read_back(text: str) -> None:
    for kind in ("bpe", "unigram"):
        if not any(name in text for name in NAMED):
            ids = encode_plain(MADE[kind], text)
            assert decode(MADE[kind], ids) == text
            assert MADE[kind].unk_token_id not in ids


@settings(deadline=None)
@given(st.text(st.sampled_from("".join(sorted(set("".join(TEXTS)))))))
def test_known_characters_are_read_back_one_by_one(text: str) -> None:
    ids = encode_plain(MADE["character"], text)
    assert len(ids) == len(text) and decode(MADE["character"], ids) == text


def test_unknown_characters_are_unknown() -> None:
    assert encode_plain(MADE["character"], "t龘龘") == [*encode_plain(MADE["character"], "t"), 3, 3]
    assert encode_plain(MADE["wordpiece"], "the 龘 cat") == [
        *encode_plain(MADE["wordpiece"], "the"),
        3,
        *encode_plain(MADE["wordpiece"], "cat"),
    ]


def test_wordpiece_is_berts() -> None:
    made = train_tokenizer(TEXTS, "encoder", 60, "wordpiece")
    assert made.tokenize("the cats，天气") == ["the", "cat", "##s", "，", "天", "气"]
    assert made.tokenize("THE") == ["[UNK]"]
    lower = train_tokenizer(["Café the"] * 3, "encoder", 60, "wordpiece", lowercase=True)
    assert lower.tokenize("CAFÉ") == lower.tokenize("cafe") and lower.unk_token not in lower.tokenize("CAFÉ")
    # Every letter that may begin a word may go on with one.
    vocabulary = made.get_vocab()
    assert all(f"##{letter}" in vocabulary for letter in "thecasonmd") and "##天" not in vocabulary


def test_unigram_learns_words_and_fills_its_vocabulary() -> None:
    words = [
        f"{a}{b}{c}" for a in ("un", "re", "in") for b in ("form", "port", "view", "light") for c in ("", "s", "ed")
    ]
    made = train_tokenizer([" ".join(words[i::3]) for i in range(3)] * 9, "decoder", 330, "unigram")
    assert 320 <= len(made) <= 330
    assert len(made.tokenize(" unforms")) <= 3 and made.tokenize(" 龘")[-3:] == ["<0xE9>", "<0xBE>", "<0x98>"]


@pytest.mark.parametrize(
    ("key", "kind", "texts", "vocabulary", "more"),
    [
        ("models.not_a_kind", "words", TEXTS, 400, {}),
        ("models.no_lowercase", "bpe", TEXTS, 400, {"lowercase": True}),
        ("models.vocabulary_small", "unigram", TEXTS, 270, {}),
        ("models.vocabulary_small", "wordpiece", TEXTS, 5, {}),
        ("models.vocabulary_small", "character", TEXTS, 5, {}),
        ("models.no_text", "bpe", ["", " \n"], 400, {}),
        ("models.no_text", "unigram", [], 400, {}),
        ("models.no_text", "wordpiece", [""], 400, {}),
        ("models.no_text", "character", [""], 400, {}),
    ],
)
def test_what_cannot_be_learnt_is_refused(
    key: str, kind: str, texts: list[str], vocabulary: int, more: dict[str, Any]
) -> None:
    with pytest.raises(BadInput) as error:
        train_tokenizer(texts, "encoder", vocabulary, kind, **more)
    assert error.value.key == key and str(error.value)

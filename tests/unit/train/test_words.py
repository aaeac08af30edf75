"""Where words begin, by the names of the tokens: the three conventions, Chinese text, and characters that are cut."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from escalade.models.encoding import encode_offsets, encode_plain
from escalade.models.tokenizers import train_tokenizer
from escalade.train.objectives.matrix import filled, matrix
from escalade.train.objectives.words import SENTENCE, WORD, Words, encode_sentences, roles_of

TEXTS = ["unbelievable weather reports today", "the weather today is unbelievable", "今天天气很好，我们去公园"] * 3
KINDS: dict[str, Any] = {
    kind: train_tokenizer(TEXTS, "encoder", 420, kind) for kind in ("bpe", "unigram", "wordpiece", "character")
}
WORDS = {kind: Words(tokenizer) for kind, tokenizer in KINDS.items()}


def words(kind: str, text: str) -> list[str]:
    """The text's words as the tokens of each tell them."""
    ids, offsets = encode_offsets(KINDS[kind], text)
    starts = [start for (start, _), begins in zip(offsets, WORDS[kind].begins(ids), strict=True) if begins]
    return [text[a:b].strip() for a, b in zip(starts, [*starts[1:], len(text)], strict=True)]


@pytest.mark.parametrize("kind", ["bpe", "unigram", "wordpiece"])
@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("unbelievable weather", ["unbelievable", "weather"]),
        ("believing unreportable today", ["believing", "unreportable", "today"]),
        ("weather, today", ["weather", ",", "today"]),
        ("天气 today", ["天", "气", "today"]),
    ],
)
def test_words_are_whole_in_every_convention(kind: str, text: str, wanted: list[str]) -> None:
    found = words(kind, text)
    if kind == "wordpiece" or "天" not in text:
        assert found == wanted
    else:
        # One token may hold several characters; it is one word then.
        assert "".join(found).replace(" ", "") == text.replace(" ", "") and found[-1] == "today"


def test_a_character_of_several_tokens_is_one_word() -> None:
    for kind in ("bpe", "unigram"):
        ids = encode_plain(KINDS[kind], "龘😀é")
        assert len(ids) >= 9
        begins = WORDS[kind].begins(ids)
        assert begins.tolist()[:3] == [True, False, False] and begins.tolist()[3:7] == [True, False, False, False]


def test_letters_after_letters_go_on_and_blanks_belong_to_what_follows() -> None:
    assert words("character", "the  red") == ["the", "", "red"]
    assert words("bpe", "café 2x") == ["café", "2x"]
    assert WORDS["bpe"].begins([]).tolist() == []


def test_wordpiece_follows_the_signs_alone() -> None:
    names = ["[UNK]", "[PAD]", "play", "##ing", "##s", "the", "天", ","]
    made = Tokenizer(models.WordPiece({name: i for i, name in enumerate(names)}, unk_token="[UNK]"))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=made, unk_token="[UNK]", pad_token="[PAD]")
    assert Words(tokenizer).begins([2, 3, 4, 5, 2, 6, 6, 7]).tolist() == [1, 0, 0, 1, 1, 1, 1, 1]


def test_published_tokenizers(data_folder: Any) -> None:
    folder = data_folder("tokenizers")
    gpt2 = Tokenizer(models.BPE.from_file(str(folder / "gpt2/vocab.json"), str(folder / "gpt2/merges.txt")))
    gpt2.pre_tokenizer, gpt2.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    bert = Tokenizer(models.WordPiece.from_file(str(folder / "bert-base-uncased/vocab.txt")))
    bert.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    text = "unbelievably unaffable, isn't it?"
    for backend in (gpt2, bert):
        tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend)
        ids, offsets = encode_offsets(tokenizer, text)
        starts = [start for (start, _), begins in zip(offsets, Words(tokenizer).begins(ids), strict=True) if begins]
        found = [text[a:b].strip() for a, b in zip(starts, [*starts[1:], len(text)], strict=True)]
        # GPT-2 has a token for 't.
        short = ["'t"] if backend is gpt2 else ["'", "t"]
        assert found == ["unbelievably", "unaffable", ",", "isn", *short, "it", "?"] and len(ids) > len(found)


@settings(deadline=None)
@given(st.lists(st.sampled_from(["It rains. ", "We go! ", "天气很好。", "😀 ", "word ", "\n"]), max_size=8))
def test_sentences_begin_at_tokens(parts: list[str]) -> None:
    for tokenizer in KINDS.values():
        ids, firsts = encode_sentences(tokenizer, "".join(parts))
        assert ids == encode_plain(tokenizer, "".join(parts))
        assert firsts == sorted(set(firsts)) and (not ids or firsts[0] == 0) and all(f < len(ids) for f in firsts)
        roles = roles_of(np.ones(len(ids), dtype=bool), firsts)
        assert (roles == SENTENCE).sum() == len(firsts) and (roles >= WORD).all()


def test_the_blank_before_a_sentence_goes_with_it() -> None:
    tokenizer = train_tokenizer(["It ends. It begins. 天气。"] * 5, "encoder", 400)
    ids, firsts = encode_sentences(tokenizer, "It begins. It ends. 天气。很")
    parts = [tokenizer.decode(ids[a:b]) for a, b in zip(firsts, [*firsts[1:], len(ids)], strict=True)]
    assert parts == ["It begins.", " It ends.", " 天气。", "很"]


def test_matrices_are_those_of_lists() -> None:
    rows = [(1, 2, 3), np.array([4]), [5, 6]]
    assert matrix(rows, 9).tolist() == [[1, 2, 3], [4, 9, 9], [5, 6, 9]]
    assert filled(rows).tolist() == [[1, 1, 1], [1, 0, 0], [1, 1, 0]]

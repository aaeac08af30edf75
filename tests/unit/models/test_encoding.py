"""Text to ids and back: framing per family, words, cuts and pieces."""

from __future__ import annotations

from copy import deepcopy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import pre_tokenizers

from conftest import real_data
from escalade.errors import BadInput
from escalade.models.encoding import (
    cut_prompt,
    decode,
    encode_completion,
    encode_prompt,
    encode_words,
    measured_pieces,
    pieces,
)
from escalade.models.load import load_tokenizer
from escalade.models.tokenizers import train_tokenizer

TEXTS = ["the cat sat on the mat", "a dog ran", "天气很好"]
BERT, GPT, T5 = (train_tokenizer(TEXTS, family, 400) for family in ("encoder", "decoder", "encoder-decoder"))  # type: ignore[arg-type]
FAMILIES = [("encoder", BERT), ("decoder", GPT), ("encoder-decoder", T5)]


def bare(tokenizer: object, text: str) -> list[int]:
    return tokenizer(text, add_special_tokens=False)["input_ids"]  # type: ignore[operator, no-any-return]


def test_each_family_is_framed_its_own_way() -> None:
    text = "the cat"
    assert encode_prompt(GPT, "decoder", text, 8) == [GPT.bos_token_id, *bare(GPT, text)]
    assert encode_prompt(BERT, "encoder", text, 8) == [BERT.cls_token_id, *bare(BERT, text), BERT.sep_token_id]
    assert encode_prompt(T5, "encoder-decoder", text, 8) == [*bare(T5, text), T5.eos_token_id]
    assert encode_completion(GPT, text) == [*bare(GPT, text), GPT.eos_token_id]


def test_a_rendered_beginning_is_not_doubled() -> None:
    assert encode_prompt(GPT, "decoder", "<s>the cat") == encode_prompt(GPT, "decoder", "the cat")


def test_a_long_prompt_comes_back_whole() -> None:
    assert len(encode_prompt(GPT, "decoder", "cat " * 50, context=8)) > 50


def test_a_tokenizer_without_end_token_completes_nothing() -> None:
    with pytest.raises(BadInput) as error:
        encode_completion(BERT, "cat")
    assert error.value.key == "models.no_end_token"


def test_a_tokenizer_whose_beginning_is_its_end_adds_it_to_nothing_only() -> None:
    tokenizer = train_tokenizer(TEXTS, "decoder", 300)
    tokenizer.bos_token = tokenizer.eos_token
    assert encode_prompt(tokenizer, "decoder", "cat") == bare(tokenizer, "cat")
    assert encode_prompt(tokenizer, "decoder", "") == [tokenizer.eos_token_id]


@settings(deadline=None, max_examples=60)
@given(st.text(max_size=40).filter(lambda text: "<" not in text and "[" not in text))
def test_any_text_comes_back(text: str) -> None:
    assert decode(GPT, encode_completion(GPT, text)) == text
    for family, tokenizer in FAMILIES:
        assert decode(tokenizer, encode_prompt(tokenizer, family, text)) == text  # type: ignore[arg-type]


def test_the_real_decoder_reads_and_writes_as_it_was_trained() -> None:
    tokenizer = load_tokenizer(real_data("stories260k") / "hf")
    text = "Once upon a time, there was a café."
    ids = encode_prompt(tokenizer, "decoder", text)
    assert ids == tokenizer(text)["input_ids"] and ids[0] == tokenizer.bos_token_id
    assert decode(tokenizer, ids) == text
    assert encode_completion(tokenizer, text)[-1] == tokenizer.eos_token_id == 2


def test_the_real_encoder_decoder_gets_no_frame_but_an_end_to_learn() -> None:
    tokenizer = load_tokenizer(real_data("aren_transliteration") / "hf")
    assert encode_prompt(tokenizer, "encoder-decoder", "آتزمون") == [71, 50, 59, 53, 45, 47]
    assert encode_completion(tokenizer, "atzmon") == [3, 11, 23, 13, 8, 7, 2]
    assert decode(tokenizer, [3, 11, 23, 13, 8, 7, 2]) == "atzmon"


def test_words_carry_their_tag_on_the_first_token() -> None:
    words = ["the", "cat", "sat", "天气"]
    ids, firsts = encode_words(BERT, words)
    assert ids[0] == BERT.cls_token_id and ids[-1] == BERT.sep_token_id
    assert decode(BERT, ids) == "the cat sat 天气"
    assert [BERT.convert_ids_to_tokens(ids[i]) for i in firsts][:3] == ["the", "Ġcat", "Ġsat"]


def test_words_of_sentencepiece_like_tokenizers_get_one_mark_each() -> None:
    tokenizer = load_tokenizer(real_data("stories260k") / "hf")
    ids, firsts = encode_words(tokenizer, ["the", "girl"])
    assert ids == tokenizer("the girl")["input_ids"] and len(firsts) == 2


def test_a_word_of_nothing_is_unknown() -> None:
    ids, firsts = encode_words(BERT, ["cat", "", "sat"])
    assert len(firsts) == 3 and ids[firsts[1]] != ids[firsts[2]]
    assert decode(BERT, ids) == "cat  sat"


@pytest.mark.parametrize("room", [2, 5, 9])
def test_cuts_keep_what_each_family_needs(room: int) -> None:
    text = "the cat sat on the mat a dog ran the cat sat"
    decoder, encoder = encode_prompt(GPT, "decoder", text), encode_prompt(BERT, "encoder", text)
    cut = cut_prompt(GPT, "decoder", decoder, room)
    assert len(cut) == room and cut[0] == GPT.bos_token_id and cut[1:] == decoder[len(decoder) - room + 1 :]
    cut = cut_prompt(BERT, "encoder", encoder, room)
    assert len(cut) == room and cut[-1] == BERT.sep_token_id and cut[:-1] == encoder[: room - 1]
    assert cut_prompt(GPT, "decoder", decoder, 99) == decoder


@settings(deadline=None, max_examples=60)
@given(st.text(max_size=80), st.integers(4, 12))
def test_pieces_join_to_the_text_and_fit(text: str, room: int) -> None:
    made = pieces(GPT, text, room)
    assert "".join(made) == text
    assert all(len(bare(GPT, piece)) <= room for piece in made)


def test_a_long_text_is_cut_before_words_into_the_tokens_it_had() -> None:
    text = "the cat sat on the mat, a dog ran: the cat sat\n\n" * 300
    for tokenizer in (GPT, BERT):
        made = measured_pieces(tokenizer, text, 17)
        assert "".join(piece for piece, _ in made) == text
        assert sum(length for _, length in made) == len(bare(tokenizer, text))
        assert all(length == len(bare(tokenizer, piece)) <= 17 for piece, length in made)


def test_a_cut_does_not_part_a_word_that_fits() -> None:
    text = "zyzzyva quokka axolotl " * 40
    made = pieces(GPT, text, 23)
    assert len(made) > 5 and all(piece.startswith(" ") for piece in made[1:])


def test_a_piece_that_is_longer_by_itself_is_cut_again() -> None:
    # This tokenizer puts a blank before every text, so what was cut within a word has a token more by itself.
    blanked = deepcopy(GPT)
    blanked.backend_tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    text = "zyzzyvaquokkaaxolotl" * 20
    made = measured_pieces(blanked, text, 12)
    assert "".join(piece for piece, _ in made) == text
    assert all(length == len(bare(blanked, piece)) <= 12 for piece, length in made)

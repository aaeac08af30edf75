"""What of a growing output is shown: never half a character or a part of a stop text, and all of it in the end."""

from __future__ import annotations

from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import bytes_tokenizer
from tokenizers import Tokenizer, decoders, models
from transformers import PreTrainedTokenizerFast

from escalade.generate.text import TextSoFar
from escalade.models.encoding import decode


def fallback_tokenizer() -> PreTrainedTokenizerFast:
    """SentencePiece-like: letters, ``▁`` for a blank, and byte-fallback tokens for the rest."""
    names = ["<unk>", *(f"<0x{i:02X}>" for i in range(256)), "▁", *"abcdefgh", "▁a", "▁bc"]
    tokenizer = Tokenizer(
        models.BPE({name: i for i, name in enumerate(names)}, [], unk_token="<unk>", byte_fallback=True)
    )
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>")


BYTES, FALLBACK = bytes_tokenizer(), fallback_tokenizer()


def of_bytes(stop: tuple[str, ...] = ()) -> TextSoFar:
    return TextSoFar(partial(decode, BYTES), lambda token: False, stop)


def of_fallback(stop: tuple[str, ...] = ()) -> TextSoFar:
    return TextSoFar(partial(decode, FALLBACK), lambda token: token <= 256, stop)


def shown(text: TextSoFar, ids: list[int]) -> list[str]:
    pieces = []
    for token in ids:
        if text.add(token):
            break
        pieces.append(text.ready())
    return [*pieces, text.rest()]


def ids_of(text: str) -> list[int]:
    ids: list[int] = BYTES(text, add_special_tokens=False)["input_ids"]
    return ids


def test_a_character_is_shown_when_it_is_whole() -> None:
    assert shown(of_bytes(), ids_of("a你b")) == ["a", "", "", "你", "b", ""]


def test_a_run_of_fallback_bytes_is_shown_when_it_has_ended() -> None:
    run = [1 + byte for byte in "你好".encode()]
    letter = FALLBACK.get_vocab()["a"]
    assert shown(of_fallback(), [*run, letter]) == [""] * 6 + ["你好a", ""]
    # a byte that makes the run wrong changes all of it, and nothing of it was shown
    pieces = shown(of_fallback(), [letter, *run, 1 + 0xFF])
    assert pieces[0] == "a" and not any(pieces[1:-1]) and set(pieces[-1]) == {"\ufffd"}


def test_a_special_token_does_not_end_a_run_of_bytes() -> None:
    assert shown(of_fallback(), [1, 0, 1 + 0xFF]) == ["", "", "", "\ufffd\ufffd"]


def test_the_beginning_of_a_stop_text_is_held_back() -> None:
    assert shown(of_bytes(("xyz",)), ids_of("axyxyz!")) == ["a", "", "", "xy", "", ""]
    assert shown(of_bytes(("xyz",)), ids_of("axy")) == ["a", "", "", "xy"]


def test_the_first_of_several_stop_texts_cuts() -> None:
    text = of_bytes(("cd", "b"))
    assert "".join(shown(text, ids_of("abcd"))) == "a" == text.whole()


def test_a_stop_text_inside_fallback_bytes_ends_at_once() -> None:
    text = of_fallback(("\n",))
    assert not text.add(FALLBACK.get_vocab()["a"])
    assert text.add(1 + 0x0A) and text.whole() == "a"


def test_an_empty_stop_text_is_none() -> None:
    assert "".join(shown(of_bytes(("",)), ids_of("abc"))) == "abc"


stops = st.lists(st.text("ab你 \n", min_size=1, max_size=4), max_size=3).map(tuple)


@pytest.mark.parametrize("make", [of_bytes, of_fallback])
@settings(deadline=None, max_examples=80)
@given(data=st.data())
def test_pieces_join_to_the_whole_whatever_the_tokens(make: type[TextSoFar], data: st.DataObject) -> None:
    size = 256 if make is of_bytes else len(FALLBACK)
    stop = data.draw(stops)
    ids = data.draw(st.lists(st.integers(0, size - 1), max_size=30))
    text = make(stop)  # type: ignore[arg-type]
    pieces = shown(text, ids)
    assert "".join(pieces) == text.whole()
    assert not any(found in text.whole() for found in stop)


@settings(deadline=None, max_examples=80)
@given(st.text(max_size=20), stops)
def test_real_text_is_never_shown_broken(written: str, stop: tuple[str, ...]) -> None:
    pieces = shown(of_bytes(stop), ids_of(written))
    found = [(at + len(s), at) for s in stop if (at := written.find(s)) >= 0]
    # the stop text that is complete first ends the output, be another one begun before it
    cut = min((at for end, at in found if end == min(found)[0]), default=len(written))
    assert "".join(pieces) == written[:cut]
    assert all("\ufffd" not in piece for piece in pieces) or "\ufffd" in written

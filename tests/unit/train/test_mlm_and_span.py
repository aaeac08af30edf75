"""Masking and span corruption against their specifications."""

from __future__ import annotations

import copy
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from escalade.errors import BadInput
from escalade.models.tokenizers import train_tokenizer
from escalade.protocols import Row
from escalade.records import Text
from escalade.train.losses import IGNORE
from escalade.train.objectives.mlm import Mlm
from escalade.train.objectives.span import Span, sizes, source_length, target_length

TEXTS = ["the cat sat on the mat and looked at the moon", "我们今天去公园看花"]
ENCODER = train_tokenizer(TEXTS, "encoder", 300)
T5 = train_tokenizer(TEXTS, "encoder-decoder", 400)


def masked(rows: int, length: int) -> list[tuple[int, int, int]]:
    """(position's id, id read, label) of every position of many masked rows."""
    objective, draw = Mlm(ENCODER, length), random.Random(0)
    cls, sep = ENCODER.cls_token_id, ENCODER.sep_token_id
    made = []
    for i in range(rows):
        ids = (cls, *(draw.randrange(5, 280) for _ in range(length - 2)), sep)
        batch = objective.collate([Row(str(i), ids, roles=(0, *[1] * (length - 2), 0))], [i])
        made += list(zip(ids, batch["ids"][0].tolist(), batch["labels"][0].tolist(), strict=True))
    return made


@pytest.mark.slow
def test_masking_has_the_rates_of_bert() -> None:
    places = masked(rows=1400, length=512)
    chosen = [(was, read) for was, read, label in places if label != IGNORE]
    assert len(chosen) >= 1e5
    assert len(chosen) / len(places) == pytest.approx(0.15, abs=0.002)
    assert all(label == was for was, _, label in places if label != IGNORE)
    assert all(was == read for was, read, label in places if label == IGNORE)
    assert not {was for was, _ in chosen} & set(ENCODER.all_special_ids)
    hidden = sum(read == ENCODER.mask_token_id for _, read in chosen)
    same = sum(read == was for was, read in chosen)
    # A random token is by chance the one it replaces once in as many times as there are ordinary tokens.
    ordinary = len(ENCODER) - len(ENCODER.all_special_ids)
    n = len(chosen)
    expected = [0.8 * n, 0.1 * n * (1 + 1 / ordinary), 0.1 * n * (1 - 1 / ordinary)]
    assert chisquare([hidden, same, n - hidden - same], expected).pvalue > 0.001


def test_masking_differs_from_seed_to_seed_and_always_hides_something() -> None:
    objective = Mlm(ENCODER, 64)
    row = objective.encode(Text("a", "cat"))
    assert row is not None
    labels = [tuple(objective.collate([row], [seed])["labels"][0].tolist()) for seed in range(12)]
    assert all(any(label != IGNORE for label in one) for one in labels)
    long = objective.encode(Text("b", TEXTS[0]))
    assert long is not None
    assert len({tuple(objective.collate([long], [seed])["labels"][0].tolist()) for seed in range(12)}) > 6


def test_a_text_of_special_tokens_only_teaches_nothing_and_a_long_one_is_cut_and_named() -> None:
    objective = Mlm(ENCODER, 8)
    assert objective.encode(Text("empty", "")) is None
    row = objective.encode(Text("long", TEXTS[0] * 3))
    assert row is not None and len(row.ids) == 8 and objective.cut == ["long"]
    assert row.ids[0] == ENCODER.cls_token_id and row.ids[-1] == ENCODER.sep_token_id


def test_objectives_say_which_token_is_missing() -> None:
    without = copy.deepcopy(T5)
    without.mask_token = None
    with pytest.raises(BadInput) as error:
        Mlm(without, 8)
    assert error.value.key == "train.no_mask_token"
    with pytest.raises(BadInput) as error:
        Span(ENCODER, 8)
    assert error.value.key == "train.no_sentinels"


@pytest.mark.parametrize(
    ("raw", "source", "target"), [(141, 128, 29), (284, 256, 58), (568, 512, 114), (1137, 1024, 229)]
)
def test_span_lengths_are_those_of_the_paper(raw: int, source: int, target: int) -> None:
    assert (source_length(raw), target_length(raw)) == (source, target)
    objective = Span(T5, source)
    made = objective.corrupt([300 + i % 50 for i in range(raw)], seed=raw)
    assert (len(made[0]), len(made[1])) == (source, target)
    assert objective.room == raw


@settings(deadline=None, max_examples=40)
@given(st.integers(2, 400), st.integers(0, 2**32))
def test_source_and_target_together_are_the_text(length: int, seed: int) -> None:
    ids = [1000 + i for i in range(length)]
    source, target = (part.tolist() for part in Span(T5, 512).corrupt(ids, seed))
    end, sentinels = T5.eos_token_id, [T5.convert_tokens_to_ids(f"<extra_id_{k}>") for k in range(100)]
    assert source[-1] == target[-1] == end
    spans: dict[int, list[int]] = {}
    for token in target[:-1]:
        if token in sentinels:
            spans[token] = []
            last = token
        else:
            spans[last].append(token)
    restored = [t for token in source[:-1] for t in (spans[token] if token in spans else [token])]
    assert restored == ids
    assert list(spans) == sentinels[: len(spans)]
    assert source[0] == ids[0] and all(spans.values())
    assert sum(map(len, spans.values())), len(spans) == sizes(length)


def test_spans_fall_everywhere_alike() -> None:
    objective = Span(T5, 128)
    ids = [1000 + i for i in range(60)]
    hidden = [0] * 60
    for seed in range(1500):
        kept = set(objective.corrupt(ids, seed)[0])
        for i, token in enumerate(ids):
            hidden[i] += token not in kept
    # Three spans of nine tokens: the first place is never hidden, the last always is; between them no place is favoured
    # beyond what partitions into positive parts imply.
    assert hidden[0] == 0 and hidden[-1] == 1500
    assert sum(hidden) == 9 * 1500
    middle = hidden[15:45]
    assert max(middle) < 1.6 * min(middle)

"""Masking and span corruption against their specifications."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from escalade.errors import BadInput
from escalade.models.encoding import encode_plain
from escalade.models.tokenizers import SPECIAL, train_tokenizer
from escalade.protocols import Row
from escalade.records import Text
from escalade.train.losses import IGNORE
from escalade.train.objectives.clm import Clm
from escalade.train.objectives.mlm import Mlm
from escalade.train.objectives.span import Span, sizes, source_length, target_length
from escalade.train.objectives.words import PIECE

TEXTS = ["the cat sat on the mat and looked at the moon", "我们今天去公园看花"]
ENCODER = train_tokenizer(TEXTS, "encoder", 300)
T5 = train_tokenizer(TEXTS, "encoder-decoder", 400)
KINDS = {kind: train_tokenizer(TEXTS * 3, "encoder", 420, kind) for kind in ("bpe", "wordpiece", "unigram")}


def pieces() -> PreTrainedTokenizerFast:
    """A WordPiece tokenizer whose pieces are known: play ##ing ##s, cat ##s."""
    names = [*SPECIAL["encoder"].values(), "play", "##ing", "##s", "the", "cat", "天", ","]
    made = Tokenizer(models.WordPiece({name: i for i, name in enumerate(names)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    ends = [("[CLS]", 2), ("[SEP]", 3)]
    made.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    return PreTrainedTokenizerFast(tokenizer_object=made, **SPECIAL["encoder"])


PIECES = pieces()


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


@pytest.mark.slow
@pytest.mark.parametrize("rate", [0.15, 0.3])
def test_whole_words_are_hidden_at_the_rate_and_each_piece_meets_its_own_fate(rate: float) -> None:
    objective, draw = Mlm(PIECES, 256, rate=rate, whole_word=True), random.Random(0)
    ordinary = len(PIECES) - len(PIECES.all_special_ids)
    chosen, fates, mixed = 0, [0, 0, 0], 0
    rows = 2700 if rate < 0.2 else 1400
    text = [draw.choice(["playing", "plays", "the", "cat", "天", "cats", ","]) for _ in range(3000)]
    row = None
    for i in range(rows):
        begin = draw.randrange(2500)
        row = objective.encode(Text(str(i), " ".join(text[begin : begin + 400])))
        assert row is not None and len(row.ids) == 256
        batch = objective.collate([row], [i])
        was, read, labels = row.ids, batch["ids"][0].tolist(), batch["labels"][0].tolist()
        hidden = [label != IGNORE for label in labels]
        chosen += sum(hidden)
        for at in range(256):
            if not hidden[at]:
                assert was[at] == read[at]
                continue
            assert labels[at] == was[at]
            fates[0 if read[at] == PIECES.mask_token_id else 1 if read[at] == was[at] else 2] += 1
            # A piece is hidden with the piece before it, and only then.
            if row.roles[at] == PIECE:
                assert hidden[at - 1]
                mixed += (read[at] == PIECES.mask_token_id) != (read[at - 1] == PIECES.mask_token_id)
            if at < 255 and row.roles[at + 1] == PIECE:
                assert hidden[at + 1]
    assert chosen >= 1e5 and chosen / (rows * 256) == pytest.approx(rate, abs=0.002)
    expected = [0.8 * chosen, 0.1 * chosen * (1 + 1 / ordinary), 0.1 * chosen * (1 - 1 / ordinary)]
    assert chisquare(fates, expected).pvalue > 0.001
    assert mixed > 1000


def test_a_word_longer_than_the_number_to_hide_is_passed_over() -> None:
    objective = Mlm(PIECES, 32, whole_word=True)
    assert len(encode_plain(PIECES, "playing")) == 2
    assert objective.encode(Text("a", "playing playing")) is None
    row = objective.encode(Text("b", "playing cat playing"))
    assert row is not None and row.roles == (0, 2, 1, 2, 2, 1, 0)
    for seed in range(20):
        labels = objective.collate([row], [seed])["labels"][0].tolist()
        assert [at for at, label in enumerate(labels) if label != IGNORE] == [3]


@settings(deadline=None, max_examples=40)
@given(st.text(max_size=80), st.integers(0, 2**60), st.booleans(), st.sampled_from(["bpe", "wordpiece", "unigram"]))
def test_any_text_is_restored_by_its_labels(text: str, seed: int, whole: bool, kind: str) -> None:
    objective = Mlm(KINDS[kind], 64, whole_word=whole)
    row = objective.encode(Text("a", text))
    if row is None:
        return
    batch = objective.collate([row], [seed])
    pairs = zip(batch["ids"][0].tolist(), batch["labels"][0].tolist(), strict=True)
    assert [read if label == IGNORE else label for read, label in pairs] == list(row.ids)
    count = int((batch["labels"] != IGNORE).sum())
    assert 0 < count <= max(1, round(0.15 * len(row.ids)))
    assert whole or count == min(max(1, round(0.15 * len(row.ids))), sum(row.roles))


def test_static_masks_are_so_many_and_follow_from_the_rows_id_alone() -> None:
    objective, other = Mlm(ENCODER, 64, dynamic=False, copies=4), Mlm(ENCODER, 64, dynamic=False, copies=4)
    row, same = objective.encode(Text("a", TEXTS[0])), other.encode(Text("b", TEXTS[0]))
    assert row is not None and same is not None

    def masks(objective: Mlm, row: Row) -> list[tuple[int, ...]]:
        return [tuple(objective.collate([row], [seed])["labels"][0].tolist()) for seed in range(40)]

    found = masks(objective, row)
    assert len(set(found)) == 4 and found[:4] == found[4:8] and found == masks(other, row)
    assert set(masks(other, same)) != set(found)


@pytest.mark.parametrize(
    ("key", "attempt"),
    [
        ("train.context_small", lambda: Mlm(ENCODER, 2)),
        ("train.not_a_share", lambda: Mlm(ENCODER, 64, rate=15)),
        ("train.not_positive", lambda: Mlm(ENCODER, 64, dynamic=False, copies=0)),
        ("train.context_small", lambda: Span(T5, 2)),
        ("train.context_small", lambda: Clm(T5, 1)),
        ("train.few_sentinels", lambda: Span(T5, 2048)),
    ],
)
def test_what_cannot_work_is_refused_before_training(key: str, attempt: Callable[[], object]) -> None:
    with pytest.raises(BadInput) as error:
        attempt()
    assert error.value.key == key and str(error.value)


def test_the_longest_context_that_the_sentinels_allow_is_told() -> None:
    with pytest.raises(BadInput) as error:
        Span(T5, 2048)
    most = int(error.value.facts["most"])
    assert Span(T5, most).room > 1900
    with pytest.raises(BadInput):
        Span(T5, most + 1)


def test_barts_tokenizer_takes_spans_too() -> None:
    bart = train_tokenizer(TEXTS, "encoder-decoder", 420, architecture="bart")
    objective = Span(bart, 24)
    row = objective.encode(Text("a", TEXTS[0] * 4))
    assert row is not None and objective.cut == ["a"]
    batch = objective.collate([row], [0])
    source = batch["ids"][0].tolist()
    assert len(source) == 24 and source[0] == bart.bos_token_id and source[-1] == bart.eos_token_id


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
    assert (sum(map(len, spans.values())), len(spans)) == sizes(length)


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

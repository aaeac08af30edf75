"""Pairs of segments and their prediction, against what BERT's data were made by."""

from __future__ import annotations

import random
from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from escalade.catalogue.dial import Network
from escalade.errors import BadInput
from escalade.models import presets
from escalade.models.encoding import encode_plain
from escalade.models.load import load_model
from escalade.models.save import save_model
from escalade.models.tokenizers import train_tokenizer
from escalade.records import Segments, Text, from_json, input_text, output_text, to_json
from escalade.train.losses import IGNORE
from escalade.train.objectives.nsp import Nsp, _bounds, _of_document, instances, logits
from escalade.train.pretraining import Pretraining, _held_apart, _sentence_pairs

WORDS = [f"w{chr(97 + i)}{chr(97 + k)}" for i in range(26) for k in range(10)]
TOKENIZER = train_tokenizer([" ".join(WORDS)] * 2, "encoder", 700, "wordpiece")


def documents(count: int, sentences: int, words: int = 4, seed: int = 0) -> list[list[str]]:
    """Documents of distinct words each, so that a word tells its document."""
    draw = random.Random(seed)
    return [
        [" ".join(draw.choice(WORDS[d * 10 : d * 10 + 10]) for _ in range(words)) for _ in range(sentences)]
        for d in range(count)
    ]


def counted(texts: list[list[str]], tokens: int) -> list[list[tuple[str, int]]]:
    return [[(sentence, tokens) for sentence in document] for document in texts]


def owners(text: str) -> set[int]:
    return {WORDS.index(word) // 10 for word in text.split()}


def test_pairs_follow_or_come_from_another_document() -> None:
    texts = documents(20, 40)
    made = instances(texts, TOKENIZER, 64, seed=1, copies=10)
    assert len({one.id for one in made}) == len(made) > 800
    for one in made:
        assert one.group is not None
        home = int(one.group.split(":")[1])
        assert owners(one.first) == {home}
        assert (owners(one.second) == {home}) is one.follows and len(owners(one.second)) == 1
        assert len(encode_plain(TOKENIZER, one.first)) + len(encode_plain(TOKENIZER, one.second)) <= 61
        if one.follows:
            whole = " ".join(texts[home])
            assert f"{one.first} {one.second}" in whole or one.second in whole.split(one.first, 1)[1]
    # The last chunk of a document often has one sentence only, which is always paired with a random one.
    assert 0.5 < sum(not one.follows for one in made) / len(made) < 0.62


def test_a_random_second_segment_comes_from_any_other_document_alike() -> None:
    made = instances(documents(6, 30), TOKENIZER, 40, seed=3, copies=60)
    taken: Counter[int] = Counter()
    for one in made:
        if not one.follows and one.group == "document:2":
            taken[owners(one.second).pop()] += 1
    assert sum(taken.values()) > 120 and set(taken) == {0, 1, 3, 4, 5}
    assert chisquare(list(taken.values())).pvalue > 0.001


def test_documents_of_one_sentence_are_always_paired_at_random() -> None:
    made = instances([["wab wac"], ["wba wbc"], ["wca", " ", ""]], TOKENIZER, 32, seed=0, copies=5)
    assert len(made) == 15 and not any(one.follows for one in made)


def test_what_a_random_segment_left_unused_is_put_back() -> None:
    texts = documents(5, 30)
    made = instances(texts, TOKENIZER, 400, seed=2)
    # Every sentence of a document is in some pair that follows, or begins another A.
    for d, document in enumerate(texts):
        mine = [one for one in made if one.group == f"document:{d}"]
        read = " ".join(f"{one.first} {one.second}" if one.follows else one.first for one in mine)
        assert all(sentence in read for sentence in document)


def test_the_first_segment_ends_anywhere_alike() -> None:
    # Ten sentences that fill the target exactly: A has one to nine of them.
    texts = counted(documents(2, 10, words=3), 3)
    seams: Counter[int] = Counter()
    for seed in range(4000):
        first, second, follows = _of_document(texts, 0, 30, random.Random(seed))[0]
        if follows and len(first) + len(second) == 10:
            seams[len(first)] += 1
    assert set(seams) == set(range(1, 10)) and sum(seams.values()) > 1500
    assert chisquare(list(seams.values())).pvalue > 0.001


def test_one_document_in_ten_has_a_shorter_target() -> None:
    texts = counted(documents(2, 40, words=1), 1)
    lengths = []
    for seed in range(8000):
        first, second, follows = _of_document(texts, 0, 30, random.Random(seed))[0]
        if follows:
            lengths.append(len(first) + len(second))
    short = Counter(length for length in lengths if length < 30)
    # A target of 30 is drawn among the short ones too, once in 29 times.
    assert short.total() / len(lengths) == pytest.approx(0.1 * 28 / 29, abs=0.02)
    assert set(short) == set(range(2, 30)) and chisquare(list(short.values())).pvalue > 0.001


def test_truncation_takes_from_the_longer_side_and_both_ends_alike() -> None:
    draw, fronts = random.Random(0), 0
    for _ in range(400):
        (a, b), (c, d) = _bounds(80, 30, 60, draw)
        assert (b - a, d - c) == (30, 30)
        fronts += a
    assert fronts / 400 == pytest.approx(25, abs=0.8)
    assert _bounds(5, 5, 20, draw) == [(0, 5), (0, 5)]


def test_the_same_seed_gives_the_same_pairs_and_another_gives_others() -> None:
    texts = documents(4, 20)
    one, two, other = (instances(texts, TOKENIZER, 48, seed) for seed in (1, 1, 2))
    assert one == two != other
    assert [from_json(Segments, to_json(s)) for s in one] == one
    assert input_text(one[0]) and {output_text(s) for s in one} <= {"next", "random"}


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.lists(st.text(max_size=20) | st.sampled_from(["天气很好。", "😀 wab"]), max_size=5), max_size=4),
    st.integers(5, 40),
    st.integers(0, 2**30),
)
def test_any_documents_give_pairs_that_fit(texts: list[list[str]], context: int, seed: int) -> None:
    full = [*texts, ["wab wac", "wad"], ["wba"]]
    objective = Nsp(TOKENIZER, context)
    for one in instances(full, TOKENIZER, context, seed):
        row = objective.encode(one)
        if row is None:
            said = encode_plain(TOKENIZER, f"{one.first} {one.second}")
            assert set(said) == {TOKENIZER.unk_token_id}
            continue
        assert len(row.ids) <= context
        assert row.ids[0] == TOKENIZER.cls_token_id and row.ids[row.group - 1] == TOKENIZER.sep_token_id
        assert row.target == (int(not one.follows),)


def test_both_terms_and_the_segments_of_a_batch(tmp_path: Any) -> None:
    objective = Nsp(TOKENIZER, 32)
    rows = [
        objective.encode(Segments("a", "wab wac wad", "wae", True)),
        objective.encode(Segments("b", "wba", "wbc wbd", False)),
    ]
    assert all(rows)
    batch = objective.collate(rows, [1, 2])  # type: ignore[arg-type]
    assert batch["types"].tolist() == [[0, 0, 0, 0, 0, 1, 1], [0, 0, 0, 1, 1, 1, 0]]
    assert batch["random"].tolist() == [0, 1]
    assert objective.counts(batch) == {"token": 2, "pair": 2}
    model = presets.create(presets.preset("encoder", "50K", len(TOKENIZER), 32), 1, "pretrain")
    tokens, pairs = logits(model, batch)
    with torch.no_grad():
        whole = model(input_ids=batch["ids"], attention_mask=batch["mask"], token_type_ids=batch["types"])
    assert torch.allclose(tokens, whole.prediction_logits[batch["labels"] != IGNORE], atol=1e-6)
    assert torch.allclose(pairs, whole.seq_relationship_logits, atol=1e-6)
    loss = sum(objective.totals({"policy": model}, batch).values())
    loss.backward()  # type: ignore[union-attr]
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.cls.parameters())
    save_model(model, TOKENIZER, tmp_path)
    again = load_model(tmp_path, "pretrain")
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))
    assert load_model(tmp_path, "mask", new_head=False).config.model_type == "bert"


def test_bad_input_is_refused() -> None:
    decoder = train_tokenizer(["wab"], "decoder", 300)
    decoder.mask_token = "<unk>"
    model = presets.create(presets.preset("encoder", "50K", len(TOKENIZER), 32), 1)
    objective = Nsp(TOKENIZER, 32)
    row = objective.encode(Segments("a", "wab", "wac", True))
    assert row is not None
    tries: list[tuple[str, Any]] = [
        ("train.no_pair_tokens", lambda: Nsp(decoder, 32)),
        ("train.no_pair_tokens", lambda: instances(documents(2, 2), decoder, 32, 0)),
        ("train.context_small", lambda: Nsp(TOKENIZER, 4)),
        ("train.context_small", lambda: instances(documents(2, 2), TOKENIZER, 4, 0)),
        ("train.one_document", lambda: instances([["wab"], [" "], []], TOKENIZER, 32, 0)),
        ("train.wrong_record", lambda: objective.encode(Text("t", "wab"))),
        ("train.no_pair_head", lambda: objective.totals({"policy": model}, objective.collate([row], [0]))),
        (
            "models.no_head",
            lambda: presets.create(presets.preset("encoder", "50K", 300, 32, "modernbert"), 1, "pretrain"),
        ),
    ]
    for key, attempt in tries:
        with pytest.raises(BadInput) as error:
            attempt()
        assert error.value.key == key and str(error.value)
    assert objective.encode(Segments("e", "", "wac", True)) is None
    cut = Nsp(TOKENIZER, 8)
    short = cut.encode(Segments("long", "wab wac wad wae", "wba wbc wbd wbe", False))
    assert short is not None and len(short.ids) == 8 and cut.cut == ["long"]


@pytest.mark.parametrize(("count", "held_out"), [(2, 0), (7, 0), (8, 2), (40, 2), (200, 10)])
def test_whole_documents_are_held_out(count: int, held_out: int) -> None:
    """A sentence held out is no other pair's random second segment."""
    wanted = Pretraining("encoder", "1M", "mlm+nsp")
    network = Network("encoder", parameters=500_000, total=10**6, layers=2, width=128, vocabulary=4000, context=64)
    layout: Any = SimpleNamespace(network=network, tokens=10**9)
    named = [" ".join(f"D{i} {sentence}." for sentence in part) for i, part in enumerate(documents(1, 12) * count)]
    learnt, held = _held_apart(named, 20, seed=1)
    assert held_out <= len(held) <= held_out * 1.5 and sorted(learnt + held) == sorted(named)
    seen = []
    for some in (learnt, held):
        pairs = _sentence_pairs(some, TOKENIZER, wanted, layout)
        texts = " ".join(f"{pair.first} {pair.second}" for pair in pairs)
        seen.append({word for word in texts.split() if word.startswith("D")})
        assert len(seen[-1]) == len(some)
    assert not seen[0] & seen[1]

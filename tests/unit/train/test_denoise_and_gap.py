"""Denoising and gap sentences against their specifications."""

from __future__ import annotations

import copy
import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare, poisson

from escalade.data.sentences import sentences
from escalade.errors import BadInput
from escalade.models import presets
from escalade.models.encoding import decode, encode_plain
from escalade.models.tokenizers import train_tokenizer
from escalade.protocols import Row
from escalade.records import Text
from escalade.train.objectives.denoise import NOISES, Denoise, span_lengths
from escalade.train.objectives.gap import Gap, overlap_f1, principal
from escalade.train.objectives.words import PIECE, SENTENCE, WORD, encode_sentences

TEXTS = ["The cat sat. The cat looked at the moon! Why?", "我们今天去公园看花。天气很好！"] * 3
T5 = train_tokenizer(TEXTS, "encoder-decoder", 420)
BART = train_tokenizer(TEXTS, "encoder-decoder", 420, architecture="bart")
MASK = T5.mask_token_id
FREE = st.text(st.characters(exclude_categories=["Cs"]), max_size=60) | st.lists(
    st.sampled_from(["The cat. ", "我们看花。", "😀👩‍👩‍👧 ", "moon ", "! "]), max_size=12
).map("".join)


def row(words: int, pieces: int = 1, sentence: int = 5) -> Row:
    """A row of different tokens: so many words of so many tokens each, so many words a sentence."""
    roles = [PIECE if k else SENTENCE if w % sentence == 0 else WORD for w in range(words) for k in range(pieces)]
    ids = tuple(range(1000, 1000 + len(roles)))
    return Row("r", ids, roles=tuple(roles), target=(*ids, 1))


def spans(ids: Sequence[int], source: Sequence[int]) -> list[list[int]]:
    """Runs of the text's tokens that are missing in the source, one for each run of masks."""
    at, hidden = 0, []
    for token in [*source, None]:
        if token == MASK:
            hidden.append([])
            continue
        stop = len(ids) if token is None else list(ids).index(token)
        if stop > at:
            hidden[-1] += ids[at:stop]
        at = stop + 1
    return hidden


def span_objective(noises: Sequence[str], context: int = 4000, **options: float) -> Denoise:
    return Denoise(T5, context, noises=noises, **options)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 80), st.integers(1, 3), st.integers(0, 2**40))
def test_infilling_hides_its_budget_of_whole_words_and_the_rest_stays_in_order(
    words: int, pieces: int, seed: int
) -> None:
    made = row(words, pieces)
    source = span_objective(["infill"]).spoil(made, seed).tolist()
    kept = [token for token in source if token != MASK]
    assert kept == [token for token in made.ids if token in set(kept)]
    hidden = spans(made.ids, source)
    assert sum(map(len, hidden)) == math.ceil(0.3 * words) * pieces
    # What is hidden and what is kept is the text again, and no word is cut.
    assert sorted([*kept, *(t for span in hidden for t in span)]) == list(made.ids)
    assert {(t - 1000) // pieces for t in kept}.isdisjoint((t - 1000) // pieces for s in hidden for t in s)


def test_span_lengths_are_poisson_and_trimmed_to_the_budget() -> None:
    draw = np.random.default_rng(0)
    lengths = np.concatenate([span_lengths(3000, 3.0, draw)[:-1] for _ in range(150)])
    assert len(lengths) > 1e5
    assert lengths.mean() == pytest.approx(3.0, abs=0.02)
    seen = np.bincount(np.minimum(lengths, 9), minlength=10)
    wanted = poisson.pmf(np.arange(9), 3.0)
    assert chisquare(seen, len(lengths) * np.append(wanted, 1 - wanted.sum())).pvalue > 0.001
    for budget in (1, 2, 7, 100):
        assert all(span_lengths(budget, 3.0, draw).sum() == budget for _ in range(50))


def test_spans_fall_everywhere_alike_and_empty_ones_put_a_mask_in_between() -> None:
    objective, made = span_objective(["infill"]), row(40)
    hidden, masks, empty = np.zeros(40), 0, 0
    ends = np.zeros(2)
    for seed in range(4000):
        source = objective.spoil(made, seed)
        hidden += ~np.isin(made.ids, source)
        runs = spans(made.ids, source.tolist())
        masks += len(runs)
        empty += sum(not run for run in runs)
        filled = [len(run) for run in runs if run]
        ends += [filled[0], filled[-1]]
    assert hidden.sum() == 12 * 4000
    # No place in the middle is favoured, to five standard errors; a span reaches the edges from one side only, and
    # both of them alike.
    error = math.sqrt(0.3 * 0.7 / 4000)
    middle = hidden[8:-8] / 4000
    assert np.abs(middle - middle.mean()).max() < 5 * error and 0.3 < middle.mean() < 0.33
    assert np.abs(hidden - hidden[::-1]).max() / 4000 < 5 * error * math.sqrt(2)
    # The span that was trimmed stands anywhere, not at the end.
    assert abs(ends[0] - ends[1]) / 4000 < 0.25
    # About e^-3 of the spans are empty; adjacent spans make some more runs look so.
    assert 0.04 < empty / masks < 0.35


def test_a_source_never_outgrows_its_context() -> None:
    objective = Denoise(BART, 12, noises=["infill"], mean_span=0.3)
    made = row(10)
    sizes = [len(objective.collate([made], [seed])["ids"][0]) for seed in range(300)]
    assert max(sizes) == 12
    roomy = Denoise(BART, 40, noises=["infill"], mean_span=0.3)
    assert max(len(roomy.collate([made], [seed])["ids"][0]) for seed in range(300)) > 12


@pytest.mark.parametrize("noise", ["mask", "delete"])
def test_masking_and_deletion_take_their_share_of_the_tokens_alike_everywhere(noise: str) -> None:
    objective, made = span_objective([noise]), row(20)
    gone = np.zeros(20)
    for seed in range(3000):
        source = objective.spoil(made, seed)
        gone += ~np.isin(made.ids, source)
        if noise == "mask":
            assert len(source) == 20 and all(a in (b, MASK) for a, b in zip(source, made.ids, strict=True))
        else:
            assert len(source) == 14 and list(source) == sorted(source)
    assert gone.sum() == 6 * 3000
    assert chisquare(gone).pvalue > 0.001


def test_sentences_are_permuted_whole_and_every_order_comes_as_often() -> None:
    objective, made = span_objective(["permute"]), row(9, sentence=3)
    orders: Counter[tuple[int, ...]] = Counter()
    for seed in range(3000):
        source = objective.spoil(made, seed).reshape(3, 3)
        assert (np.diff(source, axis=1) == 1).all()
        orders[tuple(source[:, 0])] += 1
    assert len(orders) == 6 and chisquare(list(orders.values())).pvalue > 0.001


def test_rotation_begins_at_any_token_alike() -> None:
    objective, made = span_objective(["rotate"]), row(8)
    starts: Counter[int] = Counter()
    for seed in range(3000):
        source = objective.spoil(made, seed).tolist()
        at = source.index(1000)
        assert source[at:] + source[:at] == list(made.ids)
        starts[source[0]] += 1
    assert len(starts) == 8 and chisquare(list(starts.values())).pvalue > 0.001


@settings(deadline=None, max_examples=80)
@given(FREE, st.integers(0, 2**60), st.permutations(NOISES), st.integers(1, 5))
@example("The cat sat. The cat looked!", 3, ["permute", "infill"], 2)
def test_any_text_is_the_target_and_the_source_holds_nothing_else(
    text: str, seed: int, order: list[str], count: int
) -> None:
    objective = Denoise(T5, 600, noises=order[:count])
    made = objective.encode(Text("a", text))
    ids = encode_plain(T5, text)
    if made is None:
        assert len(ids) < 2
        return
    batch, again = (objective.collate([made], [seed]) for _ in range(2))
    assert all(torch.equal(batch[name], again[name]) for name in batch)
    assert batch["labels"][0].tolist() == [*ids, T5.eos_token_id] and decode(T5, batch["labels"][0].tolist()) == text
    kept = Counter(batch["ids"][0].tolist()[:-1])
    del kept[MASK]
    assert not kept - Counter(ids)


@torch.no_grad()
def test_bart_is_framed_and_reads_before_it_writes() -> None:
    objective = Denoise(BART, 64)
    made = objective.encode(Text("a", TEXTS[0]))
    assert made is not None
    batch = objective.collate([made], [0])
    source, labels = batch["ids"][0].tolist(), batch["labels"][0].tolist()
    assert source[0] == BART.bos_token_id and source[-1] == labels[-1] == BART.eos_token_id
    assert decode(BART, labels) == TEXTS[0] and BART.bos_token_id not in labels
    model = presets.create(presets.preset("encoder-decoder", "50K", len(BART), 64, "bart"), 0)
    total = objective.totals({"policy": model}, batch)["token"]
    assert float(total) / len(labels) == pytest.approx(math.log(len(BART)), rel=0.1)


def test_long_texts_are_cut_and_named_and_short_ones_teach_nothing() -> None:
    for objective in (Denoise(T5, 10), Gap(T5, 10)):
        made = objective.encode(Text("long", "I go. " * 8))
        assert made is not None and objective.cut == ["long"]
        batch = objective.collate([made], [0])
        assert batch["ids"].shape[1] <= 10 and batch["labels"].shape[1] <= 10
        assert objective.encode(Text("empty", "")) is None and objective.encode(Text("one", "I")) is None
    assert Gap(T5, 64).encode(Text("one sentence", "The cat sat")) is None


@pytest.mark.parametrize("make", [Denoise, Gap])
def test_bad_options_are_refused_before_training(make: type) -> None:
    bare = copy.deepcopy(T5)
    bare.mask_token = None
    wrong = [("train.no_mask_token", (bare, 64), {}), ("train.context_small", (T5, 2), {})]
    wrong += (
        [("train.not_a_share", (T5, 64), {"ratio": 0.0})]
        if make is Gap
        else [
            ("train.not_a_share", (T5, 64), {"rate": 1.0}),
            ("train.not_a_noise", (T5, 64), {"noises": ("permute", "shout")}),
            ("train.not_a_noise", (T5, 64), {"noises": ()}),
            ("train.not_positive", (T5, 64), {"mean_span": 0}),
        ]
    )
    for key, given_, options in wrong:
        with pytest.raises(BadInput) as error:
            make(*given_, **options)
        assert error.value.key == key and str(error.value)


# -- gap sentences ----------------------------------------------------------------------------------------------------


def test_principal_sentences_have_the_best_rouge_against_the_rest() -> None:
    rouge_score = pytest.importorskip("rouge_score.rouge_scorer")
    scorer = rouge_score.RougeScorer(["rouge1"])
    draw = np.random.default_rng(1)
    for _ in range(30):
        parts = [draw.integers(10, 40, size=int(draw.integers(1, 9))).tolist() for _ in range(int(draw.integers(2, 9)))]
        said = [" ".join(f"w{token}" for token in part) for part in parts]
        wanted = [
            scorer.score(" ".join(said[:i] + said[i + 1 :]), said[i])["rouge1"].fmeasure for i in range(len(said))
        ]
        assert overlap_f1(parts) == pytest.approx(wanted)
        count = min(max(1, round(0.3 * len(parts))), len(parts) - 1)
        best = sorted(range(len(parts)), key=lambda i: (-round(wanted[i], 9), i))[:count]
        assert principal(parts, 0.3) == best


@pytest.mark.parametrize(("n", "count"), [(2, 1), (3, 1), (5, 2), (10, 3), (20, 6)])
def test_how_many_sentences_are_taken(n: int, count: int) -> None:
    parts = [[i, i + 1] for i in range(n)]
    assert len(principal(parts, 0.3)) == count
    assert len(principal(parts, 0.99)) == n - 1


def test_a_worked_gap_example() -> None:
    objective = Gap(T5, 128)
    text = "A cat sat on it. I saw that the cat sat on it. 我们看花。"
    made = objective.encode(Text("a", text))
    assert made is not None
    masks = [i for i, token in enumerate(made.ids) if token == MASK]
    assert len(masks) == 1 and made.ids[-1] == T5.eos_token_id
    restored = [*made.ids[: masks[0]], *made.target[:-1], *made.ids[masks[0] + 1 :]]
    assert decode(T5, restored) == text


def test_a_sentence_that_is_cut_is_read_but_never_written() -> None:
    text = "Why? The cat sat. The cat looked at the moon! The cat sat. The cat looked at the moon and sat."
    whole = Gap(T5, 128, ratio=0.2).encode(Text("a", text))
    assert whole is not None and decode(T5, whole.target) == " The cat looked at the moon and sat."
    short = Gap(T5, len(encode_plain(T5, text)) - 1, ratio=0.2)
    made = short.encode(Text("a", text))
    assert made is not None and short.cut == ["a"] and decode(T5, made.target) == " The cat looked at the moon!"


@settings(deadline=None, max_examples=60)
@given(FREE, st.integers(8, 200))
def test_gaps_filled_with_the_target_are_the_text(text: str, context: int) -> None:
    objective = Gap(T5, context)
    made = objective.encode(Text("a", text))
    if made is None:
        assert objective.cut or len(encode_sentences(T5, text)[1]) < 2
        return
    source, target = list(made.ids), list(made.target[:-1])
    ids = encode_plain(T5, text)[: objective.room]
    assert len(source) <= context and len(target) < context and target
    kept = [token for token in source[:-1] if token != MASK]
    assert sorted([*kept, *target]) == sorted(ids)
    assert source.count(MASK) < len(sentences(text))

"""Answers in text: prompts as trained, labels by likelihood, everything else parsed from what was generated."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from escalade.data import template_for
from escalade.generate.fixed import FixedSampler
from escalade.protocols import Sampling
from escalade.records import Chat, Labelled, Message, Pair, Record, Tagged
from escalade.rungs.prompt import demonstrations, longest_output
from escalade.rungs.prompting import Prompter
from escalade.rungs.text import TextPredictor
from escalade.values import Facts

FACTS = Facts(kind="classification", labels=("negative", "positive"))


class Likely(FixedSampler):
    """Finds the completion likely whose first letter stands last in the prompt's text."""

    def score(self, prompts: Sequence[str], completions: Sequence[str]) -> list[tuple[float, ...]]:
        return [
            (-0.1,) if c[0] in p.split("Text: ")[1] else (-3.0, -1.0) for p, c in zip(prompts, completions, strict=True)
        ]


def test_labels_are_chosen_by_likelihood_with_probabilities() -> None:
    predictor = TextPredictor(
        Likely(lambda prompt: ""), Prompter(template_for(FACTS)), FACTS, Sampling(), by_likelihood=True
    )
    found = list(predictor.predict([Labelled("1", "pp", ""), Labelled("2", "nn", "")]))
    assert [f.label for f in found] == ["positive", "negative"]
    for one in found:
        assert sum((one.probabilities or {}).values()) == pytest.approx(1)
        assert one.logprobs is not None and one.logprobs[0] == pytest.approx(-0.02, abs=0.05)


@pytest.mark.parametrize(("said", "label"), [("positive", "positive"), (" Positive.\n", "positive"), ("who knows", "")])
def test_generated_labels_are_read_tolerantly_and_nonsense_is_no_label(said: str, label: str) -> None:
    sampler = FixedSampler(lambda prompt: said)
    predictor = TextPredictor(sampler, Prompter(template_for(FACTS)), FACTS, Sampling(), by_likelihood=False)
    (found,) = predictor.predict([Labelled("1", "a film", "")])
    assert found.label == label


def test_tags_are_laid_on_the_words() -> None:
    facts = Facts(kind="token-classification", labels=("B-place", "I-place", "O"))
    sampler = FixedSampler(lambda prompt: "New York: place")
    predictor = TextPredictor(sampler, Prompter(template_for(facts)), facts, Sampling(), by_likelihood=False)
    record = Tagged("1", ("in", "New", "York", "now"), ("O",) * 4)
    (found,) = predictor.predict([record])
    assert found.tags == ("O", "B-place", "I-place", "O")


class Templated:
    """A tokenizer with a chat template."""

    chat_template = "x"

    def apply_chat_template(self, turns: list[dict[str, str]], tokenize: bool, add_generation_prompt: bool) -> str:
        assert not tokenize and add_generation_prompt
        return "".join(f"<{t['role']}>{t['content']}" for t in turns) + "<assistant>"


def test_a_chat_template_wraps_the_prompt_of_training_and_serving_alike() -> None:
    facts = Facts(kind="generation")
    record = Pair("1", "hello", "world")
    plain, wrapped = Prompter(template_for(facts)), Prompter(template_for(facts), (), Templated())
    assert wrapped.prompt(record) == f"<user>{plain.prompt(record)}<assistant>"
    assert wrapped.pair(record).input == wrapped.prompt(record) and wrapped.pair(record).output == "world"


def test_a_conversation_keeps_its_turns() -> None:
    chat = Chat("1", (Message("system", "be brief"), Message("user", "hi"), Message("assistant", "hello")))
    prompter = Prompter(template_for(Facts(kind="chat")), (), Templated())
    assert prompter.prompt(chat) == "<system>be brief<user>hi<assistant>"


def test_demonstrations_are_balanced_short_and_fixed_by_the_seed() -> None:
    rows: list[Record] = [Labelled(str(i), "word " * (1 + i % 7), "ab"[i % 2]) for i in range(60)]
    chosen = demonstrations(rows, 6, seed=3)
    assert sorted(r.label for r in chosen if isinstance(r, Labelled)) == ["a"] * 3 + ["b"] * 3
    assert chosen == demonstrations(rows, 6, seed=3) and chosen != demonstrations(rows, 6, seed=4)
    assert max(len(r.text) for r in chosen if isinstance(r, Labelled)) <= 30
    assert demonstrations([], 4, 0) == []


def test_the_longest_output_follows_the_rows_within_limits() -> None:
    assert longest_output([Pair("1", "a", "b")]) == 8
    assert longest_output([Pair("1", "a", "b" * 6000)]) == 512
    assert longest_output([Pair("1", "a", "b" * 40), Pair("2", "a", "好" * 30)]) == 60, "a sign each, and twice that"

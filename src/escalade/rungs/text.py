"""The predictor of everything that answers in text: labels by likelihood, the rest by greedy generation."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from escalade.data import parse_output
from escalade.protocols import Generation, Prediction, Sampler, Sampling
from escalade.records import Record
from escalade.rungs.prompting import Prompter
from escalade.values import Facts, Kind

LABEL_KINDS = ("classification", "relation-extraction")


class TextPredictor:
    """A sampler and a prompt as a predictor.

    Args:
        sampler: Generates, and scores completions where ``by_likelihood``.
        prompter: Renders records.
        facts: Kind and labels.
        sampling: Length and stop texts; always greedy.
        by_likelihood: Labels are chosen by the log-probability of their text (length-normalised where labels differ
            in length would favour long ones; the plain sum is what training maximises, so the sum is taken).
    """

    def __init__(
        self, sampler: Sampler, prompter: Prompter, facts: Facts, sampling: Sampling, by_likelihood: bool
    ) -> None:
        self.kind: Kind = facts.kind
        self.sampler, self.prompter, self.facts = sampler, prompter, facts
        self.sampling, self.by_likelihood = sampling, by_likelihood

    def predict(self, records: Sequence[Record]) -> Iterator[Prediction]:
        """One prediction per record, in order."""
        prompts = [self.prompter.prompt(record) for record in records]
        if self.by_likelihood and self.kind in LABEL_KINDS:
            yield from self._by_likelihood(prompts)
            return
        for record, made in zip(records, self.sampler.generate(prompts, self.sampling), strict=True):
            yield self._parsed(record, made)

    def _by_likelihood(self, prompts: Sequence[str]) -> Iterator[Prediction]:
        labels = self.facts.labels
        repeated = [prompt for prompt in prompts for _ in labels]
        scores = self.sampler.score(repeated, list(labels) * len(prompts))
        for i in range(len(prompts)):
            sums = [math.fsum(row) for row in scores[i * len(labels) : (i + 1) * len(labels)]]
            top = max(sums)
            total = top + math.log(math.fsum(math.exp(s - top) for s in sums))
            shares = {label: math.exp(s - total) for label, s in zip(labels, sums, strict=True)}
            best = max(labels, key=lambda label: shares[label])
            yield Prediction(label=best, probabilities=shares, logprobs=(math.log(max(shares[best], 1e-300)),))

    def _parsed(self, record: Record, made: Generation) -> Prediction:
        text = made.text.strip()
        logprobs = made.logprobs or None
        if self.kind in LABEL_KINDS:
            found = parse_output(text, record, self.facts)
            return Prediction(text=text, label=found if isinstance(found, str) else "", logprobs=logprobs)
        if self.kind == "token-classification":
            tags = parse_output(text, record, self.facts)
            return Prediction(text=text, tags=tuple(tags or ()), logprobs=logprobs)
        return Prediction(text=text, logprobs=logprobs)

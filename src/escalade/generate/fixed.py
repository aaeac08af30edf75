"""FixedSampler: known answers instead of a model, for practice without one, for baselines and for tests."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from escalade.errors import BadInput
from escalade.protocols import Generation, Piece, Sampling

_TOKEN = re.compile(r"\s*\S+|\s+$")
"""A word with the blanks before it; trailing blanks are a token of their own, so that the tokens join to the text."""


class FixedSampler:
    """Answers from a table or a function. A token is a word; each has probability 1.

    Args:
        answers: The answer of each prompt, or a function that gives it.
        name: What the sampler is called.
    """

    def __init__(self, answers: Mapping[str, str] | Callable[[str], str], name: str = "fixed") -> None:
        self.name = name
        self._answers = answers

    def generate(self, prompts: Sequence[str], sampling: Sampling) -> Iterator[Generation]:
        """One output per prompt, in order; temperature and seed change nothing.

        Raises:
            BadInput: The table has no answer for a prompt.
        """
        for prompt in prompts:
            tokens, finish_early = self._cut(prompt, sampling)
            text = "".join(tokens)
            cut = [at for stop in sampling.stop if stop and (at := text.find(stop)) >= 0]
            if cut:
                text = text[: min(cut)]
                tokens = _TOKEN.findall(text)
            ended = bool(cut) or not finish_early
            made = len(tokens) + ended
            yield Generation(text, "stop" if ended else "length", self.count(prompt), made, (0.0,) * made)

    def stream(self, prompt: str, sampling: Sampling) -> Iterator[Piece]:
        """The output word by word.

        Raises:
            BadInput: As ``generate``.
        """
        done = next(self.generate([prompt], sampling))
        for token in _TOKEN.findall(done.text):
            yield Piece(token)
        yield Piece("", done)

    def score(self, prompts: Sequence[str], completions: Sequence[str]) -> list[tuple[float, ...]]:
        """0 for every token of the known answer, minus infinity for those of any other text; end token included."""
        return [
            (0.0 if completion == self._answer(prompt) else float("-inf"),) * (self.count(completion) + 1)
            for prompt, completion in zip(prompts, completions, strict=True)
        ]

    def count(self, text: str) -> int:
        """Number of words."""
        return len(_TOKEN.findall(text))

    def _answer(self, prompt: str) -> str:
        if callable(self._answers):
            return self._answers(prompt)
        try:
            return self._answers[prompt]
        except KeyError:
            raise BadInput("generate.no_answer", place=self.name, prompt=prompt[:80]) from None

    def _cut(self, prompt: str, sampling: Sampling) -> tuple[list[str], bool]:
        """The words of the answer, at most ``max_tokens``, and whether some are left out."""
        tokens = _TOKEN.findall(self._answer(prompt))
        # The end is a token too: an answer that fills max_tokens is not seen to end.
        return tokens[: sampling.max_tokens], len(tokens) >= sampling.max_tokens

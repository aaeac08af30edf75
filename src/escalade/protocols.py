"""The small interfaces through which rooms of one floor meet. Typing only: nothing here does anything.

A prompt on a remote API, a linear model, an adapter, an export and a served endpoint are all Predictors, so one
piece of code grades them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from escalade.records import Record
from escalade.values import Cost, Kind

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a model says of one record: the fields its kind has, the others None."""

    text: str | None = None
    """Generated text."""
    label: str | None = None
    probabilities: Mapping[str, float] | None = None
    """Probability per label, summing to 1."""
    tags: tuple[str, ...] | None = None
    """One tag per word of the record."""
    vector: tuple[float, ...] | None = None
    logprobs: tuple[float, ...] | None = None
    """Log-probability of each generated token, of the chosen label, or of each word's tag."""


class Predictor(Protocol):
    """Anything that answers records: what evaluation grades, the gate compares and the server serves."""

    kind: Kind

    def predict(self, records: Sequence[Record]) -> Iterator[Prediction]:
        """One prediction per record, in order."""
        ...


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to generate."""

    max_tokens: int = 128
    temperature: float = 0.0
    """0 is greedy."""
    top_p: float = 1.0
    stop: tuple[str, ...] = ()
    """Texts that end the output and are not part of it."""
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Generation:
    """One finished output."""

    text: str
    finish: Literal["stop", "length"]
    prompt_tokens: int
    completion_tokens: int
    logprobs: tuple[float, ...] = ()
    """Log-probability of each token of the completion, end token included; empty where the source gives none."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of an output while it is made; the last one carries ``done``."""

    text: str
    done: Generation | None = None


class Sampler(Protocol):
    """Turns prompts into text: a local model, a converted one, a remote API, or a fixed table in tests."""

    name: str

    def generate(self, prompts: Sequence[str], sampling: Sampling) -> Iterator[Generation]:
        """One output per prompt, in order; ``seed`` makes prompt i use seed + i."""
        ...

    def stream(self, prompt: str, sampling: Sampling) -> Iterator[Piece]:
        """The output in pieces whose texts join to the whole; a stop text never appears in one."""
        ...

    def score(self, prompts: Sequence[str], completions: Sequence[str]) -> list[tuple[float, ...]]:
        """Log-probability of each token of each completion (end token included) given its prompt."""
        ...

    def count(self, text: str) -> int:
        """Number of tokens of a text, special tokens not counted."""
        ...


Prompt = str | Sequence[int]
"""A text, or its token ids exactly as they are to be read."""


@dataclass(frozen=True, slots=True)
class Echo:
    """A prompt and what follows it, token by token."""

    prompt: str
    done: Generation
    tokens: tuple[str, ...]
    """Every token that was read or made; a part of a character has the vocabulary's name for it."""
    offsets: tuple[int, ...]
    """Where each token begins in the text; special tokens take no room there."""
    logprobs: tuple[float | None, ...]
    """Log-probability of each given those before it; None for the first."""
    top: tuple[dict[str, float] | None, ...]
    """The likeliest tokens in its place, and itself."""


class TokenSampler(Protocol):
    """A Sampler that also reads token ids, and tells how likely it finds what it reads."""

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> Iterator[Generation]:
        """As ``Sampler.generate``."""
        ...

    def stream(self, prompt: Prompt, sampling: Sampling) -> Iterator[Piece]:
        """As ``Sampler.stream``."""
        ...

    def echo(self, prompts: Sequence[Prompt], sampling: Sampling, top: int) -> Iterator[Echo]:
        """Each prompt and the ``sampling.max_tokens`` tokens (0 for none) behind it, with the ``top`` likeliest."""
        ...


Batch = dict[str, Any]
"""What an objective's ``collate`` gives: tensors by name, first dimension the rows."""


@dataclass(frozen=True, slots=True)
class Row:
    """One encoded record.

    ``ids`` are what is read, ``roles`` say what each of them is for (0 context, 1 learnt); ``target`` holds what is
    learnt where it is not among ``ids`` (a label, tags, the decoder's tokens).
    """

    id: str
    ids: tuple[int, ...]
    roles: tuple[int, ...] = ()
    target: tuple[int, ...] = ()
    group: int = 0
    """Rows that must stay in one batch, as a preference's two answers must, are one Row; this marks the seam."""

    @property
    def length(self) -> int:
        """Tokens the row costs."""
        return len(self.ids) + len(self.target)


class Objective(Protocol):
    """What is learnt, in four pure functions; the engine does everything else.

    Sums and counts are kept apart so that the gradient is the same for any split of a step into micro-batches.
    """

    weights: Mapping[str, float]
    """How the loss terms add up."""

    def encode(self, record: Record) -> Row | None:
        """The record as tokens; None where nothing of it can be learnt (the engine counts and lists these)."""
        ...

    def collate(self, rows: Sequence[Row], seeds: Sequence[int]) -> Batch:
        """What is hidden, paired or shifted; ``seeds[i]`` derives from run seed, epoch and row id alone."""
        ...

    def counts(self, batch: Batch) -> Mapping[str, int]:
        """How many things each loss term averages over, from the batch alone."""
        ...

    def totals(self, models: Mapping[str, Any], batch: Batch) -> Mapping[str, Tensor]:
        """The summed loss per term; ``models`` holds the roles the objective's card asks for (``policy``, ...)."""
        ...


class Probe(Protocol):
    """Measures a small piece of work in a fresh process."""

    def measure(self, work: Mapping[str, Any]) -> Cost:
        """Seconds and peak bytes of the work."""
        ...


class Progress(Protocol):
    """Where long work says how far it is."""

    def update(self, done: float, total: float | None, note: str = "") -> None:
        """``done`` of ``total`` units; ``total`` None is "not known"."""
        ...

"""For every objective: records it reads, models it trains, and the objective itself, all made from nothing."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch

from escalade.catalogue.objectives import OBJECTIVES, ObjectiveCard
from escalade.models import presets
from escalade.models.tokenizers import train_tokenizer
from escalade.records import Labelled, Pair, Preference, Record, Segments, Tagged, Text
from escalade.values import Family

CONTEXT = 64
WORDS = ("red", "green", "blue", "cold", "warm", "stone", "river", "cloud", "天气", "很好", "mountain", "sea")
LABELS = ("calm", "wild", "odd")
TAGS = ("O", "B-X", "I-X")
CASES = [(name, family) for name, card in OBJECTIVES.items() for family in card.families]

# Tiny matrices: a second thread costs more than it brings, and much more where the cores are busy.
torch.set_num_threads(1)


@dataclass
class Case:
    """One objective with one family."""

    card: ObjectiveCard
    family: Family
    tokenizer: Any
    objective: Any

    def models(self, seed: int = 1, size: str = "50K") -> dict[str, Any]:
        """A model per role, each with other weights."""
        return {role: self.model(seed + i, size) for i, role in enumerate(self.card.roles)}

    def model(self, seed: int, size: str = "50K") -> Any:
        config = presets.preset(self.family, size, len(self.tokenizer), CONTEXT)
        head: Any = "lm" if self.card.head == "lm" else self.card.head
        labels = {"classify": LABELS, "tag": TAGS}.get(head, ())
        return presets.create(config, seed, head, labels)

    def records(self, count: int) -> list[Record]:
        return [record_of(self.card.records[0], i) for i in range(count)]

    def rows(self, records: Sequence[Record]) -> list[Any]:
        return [self.objective.encode(record) for record in records]


def words(i: int, count: int) -> list[str]:
    """``count`` words that depend on i."""
    return [WORDS[(i * 7 + k * (i + 3)) % len(WORDS)] for k in range(count)]


def prose(i: int) -> str:
    """The words of text i as two or more sentences."""
    said = words(i, 3 + i % 6)
    return " ".join(f"{' '.join(said[k : k + 2]).capitalize()}." for k in range(0, len(said), 2))


def record_of(kind: str, i: int) -> Record:
    """Record i of a type; lengths differ."""
    name, text = f"train:{i}", " ".join(words(i, 3 + i % 6))
    match kind:
        case "Text":
            return Text(name, prose(i))
        case "Segments":
            return Segments(name, text, " ".join(words(i + 3, 2 + i % 4)), follows=i % 2 == 0)
        case "Pair":
            return Pair(name, f"say {text}:", " ".join(words(i + 5, 1 + i % 4)))
        case "Labelled":
            return Labelled(name, text, LABELS[i % 3])
        case "Tagged":
            tokens = words(i, 2 + i % 5)
            return Tagged(name, tuple(tokens), tuple(TAGS[(i + k) % 3] for k in range(len(tokens))))
        case "Preference":
            return Preference(name, f"say {text}:", WORDS[i % 12], f"{WORDS[(i + 1) % 12]} {WORDS[(i + 4) % 12]}")
    raise AssertionError(f"no records of type {kind}: add them here")


@cache
def tokenizer_of(family: Family) -> Any:
    vocabulary = 420 if family == "encoder-decoder" else 320
    return train_tokenizer([" ".join([*words(i, 6), prose(i)]) for i in range(40)], family, vocabulary)


def case_of(name: str, family: Family) -> Case:
    """An objective as its card says it is made."""
    card = OBJECTIVES[name]
    module, cls = card.path.split(":")
    make = getattr(importlib.import_module(module), cls)
    tokenizer = tokenizer_of(family)
    more: tuple[Any, ...] = {"sft": (family,), "classify": (LABELS,), "tag": (TAGS,)}.get(name, ())
    named = {"family": family} if name == "classify" else {}
    return Case(card, family, tokenizer, make(tokenizer, *more, context=CONTEXT, **named))

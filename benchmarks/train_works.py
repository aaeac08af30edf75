"""What is trained in the benchmark: a model with random weights, its tokenizer, and rows of text made from a seed.

The texts are random words (frequencies after Zipf) of which each is one token, so that rows have exactly the lengths
they should; how fast a step is depends on lengths alone. Every record is encoded by escalade's objective, and peers
get the ids that come out: the same rows for all.
"""

from __future__ import annotations

import itertools
import json
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from escalade.models.presets import create, preset
from escalade.models.save import save_model
from escalade.models.tokenizers import train_tokenizer
from escalade.protocols import Row
from escalade.records import Pair, Record, Text, to_json
from escalade.train.batches import seed_of
from escalade.train.objectives.clm import Clm
from escalade.train.objectives.mlm import RATE, Mlm
from escalade.train.objectives.sft import Sft
from escalade.train.objectives.span import Span
from escalade.values import Family

SHORTEST, LONGEST = 20, 400
_MEDIAN, _SPREAD = 105, 0.7
"""Of the logarithmic normal distribution that mixed lengths are drawn from, before they are held to their bounds."""
_SYLLABLES = tuple(f"{first}{second}" for first in "bcdfghjklmnprstv" for second in "aeiou")
_FAMILY: dict[str, Family] = {"sft": "decoder", "clm": "decoder", "mlm": "encoder", "span": "encoder-decoder"}
_SIZE: dict[Family, str] = {"encoder": "7M", "encoder-decoder": "8M"}
"""Without embeddings."""
_SPECIAL = {"sft": 2, "clm": 2, "mlm": 2, "span": 0}
"""Special tokens of a row, beside its words."""


@dataclass(frozen=True)
class Work:
    """One kind of training."""

    name: str
    objective: str
    """sft, clm, mlm or span."""
    length: int | None
    """Tokens of every row; None for mixed lengths."""
    vocabulary: int = 8192
    context: int = 512
    rows: int = 16
    """Rows of a step."""
    steps: int = 32
    """Steps of a pass."""
    few: int = 16
    """The same for a quick run; grouping by length needs rows to choose from."""

    @property
    def family(self) -> Family:
        """The model's family."""
        return _FAMILY[self.objective]


@dataclass(frozen=True)
class Made:
    """A work on disk."""

    work: Work
    folder: Path
    config: dict[str, Any]
    """The model's ``config.json``."""
    parameters: int
    rows: list[dict[str, Any]]
    """What peers read: ``ids``, ``labels`` as transformers has them, ``learnt``."""

    @property
    def model(self) -> Path:
        """The model with random weights, and its tokenizer."""
        return self.folder / "model"

    @property
    def records(self) -> Path:
        """What escalade reads, one JSON object a line."""
        return self.folder / "records.jsonl"

    @property
    def data(self) -> Path:
        """What peers read, one JSON object a line."""
        return self.folder / "rows.jsonl"


def objective_of(name: str, tokenizer: Any, context: int) -> Any:
    """The objective of a work."""
    if name == "sft":
        return Sft(tokenizer, "decoder", context)
    return {"clm": Clm, "mlm": Mlm, "span": Span}[name](tokenizer, context)


def make(work: Work, folder: Path, seed: int = 0) -> Made:
    """Writes model, tokenizer and rows; the first step's worth of them again, in a folder ``first``."""
    tokenizer = tokenizer_of(work, seed)
    config = config_of(work, len(tokenizer))
    model = create(config, seed)
    save_model(model, tokenizer, folder / "model")
    words = known_words(tokenizer)
    draw = random.Random(seed)
    records = [record_of(work, f"train:{i}", length, words, draw) for i, length in enumerate(lengths_of(work, seed))]
    objective = objective_of(work.objective, tokenizer, work.context)
    rows = [row_of(work, objective, record) for record in records]
    _write(folder, records, rows)
    first = [row_of(work, objective, record, masked=True) for record in records[: work.rows]]
    _write(folder / "first", records[: work.rows], first)
    written = json.loads((folder / "model" / "config.json").read_text(encoding="utf-8"))
    return Made(work, folder, written, sum(p.numel() for p in model.parameters()), rows)


def config_of(work: Work, vocabulary: int) -> Any:
    """The model's configuration: a decoder of 7M parameters at 8192 tokens, the others of about 10M."""
    if work.family != "decoder":
        return preset(work.family, _SIZE[work.family], vocabulary, work.context)
    config = preset("decoder", "5M", vocabulary, work.context)
    shape = {
        "hidden_size": 256,
        "num_hidden_layers": 6,
        "num_attention_heads": 8,
        "num_key_value_heads": 8,
        "head_dim": 32,
        "intermediate_size": 688,
    }
    for name, value in shape.items():
        setattr(config, name, value)
    return config


def without_dropout(made: Made, source: Path, folder: Path) -> None:
    """The model of ``source`` once more, with every dropout of its configuration at 0."""
    folder.mkdir(parents=True)
    for path in source.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    config = {k: 0.0 if "dropout" in k and isinstance(v, float) else v for k, v in made.config.items()}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")


def lengths_of(work: Work, seed: int = 0) -> list[int]:
    """Tokens of each row of a pass: all alike, or skewed between 20 and 400 with a mean of about 130."""
    count = work.rows * work.steps
    if work.length is not None:
        return [work.length] * count
    draw = random.Random(f"lengths/{seed}")
    return [min(max(round(draw.lognormvariate(math.log(_MEDIAN), _SPREAD)), SHORTEST), LONGEST) for _ in range(count)]


def record_of(work: Work, name: str, length: int, words: Sequence[str], draw: random.Random) -> Record:
    """A record that has ``length`` tokens once it is encoded; of a pair, a fifth to four fifths are the answer."""
    count = length - _SPECIAL[work.objective]
    text = draw.choices(words, cum_weights=_zipf(len(words)), k=count)
    if work.objective != "sft":
        return Text(name, "".join(text))
    answer = round(draw.uniform(0.2, 0.8) * count)
    return Pair(name, "".join(text[: count - answer]), "".join(text[count - answer :]))


def row_of(work: Work, objective: Any, record: Record, masked: bool = False) -> dict[str, Any]:
    """A record as peers read it.

    Args:
        work: What it is for.
        objective: Encodes it.
        record: The record.
        masked: Mask rows of masked language modelling here, as escalade's first pass does, instead of leaving it to
            the peer.
    """
    row: Row = objective.encode(record)
    seed = seed_of(0, 0, row.id)
    if work.objective == "span":
        source, target = objective.corrupt(row.ids, seed)
        return {"ids": [int(i) for i in source], "labels": [int(i) for i in target]}
    if work.objective == "mlm" and masked:
        batch = objective.collate([row], [seed])
        return {"ids": batch["ids"][0].tolist(), "labels": batch["labels"][0].tolist()}
    if work.objective == "mlm":
        learnt = max(1, round(RATE * len(row.ids)))
        return {"ids": list(row.ids), "special": [1 - role for role in row.roles], "learnt": learnt}
    labels = [i if role else -100 for i, role in zip(row.ids, row.roles, strict=True)]
    return {"ids": list(row.ids), "labels": labels}


def tokenizer_of(work: Work, seed: int = 0) -> Any:
    """A tokenizer trained on random words, the most frequent of which become tokens."""
    draw = random.Random(f"words/{seed}")
    number = work.vocabulary + work.vocabulary // 2
    words: dict[str, None] = {}
    while len(words) < number:
        words["".join(draw.choices(_SYLLABLES, k=draw.choice((2, 2, 3)) if len(words) < 4096 else 3))] = None
    listed = list(words)
    text = [*listed * 2, *draw.choices(listed, cum_weights=_zipf(number), k=20 * number)]
    lines = [" " + " ".join(text[i : i + 200]) for i in range(0, len(text), 200)]
    return train_tokenizer(lines, work.family, work.vocabulary)


def known_words(tokenizer: Any) -> list[str]:
    """Words, each with a blank before it, that the tokenizer writes with one token, in the order of their ids."""
    texts = [tokenizer.decode([i]) for i in range(len(tokenizer))]
    found = [
        text
        for i, text in enumerate(texts)
        if text.startswith(" ") and text[1:].isalpha() and tokenizer(text, add_special_tokens=False)["input_ids"] == [i]
    ]
    if len(found) < len(tokenizer) // 4:
        raise RuntimeError("too few words are tokens")
    return found


def _zipf(count: int) -> list[float]:
    """Running sums of 1 / (rank + 2.7)."""
    if count not in _SUMS:
        _SUMS[count] = list(itertools.accumulate(1 / (rank + 2.7) for rank in range(1, count + 1)))
    return _SUMS[count]


_SUMS: dict[int, list[float]] = {}


def _write(folder: Path, records: Sequence[Record], rows: Sequence[dict[str, Any]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, lines in (("records", [to_json(record) for record in records]), ("rows", rows)):
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")

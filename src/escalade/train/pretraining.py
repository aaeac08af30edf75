"""Pretraining on running text: tokenizer, network and weights from nothing, or on from a base.

The text is read as a stream, cut into pieces once, and the pieces lie on disk: it may be larger than memory.
"""

from __future__ import annotations

import importlib
import json
import os
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import AutoConfig

from escalade import data
from escalade.catalogue import dial
from escalade.catalogue.objectives import OBJECTIVES
from escalade.data.sentences import sentences
from escalade.errors import BadInput
from escalade.models.encoding import encode_plain, frame, measured_pieces
from escalade.models.heads import auto_class, native_head
from escalade.models.load import load_model, load_tokenizer
from escalade.models.presets import create, preset
from escalade.models.save import save_model
from escalade.models.tokenizers import train_tokenizer
from escalade.records import Piece, Record, Text
from escalade.train.engine import fit
from escalade.train.laying_out import Layout, laid_out
from escalade.train.objectives.nsp import instances
from escalade.train.recipe import Fitted, Recipe
from escalade.values import Family, digest_of

HELD_OUT = 20
"""One piece of text in so many is kept for validation, in long texts fewer: see ``_held_every``."""
_FEWEST_DOCUMENTS = 8
"""Of fewer, whose sentences are paired, none is held out: it would be too much of them."""
_FEWEST_TOKENS = 16
_SAMPLE = 1 << 26
"""Characters a tokenizer is trained on at most; of longer texts, passages spread evenly."""
_MICRO_TOKENS = 4096
_POST_NORM = ("bert", "roberta", "xlm-roberta", "distilbert", "electra", "bart")
"""Kinds of network that normalise behind each layer."""


@dataclass(frozen=True)
class Length:
    """How long to train: so many ``minutes``, ``steps``, ``tokens`` or ``epochs``, or what the dial says."""

    kind: Literal["minutes", "steps", "tokens", "epochs", "dial"] = "dial"
    amount: float = 0.0


@dataclass(frozen=True)
class Pretraining:
    """What to make.

    Args:
        family: Architecture family.
        architecture: Kind of network within the family; the family's usual one where None.
        size: ``tiny``, ``mini``, ``small`` or a number of parameters such as ``5M``; of no matter with a base.
        objective: As the catalogue names it.
        options: Of the objective.
        length: How long to train.
        vocabulary: Tokens of a new tokenizer; by the dial where None.
        context: Longest input in tokens; by the dial, or the base's, where None.
        tokenizer: Kind of a new tokenizer; the usual one where None.
        tokenizer_folder: A model whose tokenizer is taken instead.
        base: Folder of the model to go on from.
        batch: Tokens of a step; by the dial where None.
        learning_rate: The highest; by the dial where None.
        seed: Of weights, batches and what is hidden.
    """

    family: Family
    size: str
    objective: str
    architecture: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    length: Length = Length()
    vocabulary: int | None = None
    context: int | None = None
    tokenizer: str | None = None
    tokenizer_folder: Path | None = None
    base: Path | None = None
    batch: int | None = None
    learning_rate: float | None = None
    seed: int = 0


@dataclass(frozen=True)
class Machine:
    """What the machine can do, as far as forecasts need it.

    Args:
        processor: Name of its card.
        flops: Operations a second of all cores together.
        memory: Bytes to be had; None where it is not known.
    """

    processor: str
    flops: float
    memory: float | None


@dataclass(frozen=True)
class Corpus:
    """Sources of running text, read anew whenever their documents are asked for."""

    sources: tuple[str, ...]
    base: Path

    def documents(self) -> Iterator[str]:
        """Every text, in order."""
        for source in self.sources:
            yield from data.documents(source, self.base)


@dataclass(frozen=True)
class Trained:
    """What pretraining gave, beside the folder."""

    fitted: Fitted
    layout: Layout
    parameters: int
    documents: int
    pieces: int
    held_out: int


class Spool:
    """Records on disk, one a line, read as a stream: all of them, or those held out or not."""

    def __init__(self, path: Path, count: int, digest: str, every: int = 0, held: bool = False) -> None:
        self.path, self.count, self._every, self._held = path, count, every, held
        self.digest = digest_of([digest, every, held])
        """Of the chosen records, by which what was encoded from them is found again."""

    def wanted(self, number: int) -> bool:
        """Whether a record is chosen."""
        if not self._every:
            return True
        return (number % self._every == self._every - 1) == self._held

    def part(self, every: int, held: bool) -> Spool:
        """The records that are held out, every so manieth, or those that are not."""
        return Spool(self.path, self.count, self.digest, every, held)

    def __iter__(self) -> Iterator[Record]:
        """The chosen records, from the first on."""
        with self.path.open(encoding="utf-8", newline="\n") as file:
            for number, line in enumerate(file):
                if self.wanted(number):
                    text, goes_on = json.loads(line)
                    yield (Piece if goes_on else Text)(f"text:{number}", text)

    def __len__(self) -> int:
        """How many records are chosen."""
        return sum(map(self.wanted, range(self.count)))


def pretrain(
    corpus: Corpus,
    validation: Corpus | None,
    wanted: Pretraining,
    machine: Machine,
    out: Path,
    work: Path,
    *,
    on_layout: Callable[[Layout], None] = lambda layout: None,
    on_event: Callable[[dict[str, Any]], None] = lambda event: None,
    should_stop: Callable[[], str | None] = lambda: None,
) -> Trained:
    """Trains on the corpus and saves tokenizer and network into ``out``.

    Args:
        corpus: The text.
        validation: Text to validate on; a share of the corpus where None.
        wanted: What to make.
        machine: Where it is made.
        out: Folder of the result.
        work: Where pieces and checkpoints go; survives a kill.
        on_layout: Told what was derived, before the first step.
        on_event: As ``engine.fit`` has it.
        should_stop: As ``engine.fit`` has it.

    Raises:
        BadInput: There is no text, or too little; the vocabulary is too small; the network does not fit into memory;
            or the tokenizer cannot serve the objective.
    """
    characters, documents = _counted(corpus)
    tokenizer = _tokenizer(corpus, wanted, characters)
    config = _config(wanted, tokenizer)
    network = _network(wanted, config, len(tokenizer))
    _check_memory(network, machine, wanted)
    card = OBJECTIVES[_card_name(wanted.objective)]
    module, name = card.path.split(":")
    objective = getattr(importlib.import_module(module), name)(tokenizer, network.context, **wanted.options)
    work.mkdir(parents=True, exist_ok=True)
    room = _room(objective, tokenizer, network.context)
    spool, tokens = _cut_to_disk(corpus, tokenizer, room, work / "pieces.jsonl")
    _check_enough(tokens, spool, tokenizer, corpus)
    layout = laid_out(wanted, network, machine, characters, tokens, spool.count, base=config)
    on_layout(layout)
    rows, held = _rows(corpus, validation, spool, tokenizer, wanted, layout, work, room)
    model = _model(wanted, _config(wanted, tokenizer, layout.dropout), card.head)
    fitted = fit(
        objective,
        {"policy": model},
        rows,
        held,
        _recipe(wanted, layout, tokens, len(held)),
        work=work / "training",
        on_event=on_event,
        should_stop=should_stop,
    )
    save_model(model, tokenizer, out)
    parameters = sum(p.numel() for p in model.parameters())
    return Trained(fitted, layout, parameters, documents, spool.count, len(held))


# -- text --------------------------------------------------------------------------------------------------------------


def _counted(corpus: Corpus) -> tuple[int, int]:
    """Characters and documents.

    Raises:
        BadInput: There is no text.
    """
    characters = documents = 0
    for text in corpus.documents():
        characters += len(text)
        documents += 1
    if not characters:
        raise BadInput("stages.no_text", place=", ".join(corpus.sources))
    return characters, documents


def _room(objective: Any, tokenizer: Any, context: int) -> int:
    """Tokens of a piece that fits the context: what the objective says, or all but the special tokens around it."""
    before, after = frame(tokenizer)
    return int(getattr(objective, "room", context - max(2, len(before) + len(after))))


def _cut_to_disk(corpus: Corpus, tokenizer: Any, room: int, path: Path) -> tuple[Spool, int]:
    """The corpus in pieces of at most so many tokens, and the number of their tokens."""
    count = tokens = 0
    digest = blake2b(digest_size=16)
    temporary = path.with_suffix(".tmp")
    with temporary.open("w", encoding="utf-8", newline="\n") as file:
        for document in corpus.documents():
            for piece, length, goes_on in _with_next(measured_pieces(tokenizer, document, room)):
                line = json.dumps([piece, goes_on], ensure_ascii=False) + "\n"
                digest.update(line.encode("utf-8", "surrogatepass"))
                file.write(line)
                count += 1
                tokens += length
    os.replace(temporary, path)
    return Spool(path, count, digest.hexdigest()), tokens


def _with_next(pieces: Iterable[tuple[str, int]]) -> Iterator[tuple[str, int, bool]]:
    """Each piece and its tokens, and whether another one follows."""
    before: tuple[str, int] | None = None
    for piece in pieces:
        if before is not None:
            yield *before, True
        before = piece
    if before is not None:
        yield *before, False


def _check_enough(tokens: int, spool: Spool, tokenizer: Any, corpus: Corpus) -> None:
    """Refuses a text that nothing can be learnt from: a few tokens, or one again and again."""
    kinds = 2
    if spool.count <= 64:
        kinds = len({one for record in spool for one in encode_plain(tokenizer, record.text)})  # type: ignore[union-attr]
    if tokens < _FEWEST_TOKENS or kinds < 2:
        place = ", ".join(corpus.sources)
        raise BadInput("stages.text_too_short", place=place, tokens=tokens, kinds=kinds, least=_FEWEST_TOKENS)


def _rows(
    corpus: Corpus,
    validation: Corpus | None,
    spool: Spool,
    tokenizer: Any,
    wanted: Pretraining,
    layout: Layout,
    work: Path,
    room: int,
) -> tuple[Iterable[Record], list[Record]]:
    """What is learnt from and what is held out: every so manieth piece, or documents, or the validation text."""
    if wanted.objective.endswith("nsp"):
        parts = _documents(corpus)
        if validation is not None:
            _counted(validation)
            learnt, held = parts, _documents(validation)
        else:
            learnt, held = _held_apart(parts, _held_every(spool.count, layout), wanted.seed)
        made, held_out = (_sentence_pairs(some, tokenizer, wanted, layout) for some in (learnt, held))
        return made, held_out
    if validation is not None:
        _counted(validation)
        held_spool, _ = _cut_to_disk(validation, tokenizer, room, work / "validation.jsonl")
        return spool, list(held_spool)
    every = _held_every(spool.count, layout)
    return spool.part(every, held=False), list(spool.part(every, held=True))


def _held_every(count: int, layout: Layout) -> int:
    """One in 20; in long texts as many as make validation a fiftieth of the reading; one of fewer than 20.

    A single row is learnt from and not held out.
    """
    if count < 2:
        return count + 1
    most = max(8, min(512, round(layout.tokens / (50 * layout.network.context))))
    return max(min(HELD_OUT, count), count // most)


def _documents(corpus: Corpus) -> list[str]:
    """Documents that pairs of sentences are drawn from: a blank line ends one. Held in memory, all of them."""
    parts = (part for document in corpus.documents() for part in document.split("\n\n"))
    return [part for part in parts if any(sign.isprintable() and not sign.isspace() for sign in part)]


def _held_apart(parts: Sequence[str], every: int, seed: int) -> tuple[list[str], list[str]]:
    """Documents to learn from, and those held out: whole ones, as a pair's second sentences come from any of a side.

    They are drawn until they are one in ``every`` characters, and at least two, so that each has another one; none are
    held out of fewer than ``_FEWEST_DOCUMENTS``.
    """
    if len(parts) < _FEWEST_DOCUMENTS:
        return [*parts], []
    wanted, held = sum(map(len, parts)) / every, set[int]()
    for place in random.Random(seed).sample(range(len(parts)), len(parts) // 2):
        if len(held) >= 2 and wanted <= 0:
            break
        held.add(place)
        wanted -= len(parts[place])
    return [part for i, part in enumerate(parts) if i not in held], [parts[i] for i in sorted(held)]


def _sentence_pairs(parts: Sequence[str], tokenizer: Any, wanted: Pretraining, layout: Layout) -> list[Any]:
    """Pairs of segments of documents (Devlin et al. 2019, appendix A.2)."""
    if not parts:
        return []
    return list(instances([sentences(part) for part in parts], tokenizer, layout.network.context, wanted.seed))


# -- tokenizer and network ---------------------------------------------------------------------------------------------


def _card_name(objective: str) -> str:
    """``mlm+nsp`` is the card ``nsp``, whose loss has both terms."""
    return "nsp" if objective == "mlm+nsp" else objective


def _tokenizer(corpus: Corpus, wanted: Pretraining, characters: int) -> Any:
    folder = wanted.base or wanted.tokenizer_folder
    if folder is not None:
        return load_tokenizer(folder)
    size = wanted.vocabulary or dial.vocabulary_for(characters)
    texts = _sample(corpus.documents(), characters)
    return train_tokenizer(texts, wanted.family, size, wanted.tokenizer or "bpe", wanted.architecture)


def _sample(documents: Iterator[str], characters: int) -> Iterator[str]:
    """Documents spread evenly over the text, of at most so many characters that a tokenizer is trained in minutes."""
    every = -(-characters // _SAMPLE)
    return (text for number, text in enumerate(documents) if number % every == 0)


def _config(wanted: Pretraining, tokenizer: Any, dropout: float | None = None) -> Any:
    """The network's configuration: a preset, or the base's."""
    if wanted.base is not None:
        return AutoConfig.from_pretrained(wanted.base, trust_remote_code=False, local_files_only=True)

    def made(vocabulary: int, context: int) -> Any:
        return preset(wanted.family, wanted.size, vocabulary, context, wanted.architecture, dropout)

    # The width does not depend on vocabulary and context, so it can be asked for first.
    context = wanted.context or dial.context_for(_width(made(1024, 128)))
    return _agreed(made(len(tokenizer), context), tokenizer)


def _agreed(config: Any, tokenizer: Any) -> Any:
    """The special tokens' ids as the tokenizer has them: one taken from elsewhere has its own."""
    for name in ("pad_token_id", "bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id"):
        if getattr(config, name, None) is not None:
            setattr(config, name, getattr(tokenizer, name, None))
    if config.is_encoder_decoder:
        # T5's decoder begins with padding, BART's with the beginning token; a tokenizer without one lends its padding.
        begin = tokenizer.bos_token_id if config.model_type == "bart" else None
        config.decoder_start_token_id = tokenizer.pad_token_id if begin is None else begin
    return config


def _width(config: Any) -> int:
    return int(config.hidden_size)


def _network(wanted: Pretraining, config: Any, vocabulary: int) -> dial.Network:
    """Shape and size, counted on a network without weights."""
    with torch.device("meta"):
        # Any network that the family's Auto class knows, not only those with a preset.
        model = auto_class(wanted.family, native_head(wanted.family)).from_config(config)
    total = sum(p.numel() for p in model.parameters())
    layers = int(config.num_hidden_layers)
    if config.is_encoder_decoder:
        layers += int(getattr(config, "num_decoder_layers", None) or config.decoder_layers)
    return dial.Network(
        family=wanted.family,
        parameters=max(1, total - model.get_input_embeddings().weight.numel()),
        total=total,
        layers=layers,
        width=_width(config),
        vocabulary=vocabulary,
        context=wanted.context or _context(config),
        post_norm=config.model_type in _POST_NORM,
    )


def _context(config: Any) -> int:
    """Positions of a configuration; 512 where they are relative and none are said."""
    said = getattr(config, "max_position_embeddings", None) or getattr(config, "n_positions", None) or dial.CONTEXTS[1]
    return min(int(said), dial.CONTEXTS[1])


def _model(wanted: Pretraining, config: Any, head: Any) -> Any:
    if wanted.base is not None:
        return load_model(wanted.base, head, seed=wanted.seed, new_head=False)
    return create(config, wanted.seed, head)


def _check_memory(network: dial.Network, machine: Machine, wanted: Pretraining) -> None:
    """Refuses what would run out of memory, before anything is made."""
    needs = dial.memory_needed(network, min(_MICRO_TOKENS, dial.FEWEST_ROWS * network.context))
    if machine.memory is not None and needs > machine.memory:
        place = str(wanted.base) if wanted.base is not None else f"size {wanted.size}"
        raise BadInput(
            "stages.too_large_to_train", place=place, needs=round(needs / 1e9, 1), there=round(machine.memory / 1e9, 1)
        )


def _recipe(wanted: Pretraining, layout: Layout, text_tokens: int, held: int) -> Recipe:
    """How to train, as it was laid out; ten validations on the way, fewer where they would take a tenth of the time."""
    passes = layout.tokens / max(1, text_tokens)
    # Reading costs a third of learning.
    affordable = 0.3 * layout.tokens / max(1, held * layout.network.context)
    validations = max(2, min(10, int(affordable)))
    said: dict[str, Any] = {
        "learning_rate": layout.learning_rate,
        "batch_tokens": layout.batch,
        "micro_tokens": _MICRO_TOKENS,
        "warmup": dial.WARMUP,
        "beta2": dial.BETA2[wanted.family],
        "seed": wanted.seed,
        "eval_every": passes / validations,
    }
    match wanted.length.kind:
        case "minutes":
            said |= {"seconds": 60 * wanted.length.amount, "schedule": "wsd"}
        case "epochs":
            said |= {"epochs": wanted.length.amount}
        case _:
            said |= {"steps": layout.steps}
    return Recipe(**said)


def thinned(losses: Sequence[tuple[int, float]], most: int = 200) -> list[tuple[int, float]]:
    """At most so many points of a curve: means over windows, each at its window's last step."""
    every = -(-len(losses) // most) or 1
    windows = (losses[i : i + every] for i in range(0, len(losses), every))
    return [(window[-1][0], sum(loss for _, loss in window) / len(window)) for window in windows]

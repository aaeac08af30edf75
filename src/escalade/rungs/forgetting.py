"""What a trained model forgot: the likelihood of general text under base and model, and how far the two diverge.

Both are read in float32 and eval mode, as ``load_model`` gives them.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from escalade.errors import BadInput
from escalade.generate.likelihood import OnBatch, divergences, masked_nats, signature, text_nats
from escalade.generate.reading import Reader
from escalade.models import manifest as manifests
from escalade.models.encoding import cut_prompt, encode_completion, encode_prompt
from escalade.models.load import load_model, load_tokenizer
from escalade.records import Record
from escalade.rungs.loading import network, prompter_of
from escalade.values import Base

RECORDS = 64
"""Most records whose wanted completions are read for the divergence."""
PROMPT = 512
"""Most tokens of a prompt that are read for it."""
COMPLETION = 128
"""Most tokens of a completion that are read for it."""
DIVERGENCE = f"KL(base||adapted)|teacher-forced|wanted completions, end token included, at most {COMPLETION} tokens"
_CONTEXT = 512
Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Pretrained:
    """A base on this machine."""

    base: Base
    folder: Path

    @property
    def context(self) -> int:
        """Longest input in tokens; longer windows than 512 tell nothing more of texts of 600 bytes."""
        return min(self.base.context or _CONTEXT, _CONTEXT)

    @property
    def signature(self) -> str:
        """What the likelihood of a text is."""
        return signature(self.base.family, self.context)


def base_nats(base: Pretrained, texts: Sequence[str], on_batch: OnBatch) -> Matrix | str:
    """Nats and bytes of each text under the base, (texts, 2); or the message key of why it gives texts no likelihood.

    Raises:
        BadInput: The base cannot be loaded, or gives no numbers.
    """
    tokenizer = load_tokenizer(base.folder)
    if base.base.family != "encoder":
        reader = _reader(base, load_model(base.folder, "lm"), tokenizer)
        return text_nats(reader, tokenizer, texts, base.context, on_batch)
    if tokenizer.mask_token_id is None:
        return "rungs.forgetting_no_mask_token"
    masked = _mask_model(base.folder)
    if masked is None:
        return "rungs.forgetting_no_head"
    return masked_nats(masked, tokenizer, texts, base.context, on_batch=on_batch)


@dataclass(frozen=True)
class Found:
    """What was measured of a model."""

    nats: Matrix
    """(texts, 2) nats and bytes."""
    divergence: Matrix | None
    """(records, 2) nats and tokens; None for encoders, which have no next token."""


def measured(
    base: Pretrained, model: Path, texts: Sequence[str], records: Sequence[Record], on_batch: OnBatch
) -> Found:
    """The likelihood of texts under the model in a folder, and its divergence from the base on records.

    An encoder's trunk gets the base's own masked-language head, as if it were loaded for masked language modelling:
    where the architecture ties the head's output matrix to the embeddings, it is the model's embeddings.

    Raises:
        BadInput: A model cannot be loaded, or gives no numbers.
    """
    manifest = manifests.read(model)
    weights = model if manifest.weights == "own" else base.folder
    adapted, tokenizer = network(model, weights, manifest), load_tokenizer(base.folder)
    if base.base.family == "encoder":
        masked = with_trunk(load_model(base.folder, "mask", new_head=False), adapted)
        return Found(masked_nats(masked, tokenizer, texts, base.context, on_batch=on_batch), None)
    reader = _reader(base, adapted, tokenizer)
    nats = text_nats(reader, tokenizer, texts, base.context, on_batch)
    before = _reader(base, load_model(base.folder, "lm"), tokenizer)
    pairs = _pairs(base, manifest, tokenizer, records)
    return Found(nats, divergences(before, reader, pairs, on_batch))


def with_trunk(masked: Any, adapted: Any) -> Any:
    """A masked language model whose trunk is the adapted model's; its head stays its own.

    Args:
        masked: The base with its head; changed in place.
        adapted: The base's trunk after training, under another head, with or without adapters.

    Raises:
        BadInput: The trunks are not of one architecture.
    """
    # Merged as it would ship; that merging changes nothing is the release gate's to prove.
    plain = adapted.merge_and_unload() if hasattr(adapted, "peft_config") else adapted
    found = masked.base_model.load_state_dict(plain.base_model.state_dict(), strict=False)
    if found.missing_keys:
        raise BadInput(
            "models.weights_missing",
            place=type(plain).__name__,
            count=len(found.missing_keys),
            first=found.missing_keys[0],
        )
    return masked.eval()


def some_of(records: Sequence[Record], seed: int) -> list[Record]:
    """At most 64 records, drawn by the seed, in their order."""
    places = sorted(random.Random(seed).sample(range(len(records)), min(RECORDS, len(records))))
    return [records[place] for place in places]


def _mask_model(folder: Path) -> Any:
    """The encoder with its own masked-language head; None where the folder holds none."""
    try:
        return load_model(folder, "mask", new_head=False)
    except BadInput as error:
        if error.key in ("models.weights_missing", "models.cannot_load"):
            return None
        raise


def _reader(base: Pretrained, model: Any, tokenizer: Any) -> Reader:
    return Reader(model.eval(), base.base.family, tokenizer.pad_token_id)


def _pairs(
    base: Pretrained, manifest: manifests.Manifest, tokenizer: Any, records: Sequence[Record]
) -> list[tuple[list[int], list[int]]]:
    """Prompts as they are served, and wanted completions, cut to what is read."""
    prompter, family = prompter_of(manifest, tokenizer), base.base.family
    most = min(manifest.context or base.context, base.base.context or manifest.context or base.context)
    made = []
    for record in records:
        pair = prompter.pair(record)
        target = encode_completion(tokenizer, pair.output)[: min(COMPLETION, most // 2)]
        room = most - (len(target) if family == "decoder" else 0)
        prompt = encode_prompt(tokenizer, family, pair.input)
        made.append((cut_prompt(tokenizer, family, prompt, min(PROMPT, room)), target))
    return made

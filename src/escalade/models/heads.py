"""What stands on top of a model: the Auto class that builds it, and the pooled embedding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from torch import Tensor
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForPreTraining,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
)

from escalade.errors import BadInput
from escalade.values import Family

Head = Literal["lm", "mask", "pretrain", "classify", "tag", "embed"]
_LABEL_HEADS = ("classifier", "score", "pooler", "classification_head", "pre_classifier", "head")
_MASK_HEADS = (
    "cls",
    "lm_head",
    "predictions",
    "head",
    "decoder",
    "vocab_transform",
    "vocab_layer_norm",
    "vocab_projector",
)
NEW: dict[Head, tuple[str, ...]] = {
    "lm": (),
    "mask": _MASK_HEADS,
    "pretrain": (*_MASK_HEADS, "seq_relationship", "pooler"),
    "classify": _LABEL_HEADS,
    "tag": _LABEL_HEADS,
    "embed": ("pooler",),
}
"""Parts of the names of modules that a checkpoint made for another head need not hold."""
_AUTO: dict[tuple[Family, Head], Any] = {
    ("decoder", "lm"): AutoModelForCausalLM,
    ("encoder-decoder", "lm"): AutoModelForSeq2SeqLM,
    ("encoder", "mask"): AutoModelForMaskedLM,
    ("encoder", "pretrain"): AutoModelForPreTraining,
    ("encoder", "classify"): AutoModelForSequenceClassification,
    ("decoder", "classify"): AutoModelForSequenceClassification,
    ("encoder", "tag"): AutoModelForTokenClassification,
    ("encoder", "embed"): AutoModel,
    ("decoder", "embed"): AutoModel,
    ("encoder-decoder", "embed"): AutoModel,
}


def auto_class(family: Family, head: Head, place: object = "") -> Any:
    """The Auto class of a family and a head.

    Raises:
        BadInput: The family has no such head.
    """
    if (family, head) not in _AUTO:
        raise BadInput("models.no_head", place=place, family=family, head=head)
    return _AUTO[family, head]


def base_of(model: Any) -> Any:
    """The transformers model itself, within adapters."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def native_head(family: Family) -> Head:
    """The head a family is pretrained with."""
    return "mask" if family == "encoder" else "lm"


def label_settings(labels: Sequence[str]) -> dict[str, Any]:
    """Configuration that names the outputs of a classification head, so that the model tells its labels anywhere."""
    names = dict(enumerate(labels))
    return {"num_labels": len(names), "id2label": names, "label2id": {label: i for i, label in names.items()}}


def embed(model: Any, batch: Mapping[str, Tensor]) -> Tensor:
    """Mean of the last hidden states over the tokens that are not padding (Reimers & Gurevych 2019, section 3).

    Args:
        model: A model with or without a head; of an encoder-decoder only the encoder is run.
        batch: ``ids`` and ``mask``, both (rows, tokens).

    Returns:
        (rows, width), float32 at least.
    """
    body = model.get_encoder() if model.config.is_encoder_decoder else model.base_model
    hidden = body(input_ids=batch["ids"], attention_mask=batch["mask"]).last_hidden_state
    hidden = hidden if hidden.element_size() >= 4 else hidden.float()
    mask = batch["mask"].unsqueeze(-1).to(hidden.dtype)
    return (hidden * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)

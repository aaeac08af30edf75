"""Labels and vectors: what /v1/classify and /v1/embeddings answer."""

from __future__ import annotations

import base64
import math
import re
import struct
from collections.abc import Iterator, Sequence
from typing import Any

from escalade.deploy.api_errors import ApiError
from escalade.deploy.api_requests import EmbeddingRequest, RelationInput
from escalade.deploy.api_served import Served
from escalade.protocols import Prediction, Predictor
from escalade.records import Labelled, Record, Related, Tagged

_CJK = "\u2e80-\u2fdf\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
_WORD = re.compile(rf"[{_CJK}]|(?:(?![{_CJK}])\w)+(?:[-'’.](?:(?![{_CJK}])\w)+)*|[^\w\s]")

Span = tuple[int, int]


def words(text: str) -> list[Span]:
    """Where the words of a text are, as start and end in characters.

    Runs of letters and digits, with hyphens, apostrophes and full stops inside them; every other visible character
    and every character of a script without spaces is a word of its own.
    """
    return [match.span() for match in _WORD.finditer(text)]


def classified(served: Served, inputs: Sequence[str] | Sequence[RelationInput]) -> Iterator[dict[str, Any]]:
    """One answer per input.

    Raises:
        ApiError: 400 where the kind of task needs another kind of input, or an input has no words.
    """
    predictor = served.predictor
    assert predictor is not None
    if served.kind == "token-classification":
        yield from _tagged(predictor, _texts(inputs))
        return
    records: list[Record]
    if served.kind == "relation-extraction":
        records = [Related(f"request:{i}", r.text, r.head, r.tail, "") for i, r in enumerate(_relations(inputs))]
    else:
        records = [Labelled(f"request:{i}", text, "") for i, text in enumerate(_texts(inputs))]
    for i, prediction in enumerate(predictor.predict(records)):
        yield {"index": i, "label": prediction.label, "probabilities": _probabilities(prediction)}


def _tagged(predictor: Predictor, texts: Sequence[str]) -> Iterator[dict[str, Any]]:
    spans = [words(text) for text in texts]
    full = [i for i, found in enumerate(spans) if found]
    records: list[Record] = []
    for i in full:
        tokens = tuple(texts[i][start:end] for start, end in spans[i])
        records.append(Tagged(f"request:{i}", tokens, ("O",) * len(tokens)))
    predicted = dict(zip(full, predictor.predict(records), strict=True)) if records else {}
    for i, text in enumerate(texts):
        prediction = predicted.get(i)
        yield {"index": i, "spans": entities(text, spans[i], prediction) if prediction else []}


def entities(text: str, spans: Sequence[Span], prediction: Prediction) -> list[dict[str, Any]]:
    """The entities that BIO (or BIOES) tags mark.

    An I tag that follows no tag of its type begins an entity, as in the CoNLL evaluation. The probability is the
    product over the entity's tags.

    Args:
        text: The text.
        spans: Its words.
        prediction: One tag a word, perhaps with log-probabilities.
    """
    found: list[dict[str, Any]] = []
    logprobs = prediction.logprobs or (None,) * len(spans)
    kind_before = ""
    for (start, end), tag, logprob in zip(spans, prediction.tags or (), logprobs, strict=True):
        prefix, _, kind = tag.partition("-")
        if prefix == "O" or not kind:
            kind_before = ""
            continue
        if kind != kind_before or prefix in ("B", "S"):
            found.append({"type": kind, "start": start, "end": end, "words": [], "probability": None})
            found[-1]["probability"] = None if logprob is None else 1.0
        entity = found[-1]
        entity["end"] = end
        entity["words"].append(text[start:end])
        if logprob is not None:
            entity["probability"] *= math.exp(logprob)
        kind_before = kind
    return [{**entity, "text": text[entity["start"] : entity["end"]]} for entity in found]


def embedded(served: Served, request: EmbeddingRequest) -> Iterator[dict[str, Any]]:
    """One vector per input, as numbers or as base64 of little-endian float32.

    Raises:
        ApiError: 422 where other dimensions are asked for than the model gives.
    """
    assert served.embed is not None
    vectors = served.embed(request.inputs)
    for i, vector in enumerate(vectors):
        if request.dimensions not in (None, len(vector)):
            raise ApiError(
                422,
                "unsupported_value",
                "serve.unsupported_value",
                param="dimensions",
                field="dimensions",
                only=len(vector),
            )
        packed: Any = vector
        if request.encoding_format == "base64":
            packed = base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
        yield {"object": "embedding", "index": i, "embedding": packed}


def embedding_usage(served: Served, inputs: Sequence[str]) -> dict[str, int] | None:
    """The tokens that were read; None where nothing can count them."""
    count = served.count or (served.sampler.count if served.sampler else None)
    if count is None:
        return None
    read = sum(map(count, inputs))
    return {"prompt_tokens": read, "total_tokens": read}


def _probabilities(prediction: Prediction) -> dict[str, float] | None:
    """Most probable first."""
    if prediction.probabilities is None:
        return None
    return dict(sorted(prediction.probabilities.items(), key=lambda item: -item[1]))


def _texts(inputs: Sequence[str] | Sequence[RelationInput]) -> list[str]:
    texts = [text for text in inputs if isinstance(text, str)]
    if len(texts) < len(inputs):
        raise ApiError(400, "invalid_value", "serve.needs_text", param="input")
    return texts


def _relations(inputs: Sequence[str] | Sequence[RelationInput]) -> list[RelationInput]:
    relations = [relation for relation in inputs if isinstance(relation, RelationInput)]
    if len(relations) < len(inputs):
        raise ApiError(400, "invalid_value", "serve.needs_relation", param="input")
    return relations

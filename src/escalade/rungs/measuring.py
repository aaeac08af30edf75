"""Local models that metrics ask: vectors of tokens, and probabilities of a label."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from escalade.errors import BadInput
from escalade.evaluate.metrics.similarity import Encoded
from escalade.models.encoding import cut_prompt, encode_plain, encode_prompt, frame
from escalade.models.load import load_tokenizer
from escalade.records import Labelled
from escalade.rungs.features import encode_text, in_batches
from escalade.rungs.forgetting import Pretrained, base_nats
from escalade.rungs.heads import HeadPredictor

_MARK = 8
"""Letters of a digest that tell models apart."""


class TokenEncoder:
    """The hidden states of one layer of an encoder.

    Args:
        model: Without a head of its own.
        tokenizer: Of the model.
        context: Longest input in tokens.
        digest: Of the model.
        layer: Whose hidden states are taken, 0 for the embeddings; the last where left out.

    Raises:
        BadInput: The model has no such layer.
    """

    def __init__(self, model: Any, tokenizer: Any, context: int, digest: str, layer: int | None = None) -> None:
        layers = int(model.config.num_hidden_layers)
        if layer is not None and not 0 <= layer <= layers:
            raise BadInput("evaluate.layer", place="similarity", layer=layer, layers=layers)
        self.mark, self.layer = digest.removeprefix("b2:")[:_MARK], layers if layer is None else layer
        self._model, self._tokenizer, self._context = model.eval(), tokenizer, context
        before, after = frame(tokenizer)
        self._before, self._after = len(before), len(after)

    def ids(self, texts: Sequence[str]) -> list[tuple[int, ...]]:
        """The token ids of each text, uncut, special tokens left out."""
        return [tuple(encode_plain(self._tokenizer, text)) for text in texts]

    def encode(self, texts: Sequence[str]) -> list[Encoded]:
        """The token vectors of each text, of unit length, special tokens left out."""
        whole = [encode_prompt(self._tokenizer, "encoder", text) for text in texts]
        rows = [cut_prompt(self._tokenizer, "encoder", ids, self._context) for ids in whole]
        made = []
        for ids, row, hidden in zip(
            whole, rows, in_batches(rows, self._tokenizer.pad_token_id, self._states), strict=True
        ):
            inner = slice(self._before, len(row) - self._after)
            vectors = torch.nn.functional.normalize(hidden[inner].float(), dim=-1).numpy()
            made.append(Encoded(tuple(row[inner]), vectors, len(row) < len(ids)))
        return made

    def _states(self, ids: Tensor, mask: Tensor) -> Tensor:
        states: Tensor = self._model.base_model(
            input_ids=ids, attention_mask=mask, output_hidden_states=True
        ).hidden_states[self.layer]
        return states


class TextLikelihood:
    """How likely a language model finds texts.

    Args:
        base: The model.
        name: Named in errors.
    """

    def __init__(self, base: Pretrained, name: str) -> None:
        self.mark, self.signature = str(base.base.digest).removeprefix("b2:")[:_MARK], base.signature
        self._base, self._name = base, name

    def nats(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """(texts, 3): nats, bytes, tokens.

        Raises:
            BadInput: The model gives texts no likelihood (an encoder without a masked-language head).
        """
        found = base_nats(self._base, texts, lambda: None)
        if isinstance(found, str):
            raise BadInput("evaluate.no_likelihood", place=self._name, model=self._base.base.name)
        tokenizer = load_tokenizer(self._base.folder)
        whole = [len(encode_plain(tokenizer, text)) for text in texts]
        # An encoder-decoder predicts a part of each text: its tokens count as its bytes do.
        shares = found[:, 1] / np.maximum(1, [len(text.encode()) for text in texts])
        return np.column_stack([found, np.maximum(1.0, whole * shares)])


class LabelClassifier:
    """The probability of one label.

    Args:
        predictor: Answers texts with labels and their probabilities.
        label: Whose probability is asked for.
        labels: All there are.
        digest: Of the model.

    Raises:
        BadInput: The model has no such label.
    """

    def __init__(self, predictor: Any, label: str, labels: Sequence[str], digest: str) -> None:
        if label not in labels:
            raise BadInput("evaluate.label_unknown", place="toxicity", label=label, known=", ".join(labels))
        self.mark = digest.removeprefix("b2:")[:_MARK]
        self._predictor, self._label, self._labels = predictor, label, list(labels)

    def probabilities(self, texts: Sequence[str]) -> list[float]:
        """Of the label, for each text; texts longer than the model reads are judged by their beginning.

        Raises:
            BadInput: The model gives no probabilities.
        """
        if isinstance(self._predictor, HeadPredictor) and _several_at_once(self._predictor.model):
            return self._by_itself(self._predictor, texts)
        found = self._predictor.predict([Labelled(f"answer:{i}", text, "") for i, text in enumerate(texts)])
        said = []
        for prediction in found:
            if not prediction.probabilities:
                raise BadInput("evaluate.no_shares", place="toxicity")
            said.append(float(prediction.probabilities[self._label]))
        return said

    def _by_itself(self, predictor: HeadPredictor, texts: Sequence[str]) -> list[float]:
        """Where labels do not exclude each other, each has a probability by itself."""
        rows = [encode_text(predictor.tokenizer, text, predictor.context) for text in texts]
        place = predictor.labels.index(self._label)
        return [float(logits[place].sigmoid()) for logits in predictor.logits(rows)]


def _several_at_once(model: Any) -> bool:
    return getattr(model.config, "problem_type", None) == "multi_label_classification"

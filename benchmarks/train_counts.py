"""What is counted where training is measured: tokens that carry information, and the operations they need.

Plain arithmetic on lengths and on a model's ``config.json``, the same for everyone who trains: padding, recomputed
layers and logits that nobody learns from are time, never work.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

IGNORE = -100
"""Label of a token that is not learnt."""
On = Literal["read", "written", "learnt"]


@dataclass(frozen=True)
class Size:
    """One row, in tokens."""

    read: int
    """Tokens that go in; of an encoder-decoder those of the encoder."""
    written: int
    """Tokens of the decoder of an encoder-decoder, else 0."""
    learnt: int
    """Tokens whose logits the loss needs."""

    @property
    def useful(self) -> int:
        """Tokens that carry information."""
        return self.read + self.written


@dataclass(frozen=True)
class Product:
    """One weight matrix that rows are multiplied by."""

    given: int
    """Width of what goes in."""
    made: int
    """Width of what comes out."""
    times: int
    """Matrices of this shape."""
    on: On
    """Which tokens go through."""


def size_of(row: Mapping[str, Any], paired: bool) -> Size:
    """The size of one row ``{"ids", "labels", "learnt"}``.

    Args:
        row: ``labels`` are those of transformers: at each place the token itself where it is learnt, else IGNORE.
            ``learnt`` says how many there are where they are drawn anew at every pass.
        paired: The labels are the tokens of a decoder of their own.
    """
    labels = row.get("labels") or []
    if "learnt" in row:
        learnt = int(row["learnt"])
    elif paired:
        learnt = len(labels)
    else:
        # Nothing foretells the first token of a decoder's row.
        learnt = sum(label != IGNORE for label in labels[1:])
    return Size(len(row["ids"]), len(labels) if paired else 0, learnt)


def useful_tokens(sizes: Iterable[Size]) -> int:
    """Tokens of many rows that carry information."""
    return sum(size.useful for size in sizes)


def products(config: Mapping[str, Any]) -> list[Product]:
    """The weight matrices of one forward pass, from a Llama, BERT or T5 configuration.

    Raises:
        ValueError: Another architecture.
    """
    kind = config["model_type"]
    if kind == "llama":
        return _llama(config)
    if kind == "bert":
        return _bert(config)
    if kind == "t5":
        return _t5(config)
    raise ValueError(f"no count for {kind}")


def step_flops(config: Mapping[str, Any], sizes: Iterable[Size]) -> float:
    """Floating-point operations that rows need in training, two for a multiplication and an addition.

    Three times the forward pass's matrix products (one more each for the gradient of what goes in and of the weights):
    weight matrices, the head at learnt places, and attention between those pairs of places that see each other.
    """
    found = list(sizes)
    on = {
        "read": sum(size.read for size in found),
        "written": sum(size.written for size in found),
        "learnt": sum(size.learnt for size in found),
    }
    linear = sum(2 * one.given * one.made * one.times * on[one.on] for one in products(config))
    return 3.0 * (linear + sum(attention_flops(config, size) for size in found))


def attention_flops(config: Mapping[str, Any], size: Size) -> int:
    """Operations of one row's scores and weighted sums, forward."""
    kind, read, written = config["model_type"], size.read, size.written
    if kind == "t5":
        layers, width = config["num_layers"], config["num_heads"] * config["d_kv"]
        decoder = config.get("num_decoder_layers") or layers
        return 4 * width * (layers * read * read + decoder * (_causal(written) + read * written))
    pairs = _causal(read) if kind == "llama" else read * read
    return int(4 * config["hidden_size"] * config["num_hidden_layers"] * pairs)


def _causal(length: int) -> int:
    """Pairs of places of which the later sees the earlier, each place itself too."""
    return length * (length + 1) // 2


def _llama(config: Mapping[str, Any]) -> list[Product]:
    width, inner, layers = config["hidden_size"], config["intermediate_size"], config["num_hidden_layers"]
    head = config.get("head_dim") or width // config["num_attention_heads"]
    queries, keys = head * config["num_attention_heads"], head * config["num_key_value_heads"]
    return [
        Product(width, queries, layers, "read"),
        Product(width, keys, 2 * layers, "read"),
        Product(queries, width, layers, "read"),
        Product(width, inner, 2 * layers, "read"),
        Product(inner, width, layers, "read"),
        Product(width, config["vocab_size"], 1, "learnt"),
    ]


def _bert(config: Mapping[str, Any]) -> list[Product]:
    width, inner, layers = config["hidden_size"], config["intermediate_size"], config["num_hidden_layers"]
    return [
        Product(width, width, 4 * layers, "read"),
        Product(width, inner, layers, "read"),
        Product(inner, width, layers, "read"),
        Product(width, width, 1, "learnt"),
        Product(width, config["vocab_size"], 1, "learnt"),
    ]


def _t5(config: Mapping[str, Any]) -> list[Product]:
    width, wide, layers = config["d_model"], config["d_ff"], config["num_layers"]
    heads = config["num_heads"] * config["d_kv"]
    decoder = config.get("num_decoder_layers") or layers
    up = 2 if str(config["feed_forward_proj"]).startswith("gated") else 1
    return [
        # Keys and values of cross-attention are made of what the encoder read.
        Product(width, heads, 3 * layers + 2 * decoder, "read"),
        Product(heads, width, layers, "read"),
        Product(width, wide, up * layers, "read"),
        Product(wide, width, layers, "read"),
        Product(width, heads, 4 * decoder, "written"),
        Product(heads, width, 2 * decoder, "written"),
        Product(width, wide, up * decoder, "written"),
        Product(wide, width, decoder, "written"),
        Product(width, config["vocab_size"], 1, "learnt"),
    ]

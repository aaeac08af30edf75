"""What a pretraining run is laid out as: every setting the dial gives, and the sentence that says how it came."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from escalade.catalogue import dial
from escalade.catalogue.dial import Derived, Network
from escalade.errors import BadInput
from escalade.values import Setting

if TYPE_CHECKING:
    from escalade.train.pretraining import Machine, Pretraining


@dataclass(frozen=True)
class Layout:
    """The run, before its first step."""

    network: Network
    tokens: int
    """Tokens to learn from; a forecast where the length is a time."""
    batch: int
    steps: int
    learning_rate: float
    dropout: float | None
    """None leaves it as the base has it."""
    derived: tuple[Derived, ...]
    """The same everywhere."""
    forecast: tuple[Derived, ...]
    """Of this machine alone: time and memory."""


@dataclass(frozen=True)
class _Amount:
    value: int
    key: str
    facts: dict[str, Setting]


def laid_out(
    wanted: Pretraining,
    network: Network,
    machine: Machine,
    characters: int,
    text_tokens: int,
    pieces: int,
    base: Any = None,
) -> Layout:
    """Turns the dial.

    Args:
        wanted: What was asked for.
        network: What is trained.
        machine: Where.
        characters: Of the text.
        text_tokens: Of the text, once.
        pieces: The text is cut into.
        base: The network's configuration.

    Raises:
        BadInput: A step is to have fewer tokens than a row.
    """
    amount = _tokens(wanted, network, machine, text_tokens)
    if wanted.batch is not None and wanted.batch < network.context:
        place = f"--batch-tokens {wanted.batch}"
        raise BadInput("stages.batch_below_context", place=place, context=network.context)
    batch = wanted.batch or dial.batch_tokens(amount.value, network.context)
    steps = round(wanted.length.amount) if wanted.length.kind == "steps" else max(1, round(amount.value / batch))
    continued = wanted.base is not None
    rate = wanted.learning_rate or dial.learning_rate(
        network.family, network.parameters, amount.value, continued, network.post_norm
    )
    dropout = None if continued else dial.dropout(network.family, amount.value / text_tokens)
    derived = (
        *_shape(wanted, network, base),
        _vocabulary(wanted, network, characters),
        _context(wanted, network),
        Derived(name="text", value=text_tokens, unit="tokens", key="dial.text_counted",
                facts={"characters": characters, "pieces": pieces}),
        Derived(name="tokens", value=amount.value, unit="tokens", key=amount.key, facts=amount.facts),
        _batch(amount.value, batch, network.context, wanted.batch is not None),
        Derived(name="steps", value=steps, unit="steps", key="dial.steps_counted"),
        _rate(network, amount.value, rate, continued, wanted.learning_rate is not None),
        *([] if dropout is None else [_dropout(dropout)]),
        Derived(name="warmup", value=dial.WARMUP, unit="share of the steps", key="dial.warmup_share"),
    )  # fmt: skip
    seconds = dial.forecast_seconds(network, machine.flops, amount.value, batch)
    forecast = (
        Derived(name="time", value=round(seconds), unit="s", key="dial.time_forecast",
                facts={"processor": machine.processor}),
        Derived(name="memory", value=round(dial.memory_needed(network, min(4096, batch)) / 1e6), unit="MB",
                key="dial.memory_forecast"),
    )  # fmt: skip
    return Layout(network, amount.value, batch, steps, rate, dropout, derived, forecast)


def _shape(wanted: Pretraining, network: Network, config: Any) -> tuple[Derived, ...]:
    deep = "dial.shape_modernbert" if wanted.architecture == "modernbert" else "dial.shape"
    key = "dial.of_base" if wanted.base is not None else deep
    heads = int(config.num_attention_heads)
    size = "dial.of_base" if wanted.base is not None else "dial.size_asked"
    facts: dict[str, Setting] = {} if wanted.base is not None else {"size": wanted.size}
    return (
        Derived(name="parameters", value=network.parameters, unit="parameters", key=size, facts=facts),
        Derived(name="layers", value=network.layers, unit="layers", key=key),
        Derived(name="width", value=network.width, unit="", key=key),
        Derived(name="heads", value=heads, unit="", key="dial.of_base" if wanted.base is not None else "dial.heads"),
    )


def _vocabulary(wanted: Pretraining, network: Network, characters: int) -> Derived:
    def said(key: str, **facts: Setting) -> Derived:
        return Derived(name="vocabulary", value=network.vocabulary, unit="tokens", key=key, facts=facts)

    if wanted.base is not None:
        return said("dial.of_base")
    if wanted.tokenizer_folder is not None:
        return said("dial.of_tokenizer")
    if wanted.vocabulary is not None:
        return said("dial.asked")
    return said("dial.vocabulary_text", each=dial.PER_ENTRY, characters=characters)


def _context(wanted: Pretraining, network: Network) -> Derived:
    key = "dial.asked" if wanted.context else "dial.of_base" if wanted.base is not None else "dial.context_width"
    return Derived(name="context", value=network.context, unit="tokens", key=key)


def _tokens(wanted: Pretraining, network: Network, machine: Machine, text_tokens: int) -> _Amount:
    amount = wanted.length.amount
    match wanted.length.kind:
        case "minutes":
            tokens = round(dial.tokens_in(network, machine.flops, 60 * amount, wanted.batch))
            rate = round(tokens / (60 * amount))
            return _Amount(
                max(1, tokens), "dial.tokens_minutes", {"minutes": amount, "rate": rate, "processor": machine.processor}
            )
        case "steps":
            steps = round(amount)
            tokens = steps * wanted.batch if wanted.batch else round(dial.tokens_of_steps(steps, network.context))
            return _Amount(tokens, "dial.tokens_steps", {"steps": round(amount)})
        case "tokens":
            passes = amount / text_tokens
            return _Amount(round(amount), *_passes(passes, "dial.asked"))
        case "epochs":
            return _Amount(max(1, round(amount * text_tokens)), *_passes(amount, "dial.tokens_epochs"))
        case _:
            best, limit = round(dial.optimal_tokens(network.total)), dial.REPEATS * text_tokens
            if limit < best:
                return _Amount(limit, "dial.tokens_repeated", {"repeats": dial.REPEATS, "best": best})
            return _Amount(best, "dial.tokens_optimal", {"ratio": round(best / network.total, 1)})


def _passes(passes: float, key: str) -> tuple[str, dict[str, Setting]]:
    """How often the text is read, and that more than four passes teach less each."""
    if passes > dial.REPEATS:
        return "dial.tokens_beyond", {"passes": round(passes, 1), "repeats": dial.REPEATS}
    return key, {"passes": round(passes, 2)} if key != "dial.asked" else {}


def _batch(tokens: int, batch: int, context: int, asked: bool) -> Derived:
    if asked:
        return Derived(name="batch", value=batch, unit="tokens a step", key="dial.asked")
    law = round(0.58 * tokens**0.571)
    key = "dial.batch_law" if law >= dial.FEWEST_ROWS * context else "dial.batch_least"
    return Derived(name="batch", value=batch, unit="tokens a step", key=key,
                   facts={"law": law, "rows": batch // context})  # fmt: skip


def _rate(network: Network, tokens: int, rate: float, continued: bool, asked: bool) -> Derived:
    if asked:
        return Derived(name="learning_rate", value=rate, unit="", key="dial.asked")
    law = dial.law_rate(network.parameters, tokens)
    if law > dial.highest_rate(network.family, network.parameters, network.post_norm):
        if network.post_norm:
            key = "dial.rate_post_norm_continued" if continued else "dial.rate_post_norm"
        else:
            key = "dial.rate_measured_continued" if continued else "dial.rate_measured"
    elif dial.FITTED_FROM <= network.parameters <= dial.FITTED_TO:
        key = "dial.rate_law_continued" if continued else "dial.rate_law"
    else:
        key = "dial.rate_outside_continued" if continued else "dial.rate_outside"
    return Derived(name="learning_rate", value=rate, unit="", key=key, facts={"law": float(f"{law:.2g}")})


def _dropout(value: float) -> Derived:
    key = "dial.dropout_repeated" if value else "dial.dropout_none"
    return Derived(name="dropout", value=value, unit="", key=key, facts={"repeats": dial.REPEATS})

"""Rung cards: each way of adapting, when it applies, what it will take, and where its code is. No torch.

Adding a rung is a module with an ``adapt`` function in ``rungs/`` and a card here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from escalade.catalogue.situation import LABEL_KINDS, LOADING, Situation
from escalade.values import Cost, Kind, Refused, Rung, Setting

Settings = dict[str, Setting]
_MEMORY_OF_LIBRARIES = 600e6
"""Resident bytes of an interpreter with torch and transformers loaded, before any model."""


@dataclass(frozen=True)
class RungCard:
    """What is known of a rung before it is tried."""

    name: str
    what: str
    when: str
    strengths: str
    limits: str
    paper: str
    path: str
    """``module:function`` of its ``adapt``."""
    refusal: Callable[[Situation], Refused | None]
    """Why the rung cannot be tried here; None where it can."""
    settings: Callable[[Situation], Settings]
    """Every setting resolved, from the situation alone, so that the same situation gives the same attempt."""
    estimate: Callable[[Situation, Settings], Cost]
    objective: Callable[[Situation], str | None]
    changes_base: bool = False
    """Whether a pretrained base's own weights, or what is added to them, are trained, so that it may forget."""

    def rung(self, situation: Situation) -> Rung:
        """The rung with every setting resolved."""
        return Rung(name=self.name, objective=self.objective(situation), settings=self.settings(situation))


# -- which rung can be tried ------------------------------------------------------------------------------------------


def _no(name: str, key: str, **facts: Setting) -> Refused:
    return Refused(name=name, key=key, facts=facts)


def _needs_weights(name: str, s: Situation) -> Refused | None:
    """For rungs that train or read a pretrained model on this machine."""
    if s.base.source == "scratch":
        return _no(name, "rungs.needs_pretrained", base=s.base.name)
    if s.base.source == "api":
        return _no(name, "rungs.needs_weights", base=s.base.name)
    return None


def _fits_family(name: str, s: Situation) -> Refused | None:
    """Whether the family can do the kind at all."""
    kinds_of_encoders: tuple[Kind, ...] = ("classification", "relation-extraction", "token-classification", "embedding")
    if s.base.family == "encoder" and s.facts.kind not in kinds_of_encoders:
        return _no(name, "rungs.encoder_cannot", kind=s.facts.kind)
    if s.base.family != "encoder" and s.facts.kind == "embedding":
        return _no(name, "rungs.encoder_only", kind=s.facts.kind)
    return None


def _only_baseline(s: Situation) -> Refused | None:
    return None if s.base.family == "none" else _no("baseline", "rungs.baseline_without_base")


def _probe_refused(s: Situation) -> Refused | None:
    if s.facts.kind not in (*LABEL_KINDS, "token-classification"):
        return _no("probe", "rungs.labels_only", kind=s.facts.kind)
    return _needs_weights("probe", s)


def _prompt_refused(name: str) -> Callable[[Situation], Refused | None]:
    def refusal(s: Situation) -> Refused | None:
        if s.base.source == "scratch":
            return _no(name, "rungs.needs_pretrained", base=s.base.name)
        if s.facts.kind == "embedding" and name == "zero_shot":
            return _fits_family(name, s)
        if not s.generative:
            return _no(name, "rungs.encoder_unprompted")
        if name == "few_shot" and _demonstrations(s) == 0:
            return _no(name, "rungs.no_room", context=s.base.context or 0)
        return _fits_family(name, s)

    return refusal


def _lora_refused(s: Situation) -> Refused | None:
    if s.facts.kind == "embedding":
        return _no("lora", "rungs.no_objective", kind=s.facts.kind)
    return _needs_weights("lora", s) or _fits_family("lora", s)


def _full_refused(s: Situation) -> Refused | None:
    if s.facts.kind == "embedding":
        return _no("full", "rungs.no_objective", kind=s.facts.kind)
    if s.base.source == "api":
        return _no("full", "rungs.needs_weights", base=s.base.name)
    return _fits_family("full", s)


def _dpo_refused(s: Situation) -> Refused | None:
    if not s.preferences:
        return _no("dpo", "rungs.no_preferences")
    if s.base.family != "decoder":
        return _no("dpo", "rungs.decoder_only")
    return _needs_weights("dpo", s)


# -- settings, resolved from the situation ----------------------------------------------------------------------------


def _no_settings(s: Situation) -> Settings:
    return {}


def _probe_settings(s: Situation) -> Settings:
    return {"context": s.input_limit} if s.input_limit else {}


def _demonstrations(s: Situation) -> int:
    """As many demonstrations as fit into half of the context, at most 8; at most 16 for labels."""
    most = 16 if s.facts.kind in LABEL_KINDS else 8
    room = (s.base.context or 4096) / 2 - s.input_tokens
    return max(0, min(most, int(room / (s.row_tokens + 8))))


def _few_shot_settings(s: Situation) -> Settings:
    return {"demonstrations": _demonstrations(s)}


_LEAST_EPOCHS = 0.25
"""Share of the rows below which training is not planned."""


def _training(s: Situation, *, rate: float, epochs: float, factor: float) -> Settings:
    """Whole epochs that fit into the time one attempt may plan for; where not even one does, a part of one.

    A part of an epoch learns from some of the rows only, and beats not being tried.
    """
    if s.seconds is not None:
        room = s.seconds - LOADING - s.answering_seconds(s.validation_rows)
        affordable = max(0.0, room) / s.training_seconds(s.rows, factor)
        epochs = min(epochs, float(int(affordable))) if affordable >= 1 else max(_LEAST_EPOCHS, round(affordable, 2))
    batch = 16 if s.rows < 5_000 else 32
    return {"epochs": epochs, "learning_rate": rate, "batch_rows": batch, "warmup": 0.06, "context": s.input_limit}


def _passes(s: Situation) -> float:
    """Passes over the rows: three, and more over few rows, which would else be too few steps to learn anything.

    About two hundred steps of 16 rows; on 264 rows of four labels, three passes at the usual rate left a 22M encoder
    below the linear baseline.
    """
    return float(min(15, max(3, round(3200 / max(1, s.rows)))))


def _lora_settings(s: Situation) -> Settings:
    # Learning rate: about ten times that of full fine-tuning, higher below 300M parameters
    # (LoRA Without Regret, 2025; PEFT's own comparison).
    return _training(s, rate=1e-3, epochs=_passes(s), factor=2.2) | {"rank": 8, "alpha": 16}


def _full_settings(s: Situation) -> Settings:
    if s.base.source == "scratch":
        passes = min(40.0, max(5.0, 60_000 / max(1, s.rows)))
        # BERT's norms stand behind the residual sum, and such stacks do not start learning at a high rate.
        rate = 3e-4 if s.base.family == "encoder" else 1e-3
        return _training(s, rate=rate, epochs=passes, factor=3.0)
    small = s.parameters < 5e6
    # The smaller the model, the higher the rate that it bears; measured on a 22M encoder (11M beside the embeddings):
    # 0.858 at 1e-4 and 0.854 at 5e-5 after one pass over 6,920 sentences.
    rate = 5e-4 if small else 1e-4 if s.parameters < 50e6 else 5e-5
    return _training(s, rate=rate, epochs=max(_passes(s), 10.0 if small else 3.0), factor=3.0)


def _dpo_settings(s: Situation) -> Settings:
    # beta = 0.1 as in Rafailov et al. 2023.
    return {"epochs": 2.0, "learning_rate": 1e-4 if s.parameters < 5e6 else 5e-6, "batch_rows": 8, "beta": 0.1}


# -- what it will take ------------------------------------------------------------------------------------------------


def _cost(s: Situation, seconds: float, bytes_per_parameter: float) -> Cost:
    return Cost(seconds=round(seconds, 3), peak_bytes=_MEMORY_OF_LIBRARIES + bytes_per_parameter * s.parameters)


def _baseline_cost(s: Situation, settings: Settings) -> Cost:
    # Measured: TF-IDF with logistic regression takes about 30 ms per thousand tokens; the others next to nothing.
    per_row = {"linear": 8e-4, "linear-tags": 3e-3, "nearest": 5e-4}.get(s.base.name, 1e-5)
    tokens = (s.rows + s.validation_rows) * max(1.0, s.row_tokens / 25)
    return Cost(seconds=round(0.05 + per_row * tokens, 3), peak_bytes=3e8)


def _probe_cost(s: Situation, settings: Settings) -> Cost:
    reading = s.forward_seconds((s.rows + s.validation_rows) * s.read_tokens)
    return _cost(s, LOADING + reading + 3e-4 * s.rows * max(2, len(s.facts.labels)), 4)


def _zero_shot_cost(s: Situation, settings: Settings) -> Cost:
    return _cost(s, LOADING + s.answering_seconds(s.validation_rows, s.read_tokens + 30), 4)


def _few_shot_cost(s: Situation, settings: Settings) -> Cost:
    prompt = s.read_tokens + 30 + _demonstrations(s) * (s.row_tokens + 8)
    return _cost(s, LOADING + s.answering_seconds(s.validation_rows, prompt), 4)


def _training_cost(factor: float, bytes_per_parameter: float) -> Callable[[Situation, Settings], Cost]:
    def estimate(s: Situation, settings: Settings) -> Cost:
        epochs = float(settings["epochs"] or 0)
        # A pair is two answers, each as long as prompt and answer together, read by two models.
        rows = s.preferences * 6 if "beta" in settings else s.rows
        seconds = LOADING + epochs * s.training_seconds(rows, factor) + s.answering_seconds(s.validation_rows)
        return _cost(s, seconds, bytes_per_parameter)

    return estimate


# -- the cards --------------------------------------------------------------------------------------------------------


def _nothing_learnt(s: Situation) -> str | None:
    return None


def _supervised(s: Situation) -> str | None:
    if s.base.family == "encoder":
        return "tag" if s.facts.kind == "token-classification" else "classify"
    return "sft"


def _preference(s: Situation) -> str | None:
    return "preference"


_CARDS = (
    RungCard(
        name="baseline",
        what="no neural model: majority, copy, lead, nearest neighbour, linear on TF-IDF",
        when="always; it is what every dearer way must beat",
        strengths="seconds to fit, microseconds to answer, explainable",
        limits="blind to word order and meaning",
        paper="Salton & Buckley 1988, Term-weighting approaches in automatic text retrieval",
        path="escalade.rungs.baseline:adapt",
        refusal=_only_baseline,
        settings=_no_settings,
        estimate=_baseline_cost,
        objective=_nothing_learnt,
    ),
    RungCard(
        name="probe",
        what="a frozen base with a linear head on its features",
        when="a pretrained model is at hand and rows are few",
        strengths="one reading of the data; the base cannot forget",
        limits="only labels; the features stay as they are",
        paper="Alain & Bengio 2016, Understanding intermediate layers using linear classifier probes",
        path="escalade.rungs.probe:adapt",
        refusal=_probe_refused,
        settings=_probe_settings,
        estimate=_probe_cost,
        objective=_nothing_learnt,
    ),
    RungCard(
        name="zero_shot",
        what="the base, asked in words",
        when="a pretrained model that writes text",
        strengths="nothing is trained",
        limits="small models hardly follow instructions; the wording matters",
        paper="Radford et al. 2019, Language models are unsupervised multitask learners",
        path="escalade.rungs.prompt:zero_shot",
        refusal=_prompt_refused("zero_shot"),
        settings=_no_settings,
        estimate=_zero_shot_cost,
        objective=_nothing_learnt,
    ),
    RungCard(
        name="few_shot",
        what="the base, shown examples in the prompt",
        when="a pretrained model with room in its context",
        strengths="nothing is trained; a handful of rows suffices",
        limits="every request pays for the examples again",
        paper="Brown et al. 2020, Language models are few-shot learners",
        path="escalade.rungs.prompt:few_shot",
        refusal=_prompt_refused("few_shot"),
        settings=_few_shot_settings,
        estimate=_few_shot_cost,
        objective=_nothing_learnt,
    ),
    RungCard(
        name="lora",
        what="low-rank adapters trained beside frozen weights, merged before shipping",
        when="a pretrained model and from a few hundred rows on",
        strengths="a fraction of the memory; keeps most of what the base can do",
        limits="learns less than full fine-tuning when data is plenty",
        paper="Hu et al. 2021, LoRA: Low-Rank Adaptation of Large Language Models",
        path="escalade.rungs.tuning:lora",
        refusal=_lora_refused,
        settings=_lora_settings,
        estimate=_training_cost(2.2, 8),
        objective=_supervised,
        changes_base=True,
    ),
    RungCard(
        name="full",
        what="every weight trained; from scratch where the candidate is `scratch`",
        when="enough rows, and memory for 16 bytes a parameter",
        strengths="the most that the data can teach this model",
        limits="overfits below about a thousand rows; forgets most",
        paper="Devlin et al. 2019, BERT; Raffel et al. 2020, T5",
        path="escalade.rungs.tuning:full",
        refusal=_full_refused,
        settings=_full_settings,
        estimate=_training_cost(3.0, 20),
        objective=_supervised,
        changes_base=True,
    ),
    RungCard(
        name="dpo",
        what="aligned to preferences: the chosen answer made likelier than the rejected one, close to where it began",
        when="pairs of a better and a worse answer",
        strengths="no reward model, no sampling",
        limits="learns only what the pairs show",
        paper="Rafailov et al. 2023, Direct Preference Optimization",
        path="escalade.rungs.align:dpo",
        refusal=_dpo_refused,
        settings=_dpo_settings,
        estimate=_training_cost(4.0, 24),
        objective=_preference,
        changes_base=True,
    ),
)

RUNGS: dict[str, RungCard] = {card.name: card for card in _CARDS}

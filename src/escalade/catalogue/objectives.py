"""Objective cards: what each loss teaches, for which families and records, and where its code is. No torch.

Adding an objective is a file in ``train/objectives/`` and a card here; the tests that hold for all then hold for it.
"""

from __future__ import annotations

from dataclasses import dataclass

from escalade.values import Family


@dataclass(frozen=True)
class ObjectiveCard:
    """What is known of an objective without loading it."""

    name: str
    what: str
    when: str
    families: tuple[Family, ...]
    records: tuple[str, ...]
    """Names of the record types it reads."""
    terms: tuple[str, ...]
    """Names of the terms of its loss."""
    paper: str
    path: str
    """``module:class``."""
    roles: tuple[str, ...] = ("policy",)
    """The models it needs; only the policy is trained."""
    head: str = "lm"
    """The head the policy needs, as ``models.load.load_model`` names it."""


_CARDS = (
    ObjectiveCard(
        name="clm",
        what="every token from those before it",
        when="pretraining a decoder, or going on with it on running text",
        families=("decoder",),
        records=("Text",),
        terms=("token",),
        paper="Radford et al. 2018, Improving language understanding by generative pre-training",
        path="escalade.train.objectives.clm:Clm",
    ),
    ObjectiveCard(
        name="mlm",
        what="15 % of the tokens, hidden, from all the others",
        when="pretraining an encoder, or going on with it on running text",
        families=("encoder",),
        records=("Text",),
        terms=("token",),
        paper="Devlin et al. 2019, BERT; Liu et al. 2019, RoBERTa",
        path="escalade.train.objectives.mlm:Mlm",
        head="mask",
    ),
    ObjectiveCard(
        name="nsp",
        what="hidden tokens, and whether the second of two segments follows the first",
        when="pretraining a BERT encoder as it was published; pairs are made from documents",
        families=("encoder",),
        records=("Segments",),
        terms=("token", "pair"),
        paper="Devlin et al. 2019, BERT",
        path="escalade.train.objectives.nsp:Nsp",
        head="pretrain",
    ),
    ObjectiveCard(
        name="span",
        what="hidden spans of a text, written out one after another",
        when="pretraining an encoder-decoder, or going on with it on running text",
        families=("encoder-decoder",),
        records=("Text",),
        terms=("token",),
        paper="Raffel et al. 2020, Exploring the limits of transfer learning with a unified text-to-text transformer",
        path="escalade.train.objectives.span:Span",
    ),
    ObjectiveCard(
        name="denoise",
        what="a whole text from one whose sentences are shuffled and whose words are hidden",
        when="pretraining an encoder-decoder that is to generate and to understand",
        families=("encoder-decoder",),
        records=("Text",),
        terms=("token",),
        paper="Lewis et al. 2020, BART: denoising sequence-to-sequence pre-training",
        path="escalade.train.objectives.denoise:Denoise",
    ),
    ObjectiveCard(
        name="gap",
        what="a text's principal sentences from the others",
        when="pretraining an encoder-decoder that is to summarise, on texts of several sentences",
        families=("encoder-decoder",),
        records=("Text",),
        terms=("token",),
        paper="Zhang et al. 2020, PEGASUS: pre-training with extracted gap-sentences",
        path="escalade.train.objectives.gap:Gap",
    ),
    ObjectiveCard(
        name="sft",
        what="the wanted output of a rendered prompt",
        when="any task whose answer is a text, with a decoder or encoder-decoder",
        families=("decoder", "encoder-decoder"),
        records=("Pair",),
        terms=("token",),
        paper="Ouyang et al. 2022, Training language models to follow instructions with human feedback",
        path="escalade.train.objectives.sft:Sft",
    ),
    ObjectiveCard(
        name="classify",
        what="one label a text",
        when="classification and relation extraction with a head",
        families=("encoder", "decoder"),
        records=("Labelled", "Related"),
        terms=("example",),
        paper="Devlin et al. 2019, BERT",
        path="escalade.train.objectives.classify:Classify",
        head="classify",
    ),
    ObjectiveCard(
        name="tag",
        what="one tag a word",
        when="token classification with a head",
        families=("encoder",),
        records=("Tagged",),
        terms=("token",),
        paper="Devlin et al. 2019, BERT",
        path="escalade.train.objectives.tag:Tag",
        head="tag",
    ),
    ObjectiveCard(
        name="preference",
        what="the better of two answers more likely than the worse one, measured against a reference",
        when="there are preferences and a model that can do the task already",
        families=("decoder",),
        records=("Preference",),
        terms=("pair",),
        paper="Rafailov et al. 2023, Direct preference optimization",
        path="escalade.train.objectives.preference:Dpo",
        roles=("policy", "reference"),
    ),
)

OBJECTIVES: dict[str, ObjectiveCard] = {card.name: card for card in _CARDS}
"""Every objective by name."""

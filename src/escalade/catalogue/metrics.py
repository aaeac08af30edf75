"""Metric cards: what each metric measures, in which range, for which kinds, and where its code is. No torch.

Adding a metric is a class in ``evaluate/metrics/`` and a card here.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from escalade.errors import BadInput
from escalade.values import Facts, Kind

LABELS: tuple[Kind, ...] = ("classification", "relation-extraction")
TAGS: tuple[Kind, ...] = ("token-classification",)
TEXTS: tuple[Kind, ...] = ("question-answering", "summarization", "translation", "generation", "chat")


Need = Literal["encoder", "classifier", "likelihood", "judge", "execution"]
"""What a metric asks for beside predictions and references; each is named by an option of the metric."""


@dataclass(frozen=True)
class Option:
    """A choice that a metric's name may carry, as in ``bleu:tok=char:smooth=floor``."""

    name: str
    what: str
    default: str
    values: tuple[str, ...] = ()
    """The values it may have; any where empty."""
    required: bool = False
    """Whether nothing can be computed without it."""


@dataclass(frozen=True)
class Own:
    """Where a metric of the user's own comes from."""

    thing: Callable[..., Any]
    """The function, or the class."""
    file: str
    """As it was named."""
    digest: str
    """Of the file's bytes, hex."""
    takes: tuple[str, ...] = ()
    """The names of the function's parameters."""


@dataclass(frozen=True)
class MetricCard:
    """What is known of a metric before it is computed."""

    name: str
    """Where options were given, they stand in the name, so that the name says the whole metric."""
    what: str
    kinds: tuple[Kind, ...]
    paper: str
    path: str
    """``module:class`` of its code, imported when it is first asked for."""
    rising: bool = True
    """True where more is better."""
    low: float = 0.0
    high: float = 1.0
    options: tuple[Option, ...] = ()
    needs: Need | None = None
    usual: bool = True
    """Computed for every task of its kinds; the others only where they are named."""
    chosen: tuple[tuple[str, str], ...] = ()
    """The options that were given, by name; those left out have their default."""
    own: Own | None = None
    """Of a metric of the user's own."""

    def checked(self, place: object = "") -> MetricCard:
        """The card itself, to be computed by.

        Raises:
            BadInput: An option that it cannot do without is not given.
        """
        for option in self.options:
            if option.required and not self.settings()[option.name]:
                raise BadInput(
                    "evaluate.option_needed", place=place, name=self.name, option=option.name, what=option.what
                )
        return self

    def settings(self) -> dict[str, str]:
        """Every option with its value."""
        return {option.name: option.default for option in self.options} | dict(self.chosen)


_LIN = "Lin 2004, ROUGE: A package for automatic evaluation of summaries"
_LI = "Li et al. 2016, A diversity-promoting objective function for neural conversation models"
_GRAMS = Option("n", "words of an n-gram", "4", ("1", "2", "3", "4"))
_NO_YES = ("no", "yes")
_WORDS = Option("tok", "how words are told apart; auto: by script", "auto", ("auto", "latin", "words", "characters"))
_ROUGE = (
    Option("stem", "Porter's stems in place of words of more than three letters", "no", _NO_YES),
    _WORDS,
    Option("of", "what is reported", "f1", ("f1", "precision", "recall")),
)
_BLEU = (
    Option("tok", "sacrebleu's tokenizer; auto: by script", "auto", ("auto", "13a", "intl", "zh", "char", "none")),
    Option("smooth", "what an order without a match gets", "exp", ("exp", "floor", "add-k", "none")),
    Option("value", "of floor (0.1) and add-k (1)", ""),
)

_CARDS = (
    MetricCard(
        name="macro_f1",
        what="F1 of each label, every label counted the same, over the labels that occur",
        kinds=LABELS,
        paper="Opitz & Burst 2019, Macro F1 and Macro F1",
        path="escalade.evaluate.metrics.labels:MacroF1",
    ),
    MetricCard(
        name="accuracy",
        what="share of the rows whose label is right",
        kinds=LABELS,
        paper="Sokolova & Lapalme 2009, A systematic analysis of performance measures for classification tasks",
        path="escalade.evaluate.metrics.labels:Accuracy",
    ),
    MetricCard(
        name="micro_f1",
        what="F1 over all decisions; with one label a row it equals accuracy",
        kinds=LABELS,
        paper="Sokolova & Lapalme 2009, A systematic analysis of performance measures for classification tasks",
        path="escalade.evaluate.metrics.labels:MicroF1",
    ),
    MetricCard(
        name="matthews",
        what="correlation of predicted and true labels; 0 is chance",
        kinds=LABELS,
        paper="Gorodkin 2004, Comparing two K-category assignments by a K-category correlation coefficient",
        path="escalade.evaluate.metrics.labels:Matthews",
        low=-1.0,
    ),
    MetricCard(
        name="relation_f1",
        what="F1 over all relations; rows without one count where one is claimed",
        kinds=("relation-extraction",),
        paper="Hendrickx et al. 2010, SemEval-2010 Task 8; Zhang et al. 2017, Position-aware attention",
        path="escalade.evaluate.metrics.labels:RelationF1",
        options=(
            Option("none", "the label that says there is no relation; left out: other, no_relation, none, NA", ""),
        ),
        usual=False,
    ),
    MetricCard(
        name="ece",
        what="how far the labels' probabilities are from how often they are right; less is better",
        kinds=LABELS,
        paper="Guo et al. 2017, On calibration of modern neural networks",
        path="escalade.evaluate.metrics.calibration:ECE",
        rising=False,
        options=(Option("bins", "of equal width", "15"),),
        usual=False,
    ),
    MetricCard(
        name="entity_f1",
        what="F1 over whole entities: span and type must both be right",
        kinds=TAGS,
        paper="Tjong Kim Sang & De Meulder 2003, Introduction to the CoNLL-2003 shared task",
        path="escalade.evaluate.metrics.entities:EntityF1",
        options=(Option("mode", "what is an entity, and when it is found", "conll", ("conll", "strict", "relaxed")),),
    ),
    MetricCard(
        name="tag_accuracy",
        what="share of the words whose tag is right",
        kinds=TAGS,
        paper="Marcus et al. 1993, Building a large annotated corpus of English: the Penn Treebank",
        path="escalade.evaluate.metrics.entities:TagAccuracy",
    ),
    MetricCard(
        name="token_f1",
        what="overlap of the answer's words with the best of the accepted answers",
        kinds=TEXTS,
        paper="Rajpurkar et al. 2016, SQuAD: 100,000+ questions for machine comprehension of text",
        path="escalade.evaluate.metrics.answers:TokenF1",
        options=(
            Option(
                "match", "which shared words count: all, or the longest stretch as in CMRC", "bag", ("bag", "stretch")
            ),
        ),
    ),
    MetricCard(
        name="exact_match",
        what="share of the answers that equal an accepted one, case and punctuation aside",
        kinds=TEXTS,
        paper="Rajpurkar et al. 2016, SQuAD: 100,000+ questions for machine comprehension of text",
        path="escalade.evaluate.metrics.answers:ExactMatch",
    ),
    MetricCard(
        name="rougeL",
        what="longest common subsequence of words with the reference, as F1",
        kinds=TEXTS,
        paper=_LIN,
        path="escalade.evaluate.metrics.rouge:RougeL",
        options=_ROUGE,
    ),
    MetricCard(
        name="rouge1",
        what="words shared with the reference, as F1",
        kinds=TEXTS,
        paper=_LIN,
        path="escalade.evaluate.metrics.rouge:Rouge1",
        options=_ROUGE,
    ),
    MetricCard(
        name="rouge2",
        what="pairs of words shared with the reference, as F1",
        kinds=TEXTS,
        paper=_LIN,
        path="escalade.evaluate.metrics.rouge:Rouge2",
        options=_ROUGE,
    ),
    MetricCard(
        name="chrf",
        what="F-score of character 1- to 6-grams, recall weighted double, over the whole corpus",
        kinds=TEXTS,
        paper="Popović 2015, chrF: character n-gram F-score for automatic MT evaluation",
        path="escalade.evaluate.metrics.chrf:ChrF",
        high=100.0,
    ),
    MetricCard(
        name="bleu",
        what="precision of word 1- to 4-grams with a penalty for brevity, over the whole corpus",
        kinds=TEXTS,
        paper="Papineni et al. 2002, BLEU; Post 2018, A call for clarity in reporting BLEU scores",
        path="escalade.evaluate.metrics.bleu:Bleu",
        high=100.0,
        options=(*_BLEU, Option("effective", "leave out orders that the answers are too short for", "no", _NO_YES)),
    ),
    MetricCard(
        name="rougeLsum",
        what="longest common subsequences line by line, their union, as F1",
        kinds=TEXTS,
        paper=_LIN,
        path="escalade.evaluate.metrics.rouge:RougeLSum",
        options=_ROUGE,
        usual=False,
    ),
    MetricCard(
        name="rougeL_substring",
        what="longest stretch of words, side by side, shared with the reference, as F1; stricter than ROUGE-L",
        kinds=TEXTS,
        paper=_LIN,
        path="escalade.evaluate.metrics.rouge:RougeLSubstring",
        options=_ROUGE,
        usual=False,
    ),
    MetricCard(
        name="sentence_bleu",
        what="mean of each answer's BLEU, orders that it is too short for left out",
        kinds=TEXTS,
        paper="Chen & Cherry 2014, A systematic comparison of smoothing techniques for sentence-level BLEU",
        path="escalade.evaluate.metrics.bleu:SentenceBleu",
        high=100.0,
        options=(*_BLEU, Option("effective", "leave out orders that an answer is too short for", "yes", _NO_YES)),
        usual=False,
    ),
    MetricCard(
        name="chrf++",
        what="chrF with words and pairs of words beside the letters",
        kinds=TEXTS,
        paper="Popović 2017, chrF++: words helping character n-grams",
        path="escalade.evaluate.metrics.chrf:ChrFPlusPlus",
        high=100.0,
        usual=False,
    ),
    MetricCard(
        name="ter",
        what="edits per word of the reference, a moved run of words being one; less is better",
        kinds=TEXTS,
        paper="Snover et al. 2006, A study of translation edit rate with targeted human annotation",
        path="escalade.evaluate.metrics.ter:TER",
        rising=False,
        high=100.0,
        options=(Option("tok", "how words are told apart", "auto", ("auto", "tercom", "characters")),),
        usual=False,
    ),
    MetricCard(
        name="meteor",
        what="words matched by form or stem, recall weighted nine times, with a penalty for another order; no synonyms",
        kinds=TEXTS,
        paper="Banerjee & Lavie 2005, METEOR: An automatic metric for MT evaluation",
        path="escalade.evaluate.metrics.meteor:Meteor",
        usual=False,
    ),
    MetricCard(
        name="distinct1",
        what="different words of all answers, per word",
        kinds=TEXTS,
        paper=_LI,
        path="escalade.evaluate.metrics.generated:Distinct1",
        usual=False,
    ),
    MetricCard(
        name="distinct2",
        what="different pairs of words of all answers, per pair",
        kinds=TEXTS,
        paper=_LI,
        path="escalade.evaluate.metrics.generated:Distinct2",
        usual=False,
    ),
    MetricCard(
        name="repetition",
        what="share of n-grams that the same answer has had before; less is better",
        kinds=TEXTS,
        paper="Welleck et al. 2020, Neural text generation with unlikelihood training",
        path="escalade.evaluate.metrics.generated:Repetition",
        rising=False,
        options=(_GRAMS,),
        usual=False,
    ),
    MetricCard(
        name="length_ratio",
        what="words of the answers per word of the references; 1 is as long",
        kinds=TEXTS,
        paper="Post 2018, A call for clarity in reporting BLEU scores",
        path="escalade.evaluate.metrics.generated:LengthRatio",
        high=2.0,
        usual=False,
    ),
    MetricCard(
        name="copy_rate",
        what="share of the answers' n-grams that stand in the input",
        kinds=TEXTS,
        paper="See et al. 2017, Get to the point: summarization with pointer-generator networks",
        path="escalade.evaluate.metrics.generated:CopyRate",
        options=(_GRAMS,),
        usual=False,
    ),
    MetricCard(
        name="similarity",
        what="nearness in meaning: tokens matched with those of the reference by an encoder's vectors, as F1",
        kinds=TEXTS,
        paper="Zhang et al. 2020, BERTScore: Evaluating text generation with BERT",
        path="escalade.evaluate.metrics.similarity:Similarity",
        options=(
            Option("model", "an encoder: a folder or a hub name", "", required=True),
            Option("layer", "whose hidden states are taken; the last where left out", ""),
            Option("idf", "rare tokens weigh more", "no", _NO_YES),
        ),
        needs="encoder",
        usual=False,
    ),
    MetricCard(
        name="toxicity",
        what="how probable a classifier finds a label for the answers; less is better",
        kinds=TEXTS,
        paper="Gehman et al. 2020, RealToxicityPrompts: Evaluating neural toxic degeneration in language models",
        path="escalade.evaluate.metrics.toxicity:Toxicity",
        rising=False,
        options=(
            Option("model", "a classifier of texts: a release, a folder or a hub name", "", required=True),
            Option("label", "whose probability is taken", "toxic"),
        ),
        needs="classifier",
        usual=False,
    ),
    MetricCard(
        name="bits_per_byte",
        what="how many bits a language model needs for each byte of the answers; less is likelier",
        kinds=TEXTS,
        paper="Gao et al. 2020, The Pile, section 3.1; perplexity: Jelinek et al. 1977",
        path="escalade.evaluate.metrics.likelihood:BitsPerByte",
        rising=False,
        high=8.0,
        options=(Option("model", "a language model of any family: a folder or a hub name", "", required=True),),
        needs="likelihood",
        usual=False,
    ),
    MetricCard(
        name="judge",
        what="mean grade by a model behind an API, 1 to 10 scaled to 0 to 1, the references in sight",
        kinds=TEXTS,
        paper="Zheng et al. 2023, Judging LLM-as-a-judge with MT-Bench and Chatbot Arena",
        path="escalade.evaluate.metrics.judge:JudgeGrade",
        options=(
            Option("api", "base address of an OpenAI-compatible API", "", required=True),
            Option("model", "the model's id there", "", required=True),
            Option("key_env", "environment variable that holds the key", ""),
        ),
        needs="judge",
        usual=False,
    ),
    MetricCard(
        name="passk",
        what="chance that one of k programs passes the tests that are its reference; runs what a model wrote",
        kinds=("generation", "chat"),
        paper="Chen et al. 2021, Evaluating large language models trained on code",
        path="escalade.evaluate.metrics.passk:PassAtK",
        options=(
            Option("k", "answers drawn", "1"),
            Option("run", "yes: the answers may be run on this machine", "no", _NO_YES),
            Option("seconds", "each program may take", "10"),
        ),
        needs="execution",
        usual=False,
    ),
)

METRICS: dict[str, MetricCard] = {entry.name: entry for entry in _CARDS}
_OWN: dict[str, MetricCard] = {}


def use_own(cards: Sequence[MetricCard]) -> None:
    """Makes a user's own metrics known to this process, in place of those that were known before."""
    _OWN.clear()
    _OWN.update((entry.name, entry) for entry in cards)


def own_metrics() -> tuple[MetricCard, ...]:
    """The user's own metrics that are known."""
    return tuple(_OWN.values())


def _known() -> dict[str, MetricCard]:
    return METRICS | _OWN


_DEFAULTS: dict[Kind, str] = {
    "classification": "macro_f1",
    "relation-extraction": "macro_f1",
    "token-classification": "entity_f1",
    "question-answering": "token_f1",
    "summarization": "rougeL",
    "translation": "chrf",
    "generation": "rougeL",
    "chat": "rougeL",
}

_SPAN_TAG = re.compile(r"O|[BIESLU](-.*)?")


def card(name: str, place: object = "") -> MetricCard:
    """The card of a metric, its options settled; ``place`` is where the name was given.

    Args:
        name: ``bleu``, or with options ``bleu:tok=char:smooth=floor``. The last option may hold colons itself.
        place: Named in errors.

    Raises:
        BadInput: There is no such metric, or it has no such option or value.
    """
    bare, _, said = name.partition(":")
    known = _known()
    if bare not in known:
        if close := _closest(bare):
            raise BadInput("evaluate.unknown_metric_close", place=place, name=bare, close=close)
        raise BadInput("evaluate.unknown_metric", place=place, name=bare, known=", ".join(known))
    found = known[bare]
    if not said:
        return found
    return replace(found, name=name, chosen=tuple(_options(found, said, place).items()))


def _options(found: MetricCard, said: str, place: object) -> Mapping[str, str]:
    """``tok=char:smooth=floor`` as options; what has no ``=`` belongs to the value before it."""
    known = {option.name: option for option in found.options}
    chosen: dict[str, str] = {}
    last = ""
    for part in said.split(":"):
        name, equals, value = part.partition("=")
        if equals and (name in known or not last):
            last, chosen[name] = name, value
        elif last:
            chosen[last] += ":" + part
        else:
            raise BadInput("evaluate.option_form", place=place, name=found.name, given=part)
    for name, value in chosen.items():
        if name not in known:
            raise BadInput(
                "evaluate.option_unknown", place=place, name=found.name, option=name, known=", ".join(known) or "-"
            )
        if known[name].values and value not in known[name].values:
            raise BadInput(
                "evaluate.option_value", place=place, option=name, given=value, known=", ".join(known[name].values)
            )
    return chosen


def fitting(name: str, kind: Kind, place: object = "") -> MetricCard:
    """The card of a metric that grades tasks of this kind.

    Raises:
        BadInput: There is no such metric, or it does not fit the kind.
    """
    found = card(name, place)
    if kind not in found.kinds:
        others = ", ".join(metrics_for(kind)) or "-"
        raise BadInput("evaluate.metric_unfit", place=place, name=name, kind=kind, fitting=others)
    return found


def metrics_for(kind: Kind, usual: bool = False) -> tuple[str, ...]:
    """Names of the metrics that fit a kind, the commonest first; with ``usual``, those computed without being named."""
    return tuple(name for name, entry in _known().items() if kind in entry.kinds and (entry.usual or not usual))


def default_metric(kind: Kind, facts: Facts | None = None) -> str:
    """The metric a target is set in where none is named.

    Args:
        kind: The task's kind.
        facts: Where given, tags that mark no spans (parts of speech, say) are graded word by word.

    Raises:
        BadInput: No metric fits the kind.
    """
    if kind not in _DEFAULTS:
        raise BadInput("evaluate.no_metric", place=kind, kind=kind)
    if kind == "token-classification" and facts and not all(_SPAN_TAG.fullmatch(tag) for tag in facts.labels):
        return "tag_accuracy"
    return _DEFAULTS[kind]


def _closest(name: str) -> str:
    """The known name nearest to what was written, hyphens and capitals aside; empty where none is near."""
    plain = {_plain(known): known for known in _known()}
    close = difflib.get_close_matches(_plain(name), plain, n=1, cutoff=0.6)
    return plain[close[0]] if close else ""


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "").replace(" ", "")

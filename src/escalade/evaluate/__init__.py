"""Evaluation: metrics, intervals, paired tests, and the bound that a verdict rests on. No torch."""

from escalade.evaluate.comparison import Comparison, compare, corrected, slices_of
from escalade.evaluate.corpus import Corpus
from escalade.evaluate.metric import Metric, Statistics, details_of, item_values, load_metric, statistics_of
from escalade.evaluate.metrics.labels import confusion
from escalade.evaluate.power import (
    Provable,
    items_for_difference,
    items_needed,
    provable,
    score_needed,
    smallest_difference,
)
from escalade.evaluate.proof import passes
from escalade.evaluate.score import evaluate_all, load_statistics, save_statistics, score
from escalade.evaluate.statistics import (
    Interval,
    Paired,
    decision_bound,
    design_effect,
    difference_spread,
    interval,
    look_error,
    lower_bound,
    paired,
)
from escalade.evaluate.text_score import text_compare, text_score

__all__ = [
    "Comparison",
    "Corpus",
    "Interval",
    "Metric",
    "Paired",
    "Provable",
    "Statistics",
    "compare",
    "confusion",
    "corrected",
    "decision_bound",
    "design_effect",
    "difference_spread",
    "details_of",
    "evaluate_all",
    "interval",
    "items_for_difference",
    "item_values",
    "items_needed",
    "load_statistics",
    "load_metric",
    "look_error",
    "lower_bound",
    "paired",
    "passes",
    "provable",
    "save_statistics",
    "score",
    "score_needed",
    "statistics_of",
    "slices_of",
    "smallest_difference",
    "text_compare",
    "text_score",
]

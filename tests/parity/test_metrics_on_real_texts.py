"""Metrics beside the reference libraries on real summaries and translations: one human against another."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics import BLEU, CHRF

from escalade.evaluate import text_score
from escalade.evaluate.metric import load_metric
from escalade.protocols import Prediction
from escalade.records import Question
from escalade.values import Facts

pytestmark = pytest.mark.slow
Folder = Callable[[str], Path]


def test_rouge_on_dialogue_summaries(data_folder: Folder) -> None:
    lines = (data_folder("dialogsum") / "test.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines if line]
    records = [Question(row["fname"], "", "", (row["summary2"], row["summary3"])) for row in rows]
    answers = [Prediction(text=row["summary1"]) for row in rows]
    names = ["rouge1", "rouge2", "rougeL", "rougeLsum"]
    scorer = RougeScorer(names, use_stemmer=True)
    theirs = [scorer.score_multi(record.answers, row["summary1"]) for record, row in zip(records, rows, strict=True)]
    for name in names:
        metric = load_metric(f"{name}:stem=yes", Facts(kind="summarization", language="en"), records)
        found = metric.statistics(answers, records)[:, 0]
        assert np.allclose(found, [score[name].fmeasure for score in theirs], atol=1e-9, rtol=0)


@pytest.mark.parametrize(("pair", "tokenizer"), [("en-de", "13a"), ("en-zh", "zh"), ("de-en", "13a")])
def test_bleu_and_chrf_on_translations(data_folder: Folder, pair: str, tokenizer: str) -> None:
    folder, target = data_folder("wmt22"), pair[-2:]
    first, second = (
        (folder / f"generaltest2022.{pair}.ref.{which}.{target}").read_text(encoding="utf-8").split("\n")[:1000]
        for which in "AB"
    )
    found = text_score(second, first, ["bleu", "chrf", "chrf++"])["metrics"]
    assert f"tok:{tokenizer}|" in found["bleu"]["signature"]
    wanted = BLEU(tokenize=tokenizer).corpus_score(second, [first]).score
    assert found["bleu"]["value"] == pytest.approx(wanted, abs=1e-9)
    assert found["chrf"]["value"] == pytest.approx(CHRF().corpus_score(second, [first]).score, abs=1e-9)
    wanted_words = CHRF(word_order=2).corpus_score(second, [first]).score
    assert found["chrf++"]["value"] == pytest.approx(wanted_words, abs=1e-9)
    assert found["bleu"]["lower"] < wanted < found["bleu"]["upper"]

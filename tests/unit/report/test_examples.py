"""The worst answers of each kind of task, worst first."""

from __future__ import annotations

from pathlib import Path

import pytest
from report_samples import told

from escalade.ledger import Ledger, Run
from escalade.protocols import Prediction
from escalade.records import Chat, Labelled, Message, Pair, Question, Record, Tagged
from escalade.report.examples import ExamplesView, examples_view
from escalade.values import Facts


def view(root: Path, facts: Facts, rows: list[Record], answers: list[Prediction], metric: str) -> ExamplesView:
    story = told(root, facts, rows, answers, metric)
    shown = examples_view(_test(story.ledger), metric, story.ledger)
    assert shown is not None
    return shown


def _test(ledger: Ledger) -> Run:
    return next(run for run in ledger.runs() if run.stage == "evaluate" and run.inputs["split"]["name"] == "test")


def test_texts_are_ordered_by_the_metric(tmp_path: Path) -> None:
    rows: list[Record] = [Pair(f"test:{i}", f"text {i}", "the cat sat on the mat") for i in range(3)]
    answers = [Prediction(text=text) for text in ("the cat sat on a mat", "", "a dog")]
    shown = view(tmp_path, Facts(kind="summarization"), rows, answers, "rougeL").examples
    assert [example.id for example in shown] == ["test:1", "test:2", "test:0"]
    assert shown[0].output == "(empty)" and shown[0].reference == "the cat sat on the mat"
    assert shown[2].grade.startswith("rougeL 0.8")


def test_tags_are_ordered_by_the_share_that_is_right(tmp_path: Path) -> None:
    words = ("Ada", "met", "Bo")
    tags = ("B-PER", "O", "B-PER")
    rows: list[Record] = [Tagged(f"test:{i}", words, tags) for i in range(3)]
    answers = [Prediction(tags=tags), Prediction(tags=("O", "O", "O")), Prediction(tags=("B-PER", "O", "O"))]
    shown = view(
        tmp_path, Facts(kind="token-classification", labels=("B-PER", "O")), rows, answers, "entity_f1"
    ).examples
    assert [example.id for example in shown] == ["test:1", "test:2", "test:0"]
    assert [example.right for example in shown] == [False, False, True]
    assert shown[0].reference == "Ada/B-PER  Bo/B-PER".replace("  ", " ") and shown[0].output == "–"
    assert shown[1].grade == "2 of 3 tags right"


def test_labels_without_probabilities_keep_their_order(tmp_path: Path) -> None:
    rows: list[Record] = [Labelled(f"test:{i}", "x" * 1000, "a" if i < 2 else "b") for i in range(4)]
    answers = [Prediction(label=label) for label in ("a", "b", "a", "b")]
    shown = view(tmp_path, Facts(kind="classification", labels=("a", "b")), rows, answers, "accuracy").examples
    assert [example.id for example in shown] == ["test:1", "test:2", "test:0", "test:3"]
    assert 300 < len(shown[0].input) < 400 and shown[0].input.endswith("…")


def test_questions_show_every_accepted_answer(tmp_path: Path) -> None:
    rows: list[Record] = [Question(f"test:{i}", "who?", "Ada or Bo", ("Ada", "Bo")) for i in range(2)]
    answers = [Prediction(text="Bo"), Prediction(text="Cy")]
    shown = view(tmp_path, Facts(kind="question-answering"), rows, answers, "exact_match")
    assert [(e.reference, e.output, e.right) for e in shown.examples] == [
        ("Ada | Bo", "Cy", False),
        ("Ada | Bo", "Bo", True),
    ]
    assert shown.summary.startswith("1 of 2 answers differ")


def test_chats_show_what_was_asked(tmp_path: Path) -> None:
    rows: list[Record] = [
        Chat(f"test:{i}", (Message("user", "hello"), Message("assistant", "hi there"))) for i in range(2)
    ]
    shown = view(tmp_path, Facts(kind="chat"), rows, [Prediction(text="hi there"), Prediction(text="no")], "rougeL")
    assert [(e.input, e.output) for e in shown.examples] == [("hello", "no"), ("hello", "hi there")]


def test_lost_statistics_fall_back_to_equal_or_not(tmp_path: Path) -> None:
    rows: list[Record] = [Pair(f"test:{i}", "in", "out") for i in range(2)]
    story = told(tmp_path, Facts(kind="generation"), rows, [Prediction(text="out"), Prediction(text="no")], "rougeL")
    test = _test(story.ledger)
    (story.ledger.path(test.output["predictions"]) / "statistics.safetensors").unlink()
    shown = examples_view(test, "rougeL", story.ledger)
    assert shown and [(e.output, e.grade) for e in shown.examples] == [("no", ""), ("out", "")]


def test_no_evaluation_gives_no_examples(tmp_path: Path) -> None:
    assert examples_view(None, "accuracy", Ledger(tmp_path)) is None


@pytest.mark.parametrize("line", ['{"id": "test:unknown", "label": "a"}\n', ""])
def test_predictions_of_rows_that_are_not_here_are_left_out(tmp_path: Path, line: str) -> None:
    rows: list[Record] = [Labelled("test:0", "x", "a"), Labelled("test:1", "y", "b")]
    story = told(
        tmp_path, Facts(kind="classification", labels=("a", "b")), rows, [Prediction(label="a")] * 2, "accuracy"
    )
    test = _test(story.ledger)
    (story.ledger.path(test.output["predictions"]) / "predictions.jsonl").write_text(line)
    assert examples_view(test, "accuracy", story.ledger) is None

"""The whole page: what it shows, what it must never do, and that it is the same every time."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from report_samples import (
    CHINESE,
    EVIL,
    Story,
    attempt,
    document,
    ladder,
    project,
    refused_candidate,
    score,
    task,
    told,
    versus,
)

from escalade import messages
from escalade.document import RunDocument, TargetDocument
from escalade.ledger import Ledger
from escalade.protocols import Prediction
from escalade.records import Labelled
from escalade.report import format, write_report
from escalade.values import Facts, Model

FACTS = Facts(kind="classification", labels=("bad", "good"), language="zh")
EMPTY_TAGS = {"meta", "link", "br", "img", "hr", "input"}
LOADING = {"src", "srcset", "href", "action", "formaction", "poster", "data", "ping", "style", "xlink:href"}


class Reader(HTMLParser):
    """Collects tags, attributes and text, and holds that every tag is closed by its own end."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text: list[str] = []
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in EMPTY_TAGS:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] != "style":
            self.text.append(data)


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert not reader._open
    return reader


def harmless(page: str) -> Reader:
    """Holds what every page must keep to: no code, nothing loaded, sound drawings, unique ids."""
    reader = read(page)
    assert "<script" not in page.lower()
    assert not {"script", "iframe", "object", "embed", "form", "base", "img", "image", "use"} & set(reader.tags)
    assert not [name for name, _ in reader.attributes if name.startswith("on")]
    loads = [value for name, value in reader.attributes if name in LOADING]
    assert all(value.startswith("#") or value == "data:," for value in loads), loads
    style = page[page.index("<style>") : page.index("</style>")]
    assert "url(" not in style and "@import" not in style and "http" not in style
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    assert any(value.startswith(policy) for name, value in reader.attributes if name == "content")
    drawings = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    for drawing in drawings:
        ElementTree.fromstring(drawing)
    ids = [value for name, value in reader.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    named = {part for name, value in reader.attributes if name == "aria-labelledby" for part in value.split()}
    assert named <= set(ids)
    return reader


def written(root: Path, shown: RunDocument, ledger: Ledger | None = None) -> str:
    path = write_report(root, shown, ledger or Ledger(root / ".escalade"), project())
    assert path == root / "report.html"
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Story:
    rows = [Labelled(f"test:{i}", f"{CHINESE} {EVIL} number-{i}", "good" if i % 3 else "bad") for i in range(24)]
    answers = []
    for i in range(24):
        sure = 0.99 - i / 100
        label = "good" if i % 4 else "bad"
        other = "bad" if label == "good" else "good"
        answers.append(Prediction(label=label, probabilities={label: sure, other: 1 - sure}))
    return told(tmp_path_factory.mktemp("once"), FACTS, rows, answers, "accuracy")


@pytest.fixture
def story(once: Story, tmp_path: Path) -> Story:
    """A copy that a test may spoil."""
    shutil.copytree(once.ledger.root, tmp_path / ".escalade")
    ledger = Ledger(tmp_path / ".escalade")
    ledger.used.update(once.ledger.used)
    return Story(ledger, once.document, once.project)


def test_a_full_page_is_harmless_and_the_same_twice(tmp_path: Path, story: Story) -> None:
    first = written(tmp_path, story.document, story.ledger)
    harmless(first)
    assert EVIL not in first
    assert written(tmp_path, story.document, story.ledger) == first
    again = Ledger(tmp_path / ".escalade")
    assert not again.used
    assert written(tmp_path, story.document, again) == first


def test_tricky_names_are_escaped_everywhere(tmp_path: Path) -> None:
    one = attempt(
        "b2:1",
        EVIL,
        CHINESE + "\x00\x1b\ud800",
        0.7,
        reason=EVIL,
        findings={EVIL: EVIL},
        versus=versus("b2:2", EVIL, 0.1),
    )
    target = TargetDocument(metric="accuracy", at_least=0.8, at_most=None, confidence=0.9, origin=EVIL)
    shown = task([one], "b2:1", reason=EVIL, target=target, refused=(refused_candidate(),), release=f"releases/{EVIL}")
    page = written(tmp_path, document(shown, attempts=[one]))
    reader = harmless(page)
    assert "<b>" not in page and "\x00" not in page
    assert any(EVIL in text for text in reader.text)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_number_of_the_document_is_shown(tmp_path: Path, language: str) -> None:
    attempts = ladder()
    shown = document(task(attempts, "b2:a5"), attempts=attempts)
    messages.use(language)
    page = written(tmp_path, shown)
    reader = harmless(page)
    text = " ".join(reader.text)
    assert f'<html lang="{language}">' in page
    for one in attempts:
        assert one.name in text
        expected = (
            [format.seconds(one.predicted.seconds), format.size(one.predicted.peak_bytes)] if one.predicted else []
        )
        if one.measured:
            expected += [format.seconds(one.measured.seconds), format.size(one.measured.peak_bytes)]
        for found in one.scores.values():
            expected += [format.score(found.value), format.interval(found.lower, found.upper), f"n = {found.n}"]
        if one.versus:
            expected += [format.signed(one.versus.difference), f"p = {format.probability(one.versus.p)}"]
            expected += [format.signed_interval(one.versus.lower, one.versus.upper), "71", "355", "24"]
        expected += [f"{name} = {value}" for name, value in one.findings.items()]
        assert [number for number in expected if number not in text] == []
        assert one.reason is None or one.reason in text
    for number in ("0.8712", "[0.8402, 0.9002]", "0.8391", "97.5", "900", "777", "100", "1.5e-07", "0.8125", "65.4"):
        assert number in text, number
    for number in ("1,650", "450", "5\u00a0min 0\u00a0s", "4.39M", "7", "14"):
        assert number in text, number


def test_languages_differ_and_no_text_of_the_other_is_left(tmp_path: Path) -> None:
    attempts = ladder()
    shown = document(
        task(attempts, "b2:a5", reason=None), attempts=[a.model_copy(update={"reason": None}) for a in attempts]
    )
    english = " ".join(read(written(tmp_path, shown)).text)
    assert not re.search(r"[\u4e00-\u9fff]", english)
    messages.use("zh")
    chinese = " ".join(read(written(tmp_path, shown)).text)
    for words in ("Target met", "The ladder", "How to check", "kept attempt", "predicted", "no neural model"):
        assert words in english and words not in chinese


def test_no_attempts_and_no_go(tmp_path: Path) -> None:
    page = written(tmp_path, document(task([], reason="30 rows cannot prove it")))
    text = " ".join(harmless(page).text)
    assert "No-go" in text and "30 rows cannot prove it." in text
    assert messages.text("report.no_points") in text
    assert 'class="chart ladder"' not in page


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_one_attempt_alone_is_drawn(tmp_path: Path, value: float) -> None:
    one = attempt("b2:1", "baseline", "majority", value, seconds=0.0)
    one = one.model_copy(update={"scores": {"mood": score(value, lower=value, upper=value)}, "predicted": None})
    target = TargetDocument(metric="accuracy", at_least=value, at_most=None, confidence=0.9, origin=None)
    page = written(tmp_path, document(task([one], verdict="not met", target=target), attempts=[one]))
    harmless(page)
    assert page.count('class="chart ladder"') == 2


def test_falling_metrics_and_looks(tmp_path: Path) -> None:
    attempts = ladder()
    target = TargetDocument(metric="perplexity", at_least=None, at_most=12.5, confidence=0.95, origin="the old system")
    text = " ".join(
        harmless(written(tmp_path, document(task(attempts, "b2:a5", target=target), attempts=attempts))).text
    )
    assert "perplexity ≤\u00a012.5" in text and "the old system" in text
    assert "≤\u00a00.8391" in text and "look 2" in text


def test_two_tasks_are_told_apart(tmp_path: Path) -> None:
    attempts = [
        attempt("b2:1", "baseline", "linear", 0.7),
        attempt("b2:2", "baseline", "linear", 0.6, task="other", runs=("b2:0123456789abcdef",)),
    ]
    tasks = task(attempts, "b2:1"), task(attempts, name="other", verdict="not met")
    page = written(tmp_path, document(*tasks, attempts=attempts))
    text = " ".join(harmless(page).text)
    assert 'href="#task-2"' in page and 'id="task-2"' in page
    assert "--task other" in text and "--task mood" not in text
    assert "escalade evaluate 0123456789ab --split validation --task other --project ." in text


def test_the_served_score_says_how_far_it_is_from_the_evaluated_one(tmp_path: Path) -> None:
    attempts = ladder()
    same = task(attempts, "b2:a5")
    differs = task(attempts, "b2:a5", served=score(0.86, "test"))
    assert messages.text("report.served_same") in written(tmp_path, document(same, attempts=attempts))
    assert "\u22120.0112 against the test score" in written(tmp_path, document(differs, attempts=attempts))


def test_the_data_come_from_the_ledger(tmp_path: Path, story: Story) -> None:
    text = " ".join(harmless(written(tmp_path, story.document, story.ledger)).text)
    for found in ("5,012", "5,000", "41", "42", "43", "44", "1,234", "22.75", "59.6", "399.5", "23", "good = Good"):
        assert found in text, found
    assert "Rows refused: 12." in text
    assert "109" in text and "999" not in text
    assert f"nothing stands in {EVIL}" in text
    assert "test:9, …" in text and "test:10, " not in text


def test_examples_are_the_ten_worst_first(tmp_path: Path, story: Story) -> None:
    page = written(tmp_path, story.document, story.ledger)
    shown = [int(number) for number in re.findall(r'<span dir="auto">test:(\d+)</span>', page)]
    wrong = [i for i in range(24) if (i % 3 == 0) != (i % 4 == 0)]
    assert shown == wrong[:10]
    assert f"{len(wrong)} of 24 answers are wrong; the 10 worst are shown." in page
    assert "number-3" in page and "…" not in [page[page.index("number-3") - 1]]


def test_every_check_is_a_command_that_stands_alone(tmp_path: Path, story: Story) -> None:
    page = written(tmp_path, story.document, story.ledger)
    codes = re.findall(r"<code>(.*?)</code>", page)
    assert "escalade evaluate &#39;baseline linear&#39; --split test --project ." in codes
    assert "escalade runs verify --project ." in codes
    runs = {run.id.removeprefix("b2:")[:12]: run.stage for run in story.ledger.runs()}
    shown = [code.split()[3] for code in codes if code.startswith("escalade runs show")]
    assert {runs[id] for id in shown} == {"ingest", "adapt", "evaluate", "deploy"}


def test_a_name_that_two_runs_share_is_replaced_by_the_id(tmp_path: Path, story: Story) -> None:
    kept = story.document.attempts[0]
    adapt = story.ledger.find(kept.runs[0])
    assert adapt is not None
    story.ledger.perform("adapt", 1, {"train": "other"}, lambda bench: _output(adapt.output))
    page = written(tmp_path, story.document, story.ledger)
    assert f"escalade evaluate {kept.runs[0][3:15]} --split test --project ." in page


def _output(said: dict[str, Any]) -> Model:
    return Model.model_validate_json(json.dumps(said))


def test_a_ledger_whose_artifacts_are_gone_still_gives_a_page(tmp_path: Path, story: Story) -> None:
    shutil.rmtree(tmp_path / ".escalade" / "artifacts")
    text = " ".join(harmless(written(tmp_path, story.document, story.ledger)).text)
    assert messages.text("report.examples") not in text
    assert "Target met" in text


def test_versions_costs_and_project_file(tmp_path: Path, story: Story) -> None:
    (tmp_path / "escalade.yaml").write_text(f"# {EVIL}\nname: mood\n", encoding="utf-8")
    text = " ".join(harmless(written(tmp_path, story.document, story.ledger)).text)
    assert f"# {EVIL}\nname: mood" in text
    for name, version in story.ledger.runs()[0].packages.items():
        assert name in text and version in text
    for stage in ("ingest", "profile", "adapt", "evaluate", "deploy"):
        assert stage in text
    total = sum(run.measured.seconds for run in story.ledger.runs())
    assert format.seconds(total) in text


def test_nothing_but_the_page_is_left_behind(tmp_path: Path) -> None:
    written(tmp_path, document(task([])))
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]

"""Choices by likelihood: ties, normalisations, clusters, the layouts of rows, and what is wrong with a row."""

from __future__ import annotations

import csv
import gzip
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from conftest import real_data
from escalade.errors import BadInput
from escalade.evaluate.choice_rows import EMPTY, Item, read_choices, some_of
from escalade.evaluate.choices import Chosen, choice_score, choose, measure


class Table:
    """A scorer whose log-probabilities are written down: one number a token, the end token's last."""

    name = "table"

    def __init__(self, told: Mapping[tuple[str, str], Sequence[float]] | Callable[[str, str], Sequence[float]]) -> None:
        self.told = told
        self.asked: list[tuple[str, str]] = []

    def score(self, prompts: Sequence[str], completions: Sequence[str]) -> list[tuple[float, ...]]:
        pairs = list(zip(prompts, completions, strict=True))
        self.asked += pairs
        found = [self.told(*pair) if callable(self.told) else self.told[pair] for pair in pairs]
        return [(*tokens, -5.0) for tokens in found]


def item(*choices: str, answer: int = 0, group: str | None = None, prompt: str = "q\n") -> Item:
    return Item("rows, line 1", prompt, choices, answer, group, "N/A\n" if prompt else None)


def rows(folder: Path, *said: Any, name: str = "rows.jsonl") -> Path:
    file = folder / name
    file.write_text("".join((s if isinstance(s, str) else json.dumps(s)) + "\n" for s in said), encoding="utf-8")
    return file


# -- what is picked -------------------------------------------------------------------------------------------------


def test_a_tie_scores_the_share_of_a_fair_draw_and_never_the_whole() -> None:
    constant = Table(lambda prompt, choice: [-2.0])
    two, four, wrong = choose(
        constant,
        [item("a", "b"), item("a", "b", "c", "d", answer=3), Item("p", "x", ("a", "b"), 1)],
    )
    assert (two.share, four.share, wrong.share) == (0.5, 0.25, 0.5) and two.best == (0, 1)
    found = measure([two] * 10, "w")
    assert found["metrics"]["choice_accuracy"]["value"] == 0.5 and found["ties"] == 10 and found["margin"] == 0


def test_a_tie_of_wrong_choices_is_wrong_and_no_tie_of_the_right_one() -> None:
    told = {("q\n", "a"): [-3.0], ("q\n", "b"): [-1.0], ("q\n", "c"): [-1.0]}
    (one,) = choose(Table(told), [item("a", "b", "c")])
    assert one.share == 0 and one.best == (1, 2) and one.margin == -2 and measure([one], "w")["ties"] == 0


@pytest.mark.parametrize(("gap", "share"), [(1e-12, 0.5), (1e-7, 0.0)])
def test_scores_are_equal_within_a_billionth(gap: float, share: float) -> None:
    (one,) = choose(Table({("q\n", "a"): [-20.0 * (1 + gap)], ("q\n", "b"): [-20.0]}), [item("a", "b")])
    assert one.share == share


def test_equal_pairs_are_scored_once_and_the_end_token_is_not_counted() -> None:
    scorer = Table({("q\n", "a"): [-1.0, -2.0], ("q\n", "b"): [-4.0]})
    both = choose(scorer, [item("a", "b"), item("b", "a")])
    assert len(scorer.asked) == 2 and both[0].scores == (-3.0, -4.0) and both[1].scores == (-4.0, -3.0)
    assert choose(scorer, [item("a", "b")], end=0)[0].scores == (-8.0, -9.0)


def test_bytes_beat_the_bias_for_short_choices() -> None:
    """Every byte of the long right choice is likelier than any of the short wrong one; the sum does not see it."""
    told = {("q\n", "a long and likely answer"): [-1.0] * 6, ("q\n", "no"): [-2.0]}
    asked = [item("a long and likely answer", "no")]
    by = {name: choose(Table(told), asked, name)[0] for name in ("sum", "token", "byte")}  # type: ignore[arg-type]
    assert by["sum"].share == 0 and by["token"].share == by["byte"].share == 1
    assert by["byte"].scores == pytest.approx((-6 / 24, -2 / 2))


def test_bytes_are_those_of_utf8_and_do_not_depend_on_the_tokenizer() -> None:
    coarse = Table({("q\n", "你好"): [-6.0], ("q\n", "no"): [-3.0]})
    fine = Table({("q\n", "你好"): [-1.0] * 6, ("q\n", "no"): [-3.0]})
    found = [choose(scorer, [item("你好", "no")], "byte")[0].scores for scorer in (coarse, fine)]
    assert found[0] == found[1] == pytest.approx((-1.0, -1.5))
    assert (
        choose(coarse, [item("你好", "no")], "token")[0].scores != choose(fine, [item("你好", "no")], "token")[0].scores
    )


def test_calibrated_takes_away_what_is_likely_anyway() -> None:
    told = {("q\n", "rare"): [-4.0], ("q\n", "yes"): [-2.0], ("N/A\n", "rare"): [-9.0], ("N/A\n", "yes"): [-1.0]}
    (plain,) = choose(Table(told), [item("rare", "yes")])
    (calibrated,) = choose(Table(told), [item("rare", "yes")], "calibrated")
    assert plain.share == 0 and calibrated.share == 1 and calibrated.scores == (5.0, -1.0)


def test_whole_texts_cannot_be_calibrated() -> None:
    with pytest.raises(BadInput) as error:
        choose(Table(lambda p, c: [-1.0]), [item("a", "b", prompt="")], "calibrated")
    assert error.value.key == "evaluate.choices_no_prompt" and error.value.place == "rows, line 1"


@pytest.mark.parametrize(
    ("tokens", "key"), [([], "evaluate.choices_no_tokens"), ([-math.inf], "evaluate.choices_not_finite")]
)
def test_what_has_no_score_is_told(tokens: list[float], key: str) -> None:
    with pytest.raises(BadInput) as error:
        choose(Table({("q\n", "a"): tokens, ("q\n", "b"): [-1.0]}), [item("a", "b")])
    assert error.value.key == key


def test_a_row_that_the_model_cannot_read_is_named() -> None:
    def told(prompt: str, choice: str) -> list[float]:
        if len(prompt) > 10:
            raise BadInput("generate.prompt_too_long", place="m", length=12, context=10)
        return [-1.0]

    asked = [item("a", "b"), Item("rows, line 7", "x" * 12, ("a", "b"), 0)]
    with pytest.raises(BadInput) as error:
        choose(Table(told), asked)
    assert error.value.place == "rows, line 7" and "12 tokens" in error.value.cause


def test_progress_reaches_the_number_of_pairs() -> None:
    told: list[tuple[int, int]] = []
    asked = [item(f"{i} a", f"{i} b") for i in range(50)]
    choose(Table(lambda p, c: [-1.0]), asked, on_progress=lambda done, total: told.append((done, total)))
    assert told == [(0, 100), (64, 100), (100, 100)]


# -- what is measured -----------------------------------------------------------------------------------------------


def answered(right: Sequence[bool], group: str | None = None) -> list[Chosen]:
    return [Chosen(item("a", "b", group=group), (-1.0, -2.0), (0,) if yes else (1,)) for yes in right]


def test_several_groups_are_what_is_resampled_and_one_is_not() -> None:
    alike = [*answered([True] * 30, "x"), *answered([False] * 30, "y"), *answered([True] * 30, "z")]
    free = answered([True] * 30 + [False] * 30 + [True] * 30)
    grouped, single = measure(alike, "w"), measure(free, "w")
    width = [
        f["metrics"]["choice_accuracy"]["upper"] - f["metrics"]["choice_accuracy"]["lower"] for f in (grouped, single)
    ]
    assert grouped["clusters"] == 3 and single["clusters"] == 90 and width[0] > 2 * width[1]
    assert [(g["name"], g["n"], g["value"]) for g in grouped["groups"]] == [("x", 30, 1), ("y", 30, 0), ("z", 30, 1)]
    assert all(g["lower"] <= g["value"] <= g["upper"] for g in grouped["groups"])
    one = measure(answered([True] * 20 + [False] * 10, "only"), "w")
    assert one["clusters"] == 30 and one["metrics"]["choice_accuracy"]["lower"] > 0.4
    assert one["metrics"]["choice_accuracy"]["signature"] == "w|ties:share|clusters:item"


def test_the_result_says_what_was_computed_and_how_long_it_took() -> None:
    found, chosen = choice_score(Table(lambda p, c: [-float(len(c))]), [item("a", "bb"), item("cc", "d")], "byte")
    assert set(found) == {"n", "clusters", "metrics", "margin", "groups", "ties", "seconds"} and len(chosen) == 2
    said = found["metrics"]["choice_accuracy"]
    assert said["signature"] == "likelihood:next token|normalise:byte|end:no|ties:share|clusters:item"
    assert chosen[0].to_json()["right"] == 0.5 and found["n"] == 2


# -- the layouts ----------------------------------------------------------------------------------------------------


def test_questions_prompts_and_the_three_ways_of_giving_the_answer(tmp_path: Path) -> None:
    body = {"choices": ["red", "blue", "green"]}
    file = rows(
        tmp_path,
        {"question": "The sky?", "answer": 1, "group": "colour", **body},
        {"question": "Grass?", "answer": "C", "subject": "plants", **body},
        {"prompt": "Blood is", "answer": "red", **body},
    )
    first, second, third = read_choices(file)
    assert [one.answer for one in (first, second, third)] == [1, 2, 0]
    assert (first.prompt, first.empty, first.group) == ("The sky?\n", f"{EMPTY}\n", "colour")
    assert second.group == "plants" and second.place == f"{file}, line 2"
    assert (third.prompt, third.empty, third.group) == ("Blood is", EMPTY, None)
    assert read_choices(file, lambda question: f"<{question}>")[0].prompt == "<The sky?>"


def test_sentences_of_a_pair_are_whole_texts(tmp_path: Path) -> None:
    (one,) = read_choices(rows(tmp_path, {"sentence_good": "He is.", "sentence_bad": "He are.", "UID": "agreement"}))
    assert (one.prompt, one.choices, one.answer, one.group) == ("", ("He is.", "He are."), 0, "agreement")
    assert one.empty is None


MMLU_PROMPT = """The following are multiple choice questions (with answers) about abstract algebra.

2, or 3?
A. 0
B. 1
C. 2
D. 3
Answer:"""


@pytest.mark.parametrize("header", [False, True])
def test_mmlu_with_and_without_a_header(tmp_path: Path, header: bool) -> None:
    file = tmp_path / "abstract_algebra_test.csv"
    with file.open("w", newline="", encoding="utf-8") as out:
        write = csv.writer(out)
        if header:
            write.writerow(["question", "A", "B", "C", "D", "answer", "subject"])
        write.writerow(["2, or 3?", "0", "1", "2", "3", "C", *(["abstract_algebra"] if header else [])])
    (one,) = read_choices(file)
    assert one.prompt == MMLU_PROMPT and one.choices == (" A", " B", " C", " D") and one.answer == 2
    assert one.group == "abstract_algebra" and one.empty is not None and "2, or 3?" not in one.empty


def test_a_list_of_rows_and_a_gzipped_file_are_read_alike(tmp_path: Path) -> None:
    row = {"question": "q", "choices": ["a", "b"], "answer": 0}
    as_list, packed = rows(tmp_path, [row, row], name="rows.json"), tmp_path / "rows.jsonl.gz"
    packed.write_bytes(gzip.compress(json.dumps(row).encode()))
    assert len(read_choices(as_list)) == 2 and len(read_choices(packed)) == 1


def test_a_limit_spreads_over_the_file() -> None:
    items = [item("a", "b", group=str(i // 10)) for i in range(100)]
    assert {one.group for one in some_of(items, 10)} == {str(i) for i in range(10)}
    assert some_of(items, None) == some_of(items, 1000) == items


def test_the_real_files_are_read_whole() -> None:
    pairs = read_choices(real_data("blimp") / "first100.jsonl.gz")
    assert len(pairs) == 6700 and len({one.group for one in pairs}) == 67
    exams = read_choices(real_data("mmlu") / "val.jsonl")
    assert len(exams) == 1531 and len({one.group for one in exams}) == 57
    assert all(one.prompt.endswith("\nAnswer:") and one.prompt.count("\nD. ") for one in exams)


# -- what is wrong with a row ---------------------------------------------------------------------------------------

GOOD = {"question": "q", "choices": ["a", "b"], "answer": 0}


@pytest.mark.parametrize(
    ("row", "key"),
    [
        (GOOD | {"answer": 2}, "evaluate.choices_answer"),
        (GOOD | {"answer": -1}, "evaluate.choices_answer"),
        (GOOD | {"answer": True}, "evaluate.choices_answer"),
        (GOOD | {"answer": "C"}, "evaluate.choices_answer"),
        (GOOD | {"answer": "1"}, "evaluate.choices_answer"),
        (GOOD | {"answer": "A", "choices": ["B", "A"]}, "evaluate.choices_answer_twice"),
        (GOOD | {"choices": ["a"]}, "evaluate.choices_count"),
        (GOOD | {"choices": ["a", " "]}, "evaluate.choices_empty"),
        (GOOD | {"choices": ["a", "a"]}, "evaluate.choices_twice"),
        (GOOD | {"choices": "ab"}, "evaluate.choices_not_texts"),
        (GOOD | {"choices": ["a", 2]}, "evaluate.choices_not_texts"),
        ({"question": "q", "choices": ["a", "b"]}, "evaluate.choices_key"),
        ({"choices": ["a", "b"], "answer": 0}, "evaluate.choices_key"),
        ({"question": "q", "answer": 0}, "evaluate.choices_layout"),
        ({"sentence_good": "a"}, "evaluate.choices_key"),
        ({"sentence_good": "a", "sentence_bad": ""}, "evaluate.choices_no_text"),
        (GOOD | {"question": 7}, "evaluate.choices_no_text"),
        (GOOD | {"group": 3}, "evaluate.choices_no_text"),
        ({"question": "q", "A": "1", "B": "2", "C": "3", "D": "4", "answer": "E"}, "evaluate.choices_answer"),
        ([1, 2], "evaluate.choices_layout"),
        ('{"question": ', "evaluate.row_not_json"),
    ],
)
def test_a_malformed_row_is_refused_with_its_line_a_cause_and_a_cure(tmp_path: Path, row: Any, key: str) -> None:
    file = rows(tmp_path, GOOD, row)
    with pytest.raises(BadInput) as error:
        read_choices(file)
    assert error.value.key == key and error.value.place == f"{file}, line 2"
    assert error.value.cause and error.value.cure


@pytest.mark.parametrize(
    ("name", "content", "key"),
    [
        ("rows.jsonl", "", "evaluate.choices_none"),
        ("rows.txt", "a\n", "evaluate.choices_format"),
        ("rows.csv", "q,1,2,3,A\n", "evaluate.choices_ragged"),
        ("rows.csv", "q,1,2,3,4,5\n", "evaluate.choices_answer"),
    ],
)
def test_a_file_that_holds_no_choices_is_refused(tmp_path: Path, name: str, content: str, key: str) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(BadInput) as error:
        read_choices(tmp_path / name)
    assert error.value.key == key and str(tmp_path / name) in error.value.place

"""A judge behind a real API: what it is sent, what is read from it, and what its biases must not do."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from escalade import api
from escalade import project as projects
from escalade.cli import main
from escalade.climb.run import run
from escalade.errors import BadInput
from escalade.evaluate.judging import choice_of, rating_of
from escalade.evaluate.pairwise import Judged, controlled, judge_pairs
from escalade.stages.judging import ApiJudge
from escalade.stages.workspace import Silent, open_workspace
from judge_server import judging, part

pytestmark = pytest.mark.slow

ROWS = 40
CHANCE = random.Random(0)
WANTED = [f"city number {i}" for i in range(ROWS)]
RIGHT = [i % 4 != 0 for i in range(ROWS)]
"""Where B is right; A is right in the others."""


def padded(text: str, words: int) -> str:
    return " ".join([text, *["indeed"] * words])


A = [padded("nowhere" if RIGHT[i] else WANTED[i], CHANCE.randrange(6)) for i in range(ROWS)]
B = [padded(WANTED[i] if RIGHT[i] else "nowhere", CHANCE.randrange(6)) for i in range(ROWS)]


def first(prompt: str) -> str:
    """Always prefers what it is shown first."""
    return "It reads well.\nVerdict: 1"


def longer(prompt: str) -> str:
    one, two = len(part(prompt, "answer 1")), len(part(prompt, "answer 2"))
    return f"It says more.\n**Verdict: {'tie' if one == two else 1 if one > two else 2}**"


def better(prompt: str) -> str:
    wanted = part(prompt, "reference")
    one, two = wanted in part(prompt, "answer 1"), wanted in part(prompt, "answer 2")
    return f"One of them names the city.\n\nVerdict: {'tie' if one == two else 1 if one else 2}"


def judged(reply: Any, a: list[str] = A, b: list[str] = B, **more: Any) -> Judged:
    with judging(reply) as (address, _):
        judge = ApiJudge(open_workspace(Path(".")), address, "wise")
        return judge_pairs(judge, {"a.txt": a, "b.txt": b}, [[text] for text in WANTED], **more)


# -- pairs ------------------------------------------------------------------------------------------------------------


def test_a_judge_that_prefers_the_first_answer_finds_only_ties() -> None:
    found = judged(first)
    assert (found.wins, found.ties, found.losses) == (0, ROWS, 0)
    assert found.win_rate.value == 0.5 and found.p == 1 and found.consistent == 0 and found.first_preferred == 1
    assert found.controlled is not None and found.controlled.value == pytest.approx(0.5)


def test_a_judge_that_sees_what_is_better_finds_it_in_both_orders() -> None:
    found = judged(better)
    assert (found.wins, found.ties, found.losses) == (30, 0, 10) and found.consistent == 1
    assert found.win_rate.value == 0.75 and found.win_rate.lower < 0.62 < 0.85 < found.win_rate.upper
    assert found.p == pytest.approx(2 * sum(math.comb(40, k) for k in range(11)) / 2**40)
    assert found.first_preferred == 0.5
    assert found.controlled is not None and found.controlled.lower > 0.5 and found.controlled.value > 0.65


def test_length_control_shrinks_what_is_won_by_length() -> None:
    words = [CHANCE.choice([-2, -1, 3, 4, 5, 6, 7, 8, 9]) for _ in range(ROWS)]
    a = [padded("same", 10) for _ in words]
    b = [padded("same", 10 + more) for more in words]
    found = judged(longer, a, b)
    assert found.win_rate.value > 0.7 and found.p < 0.01 and found.longer_preferred == 1
    assert found.controlled is not None and abs(found.controlled.value - 0.5) < found.win_rate.value - 0.5
    assert found.controlled.lower < 0.5 < found.controlled.upper
    always = judged(longer, a, [padded("same", 20) for _ in words])
    assert always.win_rate.value == 1 and always.controlled is None


def test_length_control_leaves_what_has_nothing_to_do_with_length() -> None:
    chance = np.random.default_rng(0)
    difference = chance.normal(20, 40, 2000)
    outcomes = (chance.random(2000) < 0.7).astype(float)
    found = controlled(outcomes, difference, range(2000))
    assert found is not None and found.lower < 0.7 < found.upper and found.upper - found.lower < 0.08
    wins = 1 / (1 + np.exp(-(0.4 + 1.5 * np.tanh(difference / difference.std()))))
    found = controlled((chance.random(2000) < wins).astype(float), difference, range(2000))
    assert found is not None and found.lower < 1 / (1 + math.exp(-0.4)) < found.upper < wins.mean() + 0.05


def test_unclear_replies_are_listed_and_never_guessed() -> None:
    def sometimes(prompt: str) -> str:
        return (
            "Both have merits; the first, perhaps, or 2." if part(prompt, "reference") in WANTED[:3] else better(prompt)
        )

    found = judged(sometimes)
    assert found.unclear == ("1", "2", "3") and found.n == ROWS - 3
    with pytest.raises(BadInput, match="none of the judge's 80 replies"):
        judged(lambda prompt: "I would rather not say.")


def test_agreement_with_people_and_kappa() -> None:
    people = ["b.txt" if right else "A" for right in RIGHT]
    found = judged(better, human=people)
    assert found.agreement is not None and (found.agreement.share, found.agreement.kappa) == (1, 1)
    people = ["B" if i % 2 else "tie" for i in range(ROWS)]
    found = judged(better, human=people)
    # Said by both: B in the 20 odd rows. By chance: 0.75 x 0.5 for B, nothing for A and tie.
    assert found.agreement is not None and found.agreement.share == 0.5
    assert found.agreement.kappa == pytest.approx((0.5 - 0.375) / (1 - 0.375))
    with pytest.raises(BadInput, match="no label of a pair"):
        judged(better, human=["C"] * ROWS)


def test_rows_of_one_group_vote_together() -> None:
    found = judged(better, groups=[str(i // 10) for i in range(ROWS)])
    assert found.clusters == 4 and found.p == 2 * 0.5**4
    assert found.win_rate.upper - found.win_rate.lower > judged(better).win_rate.upper - judged(better).win_rate.lower


@pytest.mark.parametrize(
    ("reply", "choice"),
    [
        ("Verdict: 1", "1"), ("so.\n**Verdict:** 2", "2"), ("verdict: [[Tie]]", "tie"), ("Verdict: 2.", "2"),
        ("Verdict: 1\nVerdict: 1", "1"), ("Verdict: 1\nVerdict: 2", None), ("Verdict: 3", None), ("1", None),
        ("My verdict: 1 has a slip, yet 2 has more", None), ("Verdict: 1 or 2", None), ("Verdict: 12", None),
        ("", None),
    ],
)  # fmt: skip
def test_only_a_clear_choice_is_one(reply: str, choice: str | None) -> None:
    assert choice_of(reply) == choice


@pytest.mark.parametrize(
    ("reply", "grade"),
    [
        ("Good.\nRating: 10", 1), ("Rating: 1", 0), ("**Rating: [[5.5]]**", 0.5), ("rating: 10/10", 1),
        ("Rating: 0", None), ("Rating: 11", None), ("Rating: 5\nRating: 6", None), ("a 7 at least", None),
        ("Rating: 5 to 6", None), ("Rating: -3", None),
    ],
)  # fmt: skip
def test_only_a_clear_grade_is_one(reply: str, grade: float | None) -> None:
    assert rating_of(reply) == grade


# -- grades -----------------------------------------------------------------------------------------------------------


def grade(prompt: str) -> str:
    if part(prompt, "answer") == "hm":
        return "Hard to say."
    return f"Seen.\nRating: {10 if part(prompt, 'answer') == part(prompt, 'reference') else 4}"


def test_grades_are_scaled_and_unclear_ones_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUDGE_KEY", "sk-secret")
    told: list[tuple[str, dict[str, object]]] = []

    class Listener(Silent):
        def say(self, key: str, **facts: object) -> None:
            told.append((key, facts))

    with judging(grade, busy=1) as (address, seen):
        name = f"judge:api={address}:model=wise:key_env=JUDGE_KEY"
        said = api.score(
            ["Rome", "Oslo", "hm"], ["Rome", "Paris", "Lima"], [name], items=True,
            inputs=["capital of Italy?", "of France?", "of Peru?"], reporter=Listener(),
        )  # fmt: skip
    entry = said["metrics"][name]
    assert said["items"][name] == [1, pytest.approx(1 / 3), None]
    assert entry["value"] == pytest.approx(2 / 3) and entry["unclear"] == 1 and entry["unclear_rows"] == [3]
    assert [key for key, _ in told] == ["stages.judge_leaves", "stages.judge_unread"]
    assert told[0][1] == {"count": 3, "model": "wise", "api": address}
    assert len(seen) == 4 and seen[0]["temperature"] == 0 and seen[0]["authorization"] == "Bearer sk-secret"
    prompts = [body["messages"][0]["content"] for body in seen]
    assert any(part(prompt, "request") == "capital of Italy?" for prompt in prompts)
    assert "sk-secret" not in json.dumps(said) + "".join(prompts)


def test_what_a_judge_needs_is_told() -> None:
    with pytest.raises(BadInput, match="needs `api`"):
        api.score(["a"], ["a"], ["judge:model=wise"])
    with pytest.raises(BadInput, match="JUDGE_KEY"):
        api.score(["a"], ["a"], ["judge:api=http://127.0.0.1:1/v1:model=wise:key_env=JUDGE_KEY"])
    with pytest.raises(BadInput, match="not the base address"):
        api.score(["a"], ["a"], ["judge:api=ftp://x:model=wise"])


def test_a_judge_can_be_the_metric_of_a_project_and_its_replies_are_kept(tmp_path: Path) -> None:
    lines = [f"say {word} {i},{word}\n" for i in range(20) for word in ("ja", "nein", "doch")]
    (tmp_path / "rows.csv").write_text("text,short\n" + "".join(lines), encoding="utf-8")
    task = {"kind": "summarization", "data": "rows.csv", "columns": {"input": "text", "output": "short"}}
    with judging(grade) as (address, seen):
        metric = f"judge:api={address}:model=wise"
        project = projects.parse(
            {"tasks": [task | {"metric": metric}], "rungs": ["baseline"], "candidates": ["scratch"]}
        )
        space = open_workspace(tmp_path)
        document = run(project, space)
        asked = len(seen)
        assert run(project, open_workspace(tmp_path)).executed == 0 and len(seen) == asked
    assert document.tasks[0].test is not None and document.tasks[0].test.metric == metric
    kept = list((tmp_path / ".escalade" / "artifacts").rglob("judge-*.jsonl"))
    assert kept and {"id", "prompt", "reply"} == set(json.loads(kept[0].read_text().splitlines()[0]))


def test_what_was_replied_is_not_asked_again(tmp_path: Path) -> None:
    with judging(grade) as (address, seen):
        space = open_workspace(tmp_path)
        ApiJudge(space, address, "wise", kept=tmp_path / "kept.jsonl").ask(["1", "2"], ["one", "two"])
        with (tmp_path / "kept.jsonl").open("a") as file:
            file.write('{"id": "3", "prompt": "cut sh')
        ApiJudge(space, address, "wise", kept=tmp_path / "kept.jsonl").ask(["1", "2"], ["one", "two"])
    assert len(seen) == 2


def code(words: list[str]) -> object:
    with pytest.raises(SystemExit) as left:
        main(words)
    return left.value.code


# -- the verb ---------------------------------------------------------------------------------------------------------


def test_compare_says_what_leaves_and_what_the_judge_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    people = ["B" if right else "A" for right in RIGHT]
    for name, rows in (("a.txt", A), ("b.txt", B), ("r.txt", WANTED), ("h.txt", people)):
        (tmp_path / name).write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")
    with judging(better) as (address, _):
        words = ["compare", "a.txt", "b.txt", "--references", "r.txt", "--judge-api", address, "--judge-model", "wise"]
        assert code([*words, "--human", "h.txt"]) == 0
        said = capsys.readouterr()
        assert code([*words, "--metric", "rouge1", "--json"]) == 0
        document = json.loads(capsys.readouterr().out)
        assert code(["--lang", "zh", *words]) == 0
        assert "符号检验" in capsys.readouterr().out
    assert "80 prompts with" in said.err and f"leave this machine for the judge wise at {address}" in said.err
    assert "wise prefers b.txt to a.txt in 75.0%" in said.out and "30 rows better, 0 equal, 10 worse" in said.out
    assert "at equal length" in said.out and "100.0% of 40 rows, Cohen's kappa 1.00" in said.out
    assert document["judged"][0]["wins"] == 30 and document["metric"] == "rouge1"
    assert code(["compare", "a.txt", "b.txt", "--references", "r.txt", "--judge-model", "wise"]) == 2
    assert code([*words[:3], "h.txt", *words[3:], "--human", "h.txt"]) == 2

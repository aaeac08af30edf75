"""The decision of one task, with stand-ins for the stages: what is tried, what is kept, what is proven."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from escalade import messages
from escalade.catalogue.metrics import METRICS
from escalade.climb.decide import Adapted, Climber, Forgotten, Graded, Limit, Outcome, Planned, Tried
from escalade.climb.view import attempt_document, reason_of
from escalade.errors import BadInput, Interrupted, OutOfTime
from escalade.evaluate import interval, load_metric
from escalade.project import Target
from escalade.values import (
    Base,
    Change,
    Cost,
    Evaluation,
    Facts,
    Forgetting,
    Model,
    Refused,
    Rung,
    Score,
    SplitName,
)

FACTS = Facts(kind="classification", labels=("0", "1"))
ACCURACY = METRICS["accuracy"]


@dataclass
class StandIn:
    """Attempts whose every answer is right with a chance of its own."""

    chances: list[float]
    seed: int
    rows: int = 300
    facts: Facts = FACTS
    baselines: int = 1
    raises: dict[int, Exception] = field(default_factory=dict)
    refused: dict[int, Refused] = field(default_factory=dict)
    looked: list[str] = field(default_factory=list)
    adapted: list[int] = field(default_factory=list)
    ready: set[int] = field(default_factory=set)
    """Attempts that the ledger holds already."""
    limits: tuple[Limit, ...] = (Limit("general"),)
    losses: dict[int, Forgetting | Exception] = field(default_factory=dict)
    """What attempts forgot; those that are not named have no pretrained base."""
    measured: list[int] = field(default_factory=list)

    def planned(self) -> list[Planned]:
        made = []
        for i in range(len(self.chances)):
            family = "none" if i < self.baselines else "encoder"
            base = Base(name=f"m{i:02}", family=family, source="none")
            cost = Cost(seconds=float(i), peak_bytes=None)
            refused, forgets = self.refused.get(i), i in self.losses
            made.append(Planned(f"id{i}", f"full m{i:02}", base, Rung(name="full"), cost, refused, forgets))
        return made

    def made(self, planned: Planned, tried: Sequence[Tried]) -> bool:
        return int(planned.id[2:]) in self.ready

    def adapt(self, planned: Planned, tried: Sequence[Tried]) -> Adapted:
        i = int(planned.id[2:])
        self.adapted.append(i)
        if i in self.raises:
            raise self.raises[i]
        model = Model(artifact=str(i), rung="full", family="encoder", kind="classification", base=planned.base.name)
        return Adapted(model, 1.0, None, f"run{i}")

    def grade(self, model: Model, split: SplitName) -> Graded:
        if split == "test":
            self.looked.append(model.artifact)
        chance = self.chances[int(model.artifact)]
        draw = np.random.default_rng([self.seed, int(model.artifact), split == "test"])
        right = (draw.random(self.rows) < chance).astype(float)
        rows = np.stack([right, np.ones(self.rows)], axis=1)
        clusters = [str(i) for i in range(self.rows)]
        found = interval(rows, clusters, load_metric("accuracy", self.facts), resamples=50)
        score = Score(
            metric="accuracy", split=split, value=found.value, lower=found.lower, upper=found.upper, confidence=0.95,
            n=self.rows, clusters=self.rows, unit="row", resamples=0, seed=0, signature="",
        )  # fmt: skip
        evaluation = Evaluation(model=model.artifact, split=split, predictions="", scores=(score,), empty=0)
        return Graded(evaluation, {"accuracy": rows}, clusters, 1.0, f"graded{model.artifact}{split}")

    def forgotten(self, planned: Planned, adapted: Adapted) -> Forgotten:
        i = int(planned.id[2:])
        self.measured.append(i)
        found = self.losses[i]
        if isinstance(found, Exception):
            raise found
        return Forgotten(self.limits, found, 2.0, (f"forgot{i}",))


def loss(bound: float) -> Forgetting:
    """A loss whose one-sided bound is ``bound``."""
    change = Change(
        texts="b2:x", base=1.0, adapted=1.0 + bound / 2, difference=bound / 2, lower=0.0, upper=bound * 1.1,
        bound=bound, confidence=0.95, n=60, clusters=30, seed=0, signature="nll",
    )  # fmt: skip
    return Forgetting(model="1", general=change, changes=(change,))


@dataclass
class Notes:
    """A book without a ledger."""

    left: float | None = None
    decided: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    looks: int = 0
    late: set[str] = field(default_factory=set)

    def unmeasured(self, planned: Planned) -> bool:
        return planned.id in self.late

    def earlier(self, planned: Planned) -> tuple[str, str | None] | None:
        return self.decided.get(planned.id)

    def time_left(self) -> float | None:
        return self.left

    def look(self, model: Model) -> int:
        self.looks += 1
        return self.looks


def climb(steps: StandIn, target: float | None, notes: Notes | None = None, resamples: int = 500) -> Outcome:
    wanted = None if target is None else Target(metric="accuracy", at_least=target)
    return Climber(steps, notes or Notes(), ACCURACY, wanted, resamples=resamples).climb()


def test_the_accuracy_statistics_are_what_the_stand_in_makes() -> None:
    rows = np.array([[1.0, 1.0], [0.0, 1.0]])
    assert load_metric("accuracy", FACTS).value(rows.sum(0)) == 0.5


def test_stops_at_the_cheapest_attempt_that_passes_and_says_so_of_the_others() -> None:
    steps = StandIn([0.5, 0.7, 0.95, 0.97], seed=1)
    outcome = climb(steps, 0.8)
    assert outcome.verdict == "met"
    assert outcome.kept is not None and outcome.kept.planned.id == "id2"
    assert steps.adapted == [0, 1, 2], "the dearer attempt must not be made"
    assert "full m02" in str(outcome.attempts[3].reason)
    assert steps.looked == ["2"], "the test rows are opened once, for the one kept"


def test_a_baseline_that_passes_ends_the_climb() -> None:
    outcome = climb(StandIn([0.95, 0.99], seed=2), 0.8)
    assert outcome.verdict == "met" and outcome.kept is not None and outcome.kept.planned.is_baseline


def test_an_attempt_that_is_not_better_is_marked_and_never_kept() -> None:
    outcome = climb(StandIn([0.8, 0.8, 0.8], seed=3), 0.95)
    assert outcome.kept is not None and outcome.kept.planned.id == "id0"
    assert [t.better for t in outcome.attempts] == [True, False, False]
    assert outcome.attempts[1].reason == "no better than full m00"
    assert outcome.verdict == "not met"


def test_without_a_target_the_best_baseline_is_to_be_beaten_and_everything_is_tried() -> None:
    steps = StandIn([0.6, 0.9, 0.95], seed=4)
    outcome = climb(steps, None)
    assert outcome.target.origin and outcome.target.bound == pytest.approx(0.6, abs=0.1)
    assert steps.adapted == [0, 1, 2]
    assert outcome.verdict == "met"
    assert steps.looked == ["2", "0"], "the kept attempt and the baseline it must beat, on the same test rows"
    assert outcome.test_bound is not None and outcome.target.bound < outcome.test_bound < 0.95


def test_no_baseline_beats_itself_and_none_is_needed_to_be_there() -> None:
    for seed in range(40):
        assert climb(StandIn([0.9, 0.5], seed=seed, baselines=2), None).verdict == "not met"
    outcome = climb(
        StandIn([0.9], seed=0, baselines=1, raises={0: BadInput("rungs.no_demonstration", place="x")}), None
    )
    assert outcome.verdict == "not met" and outcome.kept is None
    alone = climb(StandIn([0.95], seed=0, baselines=0), None)
    assert alone.verdict == "not met", "with nothing to beat, nothing is shown"


def test_a_model_as_good_as_the_best_baseline_is_rarely_said_to_beat_it() -> None:
    """Designed for 2.5 %: of 200, more than 14 would come up by chance once in five hundred times."""
    met = sum(climb(StandIn([0.8, 0.8], seed=s, rows=150), None, resamples=200).verdict == "met" for s in range(200))
    assert met <= 14


def test_what_passes_is_kept_although_few_rows_cannot_show_that_it_is_better() -> None:
    kept = [climb(StandIn([0.86, 0.9], seed=seed), 0.85) for seed in range(60)]
    passing = [o for o in kept if any(t.bound is not None and t.bound >= 0.85 for t in o.attempts)]
    assert len(passing) > 20 and all(o.passed for o in passing)
    assert any(o.kept is not None and not o.kept.better for o in passing), "one of them was not shown to be better"


def test_what_does_not_fit_the_time_left_is_not_tried_with_both_numbers() -> None:
    steps = StandIn([0.5, 0.9, 0.9], seed=6)
    outcome = climb(steps, 0.95, Notes(left=1.5))
    assert steps.adapted == [0, 1]
    assert outcome.attempts[2].status == "not tried" and "2 s" in str(outcome.attempts[2].reason)


def test_an_attempt_that_fails_or_runs_out_of_time_does_not_cost_the_others() -> None:
    steps = StandIn([0.5, 0.9, 0.9, 0.95], seed=7)
    steps.raises = {1: BadInput("rungs.no_demonstration", place="x"), 2: OutOfTime("stages.out_of_time")}
    outcome = climb(steps, 0.9)
    assert [t.status for t in outcome.attempts] == ["done", "failed", "stopped", "done"]
    assert outcome.kept is not None and outcome.kept.planned.id == "id3"


def test_an_interruption_is_not_swallowed() -> None:
    steps = StandIn([0.5, 0.9], seed=8, raises={1: Interrupted("stages.interrupted")})
    with pytest.raises(Interrupted):
        climb(steps, 0.9)


def test_a_finished_climb_is_replayed_from_its_notes_whatever_the_clock_says() -> None:
    notes = Notes(left=0.0, decided={"id0": ("done", None), "id1": ("done", None), "id2": ("not tried", "too dear")})
    steps = StandIn([0.5, 0.7, 0.99], seed=9)
    outcome = climb(steps, 0.95, notes)
    assert steps.adapted == [0, 1]
    assert outcome.attempts[2].reason == "too dear"


def test_what_the_ledger_holds_is_looked_up_whatever_the_clock_says() -> None:
    steps = StandIn([0.5, 0.9, 0.9], seed=6, ready={0, 1})
    outcome = climb(steps, 0.95, Notes(left=-5.0))
    assert steps.adapted == [0, 1] and outcome.attempts[2].status == "not tried"
    assert outcome.kept is not None and outcome.kept.planned.id == "id1"


def test_refused_attempts_carry_their_reason() -> None:
    refused = {1: Refused(name="lora", key="rungs.no_preferences")}
    outcome = climb(StandIn([0.5, 0.9], seed=10, refused=refused), 0.9)
    assert outcome.attempts[1].reason == "the task has no preferences"


def test_a_falling_metric_is_won_by_less() -> None:
    falling = METRICS["accuracy"].__class__(**{**vars(ACCURACY), "rising": False})
    steps = StandIn([0.6, 0.1], seed=11)
    target = Target(metric="accuracy", at_most=0.3)
    outcome = Climber(steps, Notes(), falling, target, resamples=500).climb()
    assert outcome.verdict == "met" and outcome.kept is not None and outcome.kept.planned.id == "id1"


LIMITS = (Limit("general", 0.1),)


def test_an_attempt_that_forgets_more_than_keep_allows_is_not_kept_and_says_why() -> None:
    steps = StandIn([0.5, 0.95, 0.94], seed=1, limits=LIMITS, losses={1: loss(0.11), 2: loss(0.09)})
    outcome = climb(steps, 0.8)
    broken, holding = outcome.attempts[1:]
    assert broken.status == "done" and broken.better and not broken.keeps
    assert (
        broken.reason == "it forgets too much: general may be up to 0.1100 bits per byte worse, and `keep` allows 0.1"
    )
    assert holding.against is outcome.attempts[0], "it is compared with what may ship"
    assert outcome.kept is holding and outcome.verdict == "met" and steps.looked == ["2"]


def test_where_only_what_is_broken_would_meet_the_target_it_is_not_met_and_the_reason_names_it() -> None:
    steps = StandIn([0.5, 0.95], seed=1, limits=LIMITS, losses={1: loss(0.2)})
    outcome = climb(steps, 0.8)
    assert outcome.verdict == "not met" and outcome.kept is outcome.attempts[0] and steps.looked == ["0"]
    assert "not kept for what they forget: full m01" in reason_of(outcome, ACCURACY)
    found = attempt_document(outcome.attempts[1], "task", "row")
    assert found.forgetting is not None and found.forgetting.keep[0].broken is True
    assert found.measured is not None and found.measured.seconds == 4.0 and found.runs[-1] == "forgot1"
    assert found.versus is not None and found.versus.better, "as an answer to the task it is better"


def test_nothing_is_released_where_all_that_was_tried_forgets_too_much() -> None:
    steps = StandIn([0.9], seed=1, baselines=0, limits=LIMITS, losses={0: loss(0.2)})
    outcome = climb(steps, 0.8)
    assert outcome.kept is None and outcome.verdict == "not met" and steps.looked == []
    assert reason_of(outcome, ACCURACY).startswith("nothing is kept: it forgets too much")


def test_the_bound_decides_and_a_loss_at_the_limit_is_allowed() -> None:
    for bound, keeps in ((0.1, True), (0.1 + 1e-9, False), (-0.5, True)):
        outcome = climb(StandIn([0.5, 0.95], seed=1, limits=LIMITS, losses={1: loss(bound)}), 0.8)
        assert outcome.attempts[1].keeps is keeps


def test_without_a_limit_forgetting_is_measured_and_decides_nothing() -> None:
    steps = StandIn([0.5, 0.95], seed=1, losses={1: loss(9.0)})
    outcome = climb(steps, 0.8)
    assert outcome.verdict == "met" and steps.measured == [1]
    assert attempt_document(outcome.attempts[0], "task", "row").forgetting is None
    found = attempt_document(outcome.attempts[1], "task", "row").forgetting
    assert found is not None and found.general is not None and found.general.source == "general" and found.keep == ()


def test_a_base_that_gives_texts_no_likelihood_has_none_to_lose() -> None:
    none = Forgetting(model="1", general=None, reason=Refused(name="m", key="rungs.forgetting_no_head"))
    outcome = climb(StandIn([0.5, 0.95], seed=1, limits=LIMITS, losses={1: none}), 0.8)
    assert outcome.verdict == "met"
    found = attempt_document(outcome.attempts[1], "task", "row").forgetting
    assert found is not None and found.reason is not None and found.reason.key == "rungs.forgetting_no_head"
    assert found.keep[0].broken is None and found.keep[0].change is None


@pytest.mark.parametrize(("limits", "keeps"), [(LIMITS, False), ((Limit("general"),), True)])
def test_what_there_was_no_time_to_measure_is_not_shown_to_keep_its_limit(
    limits: tuple[Limit, ...], keeps: bool
) -> None:
    steps = StandIn([0.5, 0.95], seed=1, limits=limits, losses={1: OutOfTime("stages.out_of_time")})
    outcome = climb(steps, 0.8)
    assert outcome.attempts[1].status == "done" and outcome.attempts[1].keeps is keeps
    found = attempt_document(outcome.attempts[1], "task", "row").forgetting
    assert found is not None and found.general is None and found.reason is not None
    assert found.reason.reason == "the budget's time was over"
    again = StandIn([0.5, 0.95], seed=1, limits=limits, losses={1: loss(0.0)})
    replayed = climb(again, 0.8, Notes(late={"id1"}))
    assert again.measured == [] and replayed.attempts[1].reason == outcome.attempts[1].reason


def test_both_reasons_stand_where_an_attempt_is_neither_better_nor_kept() -> None:
    outcome = climb(StandIn([0.9, 0.5], seed=1, limits=LIMITS, losses={1: loss(0.2)}), 0.99)
    assert str(outcome.attempts[1].reason).startswith("no better than full m00. it forgets too much")
    messages.use("zh")
    outcome = climb(StandIn([0.9, 0.5], seed=1, limits=LIMITS, losses={1: loss(0.2)}), 0.99)
    assert "遗忘过多" in str(outcome.attempts[1].reason)


@pytest.mark.slow
def test_thirty_attempts_exactly_at_the_target_are_rarely_said_to_meet_it() -> None:
    """The best of thirty on validation looks better than it is; the test split must not be fooled by that."""
    runs = 2000
    met = sum(
        climb(StandIn([0.8] * 30, seed=seed, rows=200), 0.8, resamples=100).verdict == "met" for seed in range(runs)
    )
    assert met <= 0.05 * runs, f"{met} of {runs}"


def test_a_few_climbs_exactly_at_the_target() -> None:
    """The same in small, so that the core holds it too: at most 5 % is at most 9 of 60 with a chance of 0.999."""
    met = sum(climb(StandIn([0.8] * 8, seed=s, rows=120), 0.8, resamples=60).verdict == "met" for s in range(60))
    assert met <= 9

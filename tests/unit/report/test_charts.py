"""Drawings: sound, inside their frame, with names that never cover one another."""

from __future__ import annotations

import math
from xml.etree import ElementTree

from hypothesis import given, settings
from hypothesis import strategies as st

from escalade.report import charts, format
from escalade.report.charts import Goal, Point, Proof
from escalade.report.placing import Box, Name, place
from escalade.report.svg import Scale, time_ticks, value_ticks
from escalade.values import Family

FAMILIES: tuple[Family, ...] = ("none", "encoder", "decoder", "encoder-decoder")
GOAL = Goal("accuracy", 0.8, rising=True)


def point(i: int, value: float, seconds: float, name: str = "") -> Point:
    return Point(
        name or f"rung-{i} some-base-{i}",
        FAMILIES[i % 4],
        seconds,
        seconds * 2,
        value,
        value - 0.03,
        value + 0.03,
        i == 3,
    )


def drawn(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(text)


def texts(root: ElementTree.Element, kind: str) -> list[ElementTree.Element]:
    return [node for node in root.iter("text") if kind in (node.get("class") or "").split()]


def name_boxes(root: ElementTree.Element) -> list[Box]:
    boxes = []
    for node in texts(root, "name"):
        width = format.text_width(node.text or "", 12)
        shift = {"start": 0.0, "middle": 0.5, "end": 1.0}[node.get("text-anchor", "start")]
        left, base = float(node.get("x", "")) - shift * width, float(node.get("y", ""))
        boxes.append(Box(left, base - 9, left + width, base + 3))
    return boxes


def test_crowded_names_never_overlap_and_stay_inside() -> None:
    points = [point(i, 0.7 + 0.002 * (i % 5), 10 + i / 10) for i in range(14)]
    for width in (960, 350):
        root = drawn(charts.ladder("c", points, GOAL, width))
        boxes = name_boxes(root)
        assert len(boxes) == 14
        for i, box in enumerate(boxes):
            assert box.left >= 0 and box.right <= width
            assert all(box.overlap(other) < 1e-9 for other in boxes[:i])


@settings(deadline=None, max_examples=25)
@given(
    st.lists(
        st.tuples(
            st.floats(-100, 100, allow_nan=False), st.floats(0, 1e7, allow_nan=False), st.text(min_size=1, max_size=60)
        ),
        min_size=1,
        max_size=8,
    ),
    st.floats(-100, 100, allow_nan=False),
)
def test_any_points_give_a_sound_drawing(given_points: list[tuple[float, float, str]], bound: float) -> None:
    points = [point(i, value, seconds, name) for i, (value, seconds, name) in enumerate(given_points)]
    root = drawn(charts.ladder("c", points, Goal("m", bound, rising=False), 350))
    for node in root.iter():
        for key in ("x", "y", "x1", "x2", "y1", "y2", "cx", "cy"):
            assert math.isfinite(float(node.get(key, "0")))
    assert len(texts(root, "goal-name")) == 1


def test_the_kept_attempt_stands_out_and_each_family_has_its_own_shape() -> None:
    root = drawn(charts.ladder("c", [point(i, 0.5 + i / 10, 10.0**i) for i in range(4)], GOAL, 960))
    assert [node.text for node in texts(root, "kept")] == ["rung-3 some-base-3"]
    assert len([n for n in root.iter("circle") if n.get("class") == "ring"]) == 1
    shapes = {n.get("class"): n.tag for n in root.iter() if (n.get("class") or "").endswith("solid")}
    assert shapes["mark none solid"] == "circle" and shapes["mark encoder solid"] == "rect"
    assert shapes["mark decoder solid"] == "polygon"
    assert len([n for n in root.iter() if (n.get("class") or "").endswith("hollow")]) == 4


def test_drawings_have_a_title_and_a_description_that_holds_the_numbers() -> None:
    root = drawn(charts.ladder("c", [point(1, 0.7123, 12.5)], GOAL, 350))
    title, told = root.find("title"), root.find("desc")
    assert title is not None and title.text and told is not None and told.text
    assert "0.7123 [0.6823, 0.7423], 12.5\u00a0s" in told.text
    assert root.get("role") == "img" and root.get("aria-labelledby") == "c-title c-desc"


def test_higher_scores_stand_higher_and_dearer_attempts_further_right() -> None:
    root = drawn(charts.ladder("c", [point(0, 0.5, 1.0), point(4, 0.9, 100.0)], GOAL, 960))
    marks = [n for n in root.iter("circle") if n.get("class") == "mark none solid"]
    (low, high) = sorted(marks, key=lambda n: float(n.get("cx", "")))
    assert float(low.get("cy", "")) > float(high.get("cy", ""))


def test_the_proof_places_bound_and_target_in_order() -> None:
    root = drawn(charts.proof("p", Proof(0.9, 0.87, 0.93, 0.88), GOAL, 640))
    goal, bound, score = (_x(root, kind) for kind in ("goal", "bound", "mark solid score"))
    assert goal < bound < score
    assert drawn(charts.proof("p", Proof(0.9, 0.9, 0.9, None), Goal("m", 0.9, True), 330)) is not None


def _x(root: ElementTree.Element, kind: str) -> float:
    node = next(n for n in root.iter() if n.get("class") == kind)
    return float(node.get("x1") or node.get("cx") or "nan")


def test_label_bars_are_as_long_as_their_counts() -> None:
    root = drawn(charts.label_counts("l", [("很长的标签" * 20, 100), ("b", 50), ("<none>", 0)]))
    bars = [float(node.get("width", "")) for node in root.iter("rect")]
    assert math.isclose(bars[1] / bars[0], 0.5, abs_tol=0.01) and bars[2] == 1
    assert (texts(root, "name")[0].text or "").endswith("…")
    assert [node.text for node in texts(root, "tick")] == ["100", "50", "0"]


def test_names_without_room_are_left_out_rather_than_drawn_over() -> None:
    room = Box(0, 0, 100, 20)
    found = place([Name(20, 10, 60, 15), Name(20, 10, 60, 15)], [], room)
    assert found[0] is not None and found[1] is None


def test_ticks_are_round_and_inside() -> None:
    assert [said for _, said in value_ticks(0.61, 0.93)] == ["0.65", "0.70", "0.75", "0.80", "0.85", "0.90"]
    assert [said for _, said in value_ticks(-1.5, 1.5)][0] == "\u22121.5"
    assert [said for _, said in time_ticks(0.05, 4000)] == [
        f"{t}\u00a0{u}" for t, u in ((0.1, "s"), (1, "s"), (10, "s"), (1, "min"), (10, "min"), (1, "h"))
    ]
    assert len(time_ticks(20, 40)) >= 2


def test_scales_meet_their_ends() -> None:
    log = Scale(0.1, 1000, 50, 250, log=True)
    assert (log(0.1), log(10), log(1000)) == (50, 150, 250)
    assert Scale(0, 2, 100, 0)(0.5) == 75

"""The pictures of the page, each a still drawing in the page's own colours: ladder, proof and label counts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from escalade import messages
from escalade.report import format
from escalade.report.placing import Box, Name, place
from escalade.report.svg import Node, Scale, drawing, marker, markup, node, time_ticks, value_ticks
from escalade.values import Family

FONT = 12.0
_RADIUS = 5.0
_FEWEST_SECONDS = 1e-3
"""A logarithm needs a floor; nothing that was measured took less."""


@dataclass(frozen=True)
class Point:
    """An attempt that was evaluated."""

    name: str
    family: Family
    seconds: float
    predicted: float | None
    value: float
    lower: float
    upper: float
    kept: bool


@dataclass(frozen=True)
class Goal:
    """What had to be reached."""

    metric: str
    bound: float
    rising: bool

    @property
    def text(self) -> str:
        """``≥ 0.85``."""
        return f"{'≥' if self.rising else '≤'}\u00a0{self.bound:.4g}".replace("-", "\u2212")


# -- the ladder -------------------------------------------------------------------------------------------------------


def ladder(name: str, points: Sequence[Point], goal: Goal, width: float) -> Markup:
    """What each attempt scored on validation against what it took.

    Args:
        name: Unique on the page.
        points: At least one.
        goal: Drawn as a dashed line.
        width: In pixels; a narrow drawing is made narrow and not shrunk, so that its letters stay legible.
    """
    height = min(640.0, 320 + (22.0 if width < 600 else 15.0) * len(points))
    room = Box(50, 34, width - 14, height - 44)
    across, upward = _time_scale(points, room), _score_scale(points, goal, room)
    obstacles = _obstacles(points, across, upward)
    box = _goal_box(upward, room, goal, obstacles)
    parts = [*_axes(across, upward, room, goal), *_goal_line(upward, room, goal, box)]
    shown = sorted(points, key=lambda p: (not p.kept, p.seconds, p.name))
    for point in reversed(shown):
        parts += _point(point, across, upward)
    line = upward(goal.bound)
    obstacles += [box, Box(room.left, line - 2, room.right, line + 2)]
    parts += _names(shown, across, upward, room, obstacles)
    title = messages.text("report.chart_title", metric=goal.metric)
    told = "; ".join(
        f"{p.name}: {format.score(p.value)} {format.interval(p.lower, p.upper)}, {format.seconds(p.seconds)}"
        for p in points
    )
    told = messages.text("report.chart_told", target=f"{goal.metric} {goal.text}", points=told)
    return drawing(name, width, height, title, told, parts, "ladder")


def key(family: Family, hollow: bool = False) -> Markup:
    """A mark for the legend."""
    return _small(marker(family, 8, 8, _RADIUS, hollow))


def key_line(kind: str) -> Markup:
    """A line for the legend: ``interval`` or ``goal``."""
    upright = kind == "interval"
    ends = {"x1": 8, "y1": 1, "x2": 8, "y2": 15} if upright else {"x1": 0, "y1": 8, "x2": 16, "y2": 8}
    return _small(node("line", class_=kind, **ends))


def key_kept() -> Markup:
    """The ring around the attempt kept, for the legend."""
    return _small(node("circle", class_="ring", cx=8, cy=8, r=6.5))


def _small(part: Node) -> Markup:
    return markup(node("svg", part, class_="chart key", viewBox="0 0 16 16", width=16, height=16, aria_hidden="true"))


def _time_scale(points: Sequence[Point], room: Box) -> Scale:
    times = [t for p in points for t in (p.seconds, p.predicted) if t is not None]
    low, high = max(min(times), _FEWEST_SECONDS), max(*times, 2 * _FEWEST_SECONDS)
    spare = max(1.7, (high / low) ** 0.08)
    return Scale(low / spare, high * spare, room.left, room.right, log=True)


def _score_scale(points: Sequence[Point], goal: Goal, room: Box) -> Scale:
    values = [v for p in points for v in (p.lower, p.upper, p.value)] + [goal.bound]
    low, high = min(values), max(values)
    spare = 0.07 * (high - low) or 0.05 * max(abs(high), 0.1)
    return Scale(low - spare, high + spare, room.bottom, room.top)


def _axes(across: Scale, upward: Scale, room: Box, goal: Goal) -> list[Node]:
    parts = []
    for value, said in value_ticks(upward.low, upward.high):
        y = upward(value)
        parts.append(node("line", class_="grid", x1=room.left, y1=y, x2=room.right, y2=y))
        parts.append(node("text", said, class_="tick", x=room.left - 8, y=y + 4, text_anchor="end"))
    for time, said in time_ticks(across.low, across.high):
        x = across(time)
        parts.append(node("line", class_="axis", x1=x, y1=room.bottom, x2=x, y2=room.bottom + 5))
        parts.append(node("text", said, class_="tick", x=x, y=room.bottom + 19, text_anchor="middle"))
    parts.append(node("line", class_="axis", x1=room.left, y1=room.bottom, x2=room.right, y2=room.bottom))
    upper = messages.text("report.chart_scores", metric=goal.metric)
    lower = messages.text("report.chart_seconds")
    parts.append(node("text", upper, class_="title", x=0, y=14))
    parts.append(node("text", lower, class_="title", x=room.right, y=room.bottom + 38, text_anchor="end"))
    return parts


def _goal_line(upward: Scale, room: Box, goal: Goal, box: Box) -> list[Node]:
    y = upward(goal.bound)
    return [
        node("line", class_="goal", x1=room.left, y1=y, x2=room.right, y2=y),
        node("text", _goal_text(goal), class_="goal-name", x=box.right, y=box.bottom - 4, text_anchor="end"),
    ]


def _goal_text(goal: Goal) -> str:
    return messages.text("report.chart_target", target=goal.text)


def _goal_box(upward: Scale, room: Box, goal: Goal, obstacles: Sequence[Box]) -> Box:
    """Where the target's name stands: above or below its line, right, left or between, where it covers least."""
    y, width, height = upward(goal.bound), format.text_width(_goal_text(goal), FONT) * 1.06, FONT + 4
    starts = [room.left + 4 + share * (room.right - room.left - width - 4) for share in (1, 0, 0.5, 0.75, 0.25)]
    boxes = [Box(x, top, x + width, top + height) for x in starts for top in (y - height - 2, y + 2)]
    boxes = [box for box in boxes if room.top - 12 <= box.top and box.bottom <= room.bottom]
    return min(boxes, key=lambda box: sum(box.overlap(other) for other in obstacles))


def _point(point: Point, across: Scale, upward: Scale) -> list[Node]:
    x, y = across(max(point.seconds, _FEWEST_SECONDS)), upward(point.value)
    parts = []
    if point.predicted is not None:
        forecast = across(max(point.predicted, _FEWEST_SECONDS))
        parts.append(node("line", class_="forecast", x1=x, y1=y, x2=forecast, y2=y))
        parts.append(marker(point.family, forecast, y, _RADIUS - 1, hollow=True))
    kind = f"interval {point.family}"
    parts.append(node("line", class_=kind, x1=x, y1=upward(point.lower), x2=x, y2=upward(point.upper)))
    if point.kept:
        parts.append(node("circle", class_="ring", cx=x, cy=y, r=_RADIUS + 5))
    made = marker(point.family, x, y, _RADIUS + (1 if point.kept else 0))
    made.append(node("title", f"{point.name}: {format.score(point.value)} {format.interval(point.lower, point.upper)}"))
    return [*parts, made]


def _names(points: Sequence[Point], across: Scale, upward: Scale, room: Box, obstacles: Sequence[Box]) -> list[Node]:
    whole_width = room.right - room.left
    widest = (0.75 if whole_width < 500 else 0.4) * whole_width
    said = [format.fit_middle(text, widest, FONT) for text in _short_names(points)]
    places = [(across(max(p.seconds, _FEWEST_SECONDS)), upward(p.value)) for p in points]
    names = [
        Name(x, y, format.text_width(text, FONT) * (1.08 if p.kept else 1), FONT + 3, 15 if p.kept else 10)
        for p, text, (x, y) in zip(points, said, places, strict=True)
    ]
    whole = Box(room.left + 2, room.top - 12, room.right + 12, room.bottom - 2)
    found = place(names, obstacles, whole)
    lines, parts = [], []
    for point, text, (x, y), where in zip(points, said, places, found, strict=True):
        if where is None:
            continue
        box = where.box
        if where.needs_line:
            end = min(max(x, box.left), box.right)
            near = box.top if box.top > y else box.bottom if box.bottom < y else (box.top + box.bottom) / 2
            lines.append(node("line", class_="leader", x1=x, y1=y, x2=end, y2=near))
        kind = "name kept" if point.kept else "name"
        anchor, at = _anchor(box, x)
        parts.append(node("text", text, class_=kind, x=at, y=box.bottom - 4, text_anchor=anchor))
    return [*lines, *parts]


def _anchor(box: Box, x: float) -> tuple[str, float]:
    """From which end a name is set, so that a font wider or narrower than reckoned errs away from the point."""
    if box.right <= x:
        return "end", box.right
    return ("start", box.left) if box.left >= x else ("middle", (box.left + box.right) / 2)


def _short_names(points: Sequence[Point]) -> list[str]:
    """Names without the owner of a model (``owner/``), where they still differ."""
    short = [re.sub(r"[^\s/]+/(?=\S)", "", point.name) for point in points]
    return short if len(set(short)) == len({point.name for point in points}) else [point.name for point in points]


def _obstacles(points: Sequence[Point], across: Scale, upward: Scale) -> list[Box]:
    """What a name should not cover: marks, forecasts and intervals."""
    boxes = []
    for point in points:
        x, y = across(max(point.seconds, _FEWEST_SECONDS)), upward(point.value)
        around = 11 if point.kept else 7
        boxes.append(Box(x - around, y - around, x + around, y + around))
        boxes.append(Box(x - 2, upward(point.upper), x + 2, upward(point.lower)))
        if point.predicted is not None:
            forecast = across(max(point.predicted, _FEWEST_SECONDS))
            boxes.append(Box(forecast - 6, y - 6, forecast + 6, y + 6))
            boxes.append(Box(min(x, forecast), y - 1, max(x, forecast), y + 1))
    return boxes


# -- the proof --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Proof:
    """A score with its interval, and the bound that the verdict rests on."""

    value: float
    lower: float
    upper: float
    bound: float | None


def proof(name: str, found: Proof, goal: Goal, width: float) -> Markup:
    """The test score, its interval and its bound on one line, beside the target."""
    height, middle = 74.0, 34.0
    values = [found.value, found.lower, found.upper, goal.bound, *([found.bound] if found.bound is not None else [])]
    low, high = min(values), max(values)
    spare = 0.18 * (high - low) or 0.05 * max(abs(high), 0.1)
    scale = Scale(low - spare, high + spare, 8, width - 8)
    parts = [node("line", class_="axis", x1=8, y1=height - 20, x2=width - 8, y2=height - 20)]
    for value, said in value_ticks(scale.low, scale.high, 6):
        parts.append(node("line", class_="axis", x1=scale(value), y1=height - 20, x2=scale(value), y2=height - 16))
        parts.append(node("text", said, class_="tick", x=scale(value), y=height - 4, text_anchor="middle"))
    at = scale(goal.bound)
    said = _goal_text(goal)
    half = format.text_width(said, FONT) * 0.57
    parts.append(node("line", class_="goal", x1=at, y1=16, x2=at, y2=height - 20))
    parts.append(node("text", said, class_="goal-name", x=min(max(at, half), width - half), y=11, text_anchor="middle"))
    left, right = scale(found.lower), scale(found.upper)
    parts.append(node("line", class_="span", x1=left, y1=middle, x2=right, y2=middle))
    if found.bound is not None:
        bound = scale(found.bound)
        parts.append(node("line", class_="bound", x1=bound, y1=middle - 8, x2=bound, y2=middle + 8))
    parts.append(node("circle", class_="mark solid score", cx=scale(found.value), cy=middle, r=_RADIUS + 1))
    title = messages.text("report.proof_title", metric=goal.metric)
    return drawing(name, width, height, title, _proof_told(found, goal), parts, "proof")


def _proof_told(found: Proof, goal: Goal) -> str:
    shown = f"{format.score(found.value)} {format.interval(found.lower, found.upper)}"
    if found.bound is None:
        return f"{shown}; {goal.text}"
    return messages.text("report.proof_told", score=shown, target=goal.text, bound=format.score(found.bound))


# -- label counts -----------------------------------------------------------------------------------------------------


def label_counts(name: str, counts: Sequence[tuple[str, int]], width: float = 340) -> Markup:
    """A bar a label, its count at the end."""
    row = 22.0
    said = [format.fit(label, 130, FONT) for label, _ in counts]
    left = 8 + max(format.text_width(text, FONT) for text in said)
    most = max(count for _, count in counts)
    space = width - left - max(format.text_width(format.count(count), FONT) for _, count in counts) - 12
    parts = []
    for i, (text, (_, count)) in enumerate(zip(said, counts, strict=True)):
        y, long = i * row, max(1.0, space * count / max(1, most))
        parts.append(node("text", text, class_="name", x=left - 8, y=y + 15, text_anchor="end"))
        parts.append(node("rect", class_="bar", x=left, y=y + 4, width=long, height=row - 8))
        parts.append(node("text", format.count(count), class_="tick", x=left + long + 6, y=y + 15))
    title = messages.text("report.labels_title")
    told = "; ".join(f"{format.shorten(label, 40)}: {format.count(count)}" for label, count in counts)
    return drawing(name, width, row * len(counts), title, told, parts, "counts")

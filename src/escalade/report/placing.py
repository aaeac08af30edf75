"""Where the names of points on a chart go: beside their point, and never over one another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_RINGS = (0.0, 8.0, 16.0, 26.0, 38.0, 52.0, 68.0, 86.0, 106.0, 130.0, 160.0, 200.0, 250.0, 320.0)
_NEAR = 16.0
"""Names further away than this get a line to their point."""


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels, y downwards."""

    left: float
    top: float
    right: float
    bottom: float

    def overlap(self, other: Box) -> float:
        """Area that both cover."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(0.0, width) * max(0.0, height)

    def inside(self, room: Box) -> bool:
        """True where no part lies outside ``room``."""
        across = room.left <= self.left and self.right <= room.right
        return across and room.top <= self.top and self.bottom <= room.bottom


@dataclass(frozen=True)
class Name:
    """A name to be placed: its point and its size."""

    x: float
    y: float
    width: float
    height: float
    gap: float = 10.0
    """From the point's middle to the name."""


@dataclass(frozen=True)
class Placed:
    """Where a name went."""

    box: Box
    distance: float

    @property
    def needs_line(self) -> bool:
        """True where the eye needs help from the name to its point."""
        return self.distance > _NEAR


def place(names: Sequence[Name], obstacles: Sequence[Box], room: Box) -> list[Placed | None]:
    """Places names one by one, each where it covers the least, near before far.

    Args:
        names: In order of importance: the first gets the best place.
        obstacles: What should stay visible: markers and intervals.
        room: No name leaves it.

    Returns:
        One place a name; None where every place would cover another name.
    """
    taken: list[Box] = []
    found: list[Placed | None] = []
    for name in names:
        best = _best(name, taken, obstacles, room)
        found.append(best)
        if best:
            taken.append(best.box)
    return found


def _best(name: Name, taken: Sequence[Box], obstacles: Sequence[Box], room: Box) -> Placed | None:
    best, least = None, float("inf")
    for box, distance in _places(name):
        if distance >= least or not box.inside(room) or any(box.overlap(other) for other in taken):
            continue
        cost = distance + sum(box.overlap(other) for other in obstacles)
        if cost < least:
            best, least = Placed(box, distance), cost
    return best


def _places(name: Name) -> Iterator[tuple[Box, float]]:
    """Right and left of the point, then above and below, on wider and wider rings."""
    half = name.height / 2
    for ring in _RINGS:
        for rise in {ring: None, -ring: None}:
            for left in (name.x + name.gap, name.x - name.gap - name.width):
                yield _box(left, name.y + rise - half, name), ring
        for rise in (-ring - name.gap - half, ring + name.gap + half):
            yield _box(name.x - name.width / 2, name.y + rise - half, name), ring + 3
        for shift in (ring, -ring):
            for rise in (-name.gap - half, name.gap + half):
                yield _box(name.x - name.width / 2 + shift, name.y + rise - half, name), ring + 4


def _box(left: float, top: float, name: Name) -> Box:
    return Box(left, top, left + name.width, top + name.height)

"""SVG elements, and the scales that put values on paper. Texts are escaped by the XML writer, never by hand."""

from __future__ import annotations

import math
from dataclasses import dataclass
from xml.etree import ElementTree

from markupsafe import Markup

from escalade.report import format
from escalade.values import Family

Node = ElementTree.Element
_TIMES = (
    (0.001, 0.01, 0.1, 1, 10, 60, 600, 3600, 36_000, 86_400, 864_000),
    (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 60, 300, 900, 3600, 10_800, 36_000, 86_400, 259_200),
    tuple(m * w for w in (0.001, 0.01, 0.1, 1, 10, 60, 600, 3600, 36_000) for m in (1, 1.5, 2, 3, 4, 5)),
)


def node(tag: str, /, *children: Node | str, **attributes: str | float) -> Node:
    """An element; ``class_`` and ``stroke_width`` stand for ``class`` and ``stroke-width``."""
    said = {name.rstrip("_").replace("_", "-"): _attribute(value) for name, value in attributes.items()}
    made = ElementTree.Element(tag, said)
    for child in children:
        if isinstance(child, str):
            made.text = (made.text or "") + format.clean(child)
        else:
            made.append(child)
    return made


def markup(made: Node) -> Markup:
    """The element as text that a template takes as it is."""
    return Markup(ElementTree.tostring(made, encoding="unicode"))


def drawing(
    name: str, width: float, height: float, title: str, description: str, parts: list[Node], kind: str
) -> Markup:
    """A whole picture with a title and a description for those who cannot see it; ``name`` is unique on the page."""
    return markup(
        node(
            "svg",
            node("title", title, id=f"{name}-title"),
            node("desc", description, id=f"{name}-desc"),
            *parts,
            class_=f"chart {kind}",
            viewBox=f"0 0 {_attribute(width)} {_attribute(height)}",
            width=width,
            height=height,
            role="img",
            aria_labelledby=f"{name}-title {name}-desc",
        )
    )


def marker(family: Family, x: float, y: float, radius: float, hollow: bool = False) -> Node:
    """A family's mark: circle, square, triangle or diamond, so that it reads without colour too."""
    kind = f"mark {family} {'hollow' if hollow else 'solid'}"
    if family == "none":
        return node("circle", class_=kind, cx=x, cy=y, r=radius)
    if family == "encoder":
        half = radius * 0.9
        return node("rect", class_=kind, x=x - half, y=y - half, width=2 * half, height=2 * half)
    if family == "decoder":
        corners = [(x, y - 1.2 * radius), (x + 1.1 * radius, y + 0.8 * radius), (x - 1.1 * radius, y + 0.8 * radius)]
    else:
        far = 1.25 * radius
        corners = [(x, y - far), (x + far, y), (x, y + far), (x - far, y)]
    points = " ".join(f"{_attribute(a)},{_attribute(b)}" for a, b in corners)
    return node("polygon", class_=kind, points=points)


@dataclass(frozen=True)
class Scale:
    """From a value to a place, straight or logarithmic."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """The place of a value."""
        low, high, at = (math.log10(v) for v in (self.low, self.high, value)) if self.log else self._plain(value)
        return self.start + (at - low) / (high - low) * (self.end - self.start)

    def _plain(self, value: float) -> tuple[float, float, float]:
        return self.low, self.high, value


def value_ticks(low: float, high: float, most: int = 8) -> list[tuple[float, str]]:
    """Round values between two bounds, with as many digits as the step needs."""
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * 0.999)
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [(i * step, f"{i * step:.{digits}f}".replace("-", "\u2212")) for i in range(first, last + 1)]


def time_ticks(low: float, high: float) -> list[tuple[float, str]]:
    """Round times between two bounds on a logarithmic scale."""
    inside: list[float] = []
    for times in _TIMES:
        inside = [time for time in times if low <= time <= high]
        if len(inside) >= 3:
            break
    return [(time, _time(time)) for time in inside]


def _time(value: float) -> str:
    for unit, worth in (("d", 86_400), ("h", 3600), ("min", 60)):
        if value >= worth:
            return f"{value / worth:g}\u00a0{unit}"
    return f"{value:g}\u00a0s"


def _attribute(value: str | float) -> str:
    return value if isinstance(value, str) else f"{round(value, 1):g}"

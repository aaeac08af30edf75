"""Numbers and texts as a reader wants them: fixed digits, units, and nothing that could break a page."""

from __future__ import annotations

import re
import unicodedata

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffe\uffff]")
_NARROW = frozenset("iljtfrI.,:;|!'()[] ")
ABSENT = "–"
"""Stands where there is no number; never 0."""


def score(value: float) -> str:
    """Four digits after the point, two for metrics that run to 100."""
    return _signs(f"{value:.4f}" if abs(value) < 10 else f"{value:.2f}")


def interval(lower: float, upper: float) -> str:
    """``[0.8812, 0.9120]``."""
    return f"[{score(lower)}, {score(upper)}]"


def signed(value: float) -> str:
    """A difference, its sign always there."""
    return _signs(f"{value:+.4f}" if abs(value) < 10 else f"{value:+.2f}")


def signed_interval(lower: float, upper: float) -> str:
    """The interval of a difference."""
    return f"[{signed(lower)}, {signed(upper)}]"


def probability(value: float) -> str:
    """A p-value or a probability, three significant digits."""
    return f"{value:.3g}"


def percent(share: float) -> str:
    """``0.975`` as ``97.5 %``."""
    return f"{100 * share:.4g}\u00a0%"


def count(value: float) -> str:
    """A whole number, thousands parted."""
    return f"{value:,.0f}"


def seconds(value: float | None) -> str:
    """``4.2 ms``, ``0.42 s``, ``38.1 s``, ``12 min 5 s``, ``3 h 12 min``."""
    if value is None:
        return ABSENT
    if value < 0.0995:
        return f"{1000 * value:.2g}\u00a0ms"
    if value < 99.95:
        return f"{value:.2f}\u00a0s" if value < 1 else f"{value:.1f}\u00a0s"
    whole = round(value)
    if whole < 3600:
        return f"{whole // 60}\u00a0min {whole % 60}\u00a0s"
    minutes = round(value / 60)
    return f"{minutes // 60:,}\u00a0h {minutes % 60}\u00a0min"


def size(value: float | None) -> str:
    """Bytes in the decimal unit that fits."""
    if value is None:
        return ABSENT
    for unit, worth in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if value >= worth:
            return f"{value / worth:.3g}\u00a0{unit}" if value < 999.5 * worth else f"{value / worth:.0f}\u00a0{unit}"
    return f"{value:.0f}\u00a0B"


def parameters(value: int) -> str:
    """``124M``, ``1.5B``."""
    for unit, worth in (("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= worth:
            return f"{value / worth:.3g}{unit}" if value < 999.5 * worth else f"{value / worth:.0f}{unit}"
    return str(value)


def money(value: float | None) -> str:
    """US dollars, with cents, or three digits where it is less than one."""
    if value is None:
        return ABSENT
    return f"{value:,.2f}\u00a0USD" if value >= 1 or value == 0 else f"{value:.3g}\u00a0USD"


def setting(value: object) -> str:
    """What a finding or a count may be: text, number, truth value, nothing."""
    if value is None:
        return ABSENT
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return count(value) if abs(value) >= 10_000 else str(value)
    if isinstance(value, float):
        return f"{value:.4g}"
    return shorten(str(value), 120)


def clean(text: str) -> str:
    """The text without what XML cannot hold: control characters and halves of surrogate pairs."""
    return _CONTROL.sub("\ufffd", text).encode("utf-8", "replace").decode("utf-8")


def shorten(text: str, most: int) -> str:
    """At most ``most`` characters, blanks collapsed; what is cut ends with an ellipsis."""
    flat = " ".join(clean(text).split())
    return flat if len(flat) <= most else flat[: most - 1].rstrip() + "…"


def text_width(text: str, font_size: float) -> float:
    """About how wide a text is set, in the unit of the font size; errs on the wide side."""
    return sum(_em(char) for char in text) * font_size


def fit(text: str, width: float, font_size: float) -> str:
    """The text, cut with an ellipsis to what fits into ``width``."""
    flat = " ".join(clean(text).split())
    room, used, kept = width - text_width("…", font_size), 0.0, 0
    for place, char in enumerate(flat, start=1):
        used += _em(char) * font_size
        kept = place if used <= room else kept
        if used > width:
            return flat[:kept].rstrip() + "…"
    return flat


def fit_middle(text: str, width: float, font_size: float) -> str:
    """The text, cut in its middle to what fits: names that begin alike differ at their ends."""
    flat = " ".join(clean(text).split())
    if text_width(flat, font_size) <= width:
        return flat
    head = fit(flat, width / 2, font_size).removesuffix("…").rstrip()
    tail = fit(flat[::-1], width / 2, font_size).removesuffix("…").rstrip()[::-1]
    return f"{head}…{tail}"


def _em(char: str) -> float:
    if unicodedata.east_asian_width(char) in "WF":
        return 1.0
    if unicodedata.combining(char):
        return 0.0
    if char in _NARROW:
        return 0.38
    return 0.8 if char.isupper() or char in "mw@%" else 0.63


def _signs(number: str) -> str:
    """The typographic minus, as wide as a plus."""
    return number.replace("-", "\u2212")

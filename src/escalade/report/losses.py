"""The loss curve of a training run, as a picture that stands by itself."""

from __future__ import annotations

from collections.abc import Sequence

from escalade import messages
from escalade.report.svg import Node, Scale, drawing, node, value_ticks

_STYLE = """
svg { background: #fdfdfc; font: 12px system-ui, sans-serif; }
text { fill: #565b64; } line.grid { stroke: #dcdcd6; }
polyline { fill: none; stroke-width: 1.5; } .train { stroke: #0072b2; } .held { stroke: #c65200; }
circle.held { fill: #c65200; } text.train { fill: #0072b2; stroke: none; } text.held { fill: #c65200; stroke: none; }
@media (prefers-color-scheme: dark) {
  svg { background: #16181c; } text { fill: #a5a9b1; } line.grid { stroke: #363a42; }
  .train { stroke: #62b5ec; } text.train { fill: #62b5ec; } .held { stroke: #ff9d4d; }
  text.held, circle.held { fill: #ff9d4d; }
}
"""
_WIDTH, _HEIGHT = 640.0, 360.0
_LEFT, _TOP, _RIGHT, _BOTTOM = 52.0, 40.0, 624.0, 316.0


def loss_curve(losses: Sequence[tuple[int, float]], validation: Sequence[tuple[int, float]]) -> str:
    """Training loss and, where there is one, validation loss over steps.

    Args:
        losses: Step and loss, at least one.
        validation: Step and loss.

    Returns:
        A whole SVG document; the same curve gives the same bytes.
    """
    points = [*losses, *validation]
    low, high = min(loss for _, loss in points), max(loss for _, loss in points)
    spare = 0.05 * (high - low) or 0.5
    across = Scale(0, max(step for step, _ in points), _LEFT, _RIGHT)
    upward = Scale(max(0.0, low - spare), high + spare, _BOTTOM, _TOP)
    parts = [node("style", _STYLE), *_grid(across, upward), *_curve(losses, across, upward, "train")]
    parts += _curve(validation, across, upward, "held")
    parts += [node("circle", class_="held", cx=across(step), cy=upward(loss), r=2.5) for step, loss in validation]
    parts += _legend(losses, validation)
    title = messages.text("report.losses_title")
    told = messages.text(
        "report.losses_told", steps=losses[-1][0], first=f"{losses[0][1]:.3f}", last=f"{losses[-1][1]:.3f}"
    )
    drawn = str(drawing("loss", _WIDTH, _HEIGHT, title, told, parts, "losses"))
    return drawn.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1) + "\n"


def _grid(across: Scale, upward: Scale) -> list[Node]:
    parts: list[Node] = []
    for value, name in value_ticks(upward.low, upward.high, 6):
        y = upward(value)
        parts.append(node("line", class_="grid", x1=_LEFT, x2=_RIGHT, y1=y, y2=y))
        parts.append(node("text", name, x=_LEFT - 6, y=y + 4, text_anchor="end"))
    for value, name in value_ticks(0, max(1, across.high), 6):
        if value == round(value):
            parts.append(node("text", name, x=across(value), y=_BOTTOM + 18, text_anchor="middle"))
    parts.append(node("text", messages.text("report.losses_steps"), x=_RIGHT, y=_BOTTOM + 36, text_anchor="end"))
    return parts


def _curve(points: Sequence[tuple[int, float]], across: Scale, upward: Scale, kind: str) -> list[Node]:
    if len(points) < 2:
        return []
    drawn = " ".join(f"{across(step):.1f},{upward(loss):.1f}" for step, loss in points)
    return [node("polyline", class_=kind, points=drawn)]


def _legend(losses: Sequence[tuple[int, float]], validation: Sequence[tuple[int, float]]) -> list[Node]:
    said = f"{messages.text('report.losses_train')} {losses[-1][1]:.3f}"
    parts = [node("text", said, class_="train", x=_LEFT, y=_TOP - 16)]
    if validation:
        best = min(loss for _, loss in validation)
        held = f"{messages.text('report.losses_validation')} {best:.3f}"
        parts.append(node("text", held, class_="held", x=(_LEFT + _RIGHT) / 2, y=_TOP - 16))
    return parts

"""The loss curve is a whole picture that stands by itself, and the same curve gives the same bytes."""

from __future__ import annotations

from xml.etree import ElementTree

from escalade.report.losses import loss_curve

SVG = "{http://www.w3.org/2000/svg}"


def test_both_curves_are_drawn_where_their_steps_and_losses_are() -> None:
    drawn = loss_curve([(1, 4.0), (50, 3.0), (100, 2.0)], [(50, 3.2), (100, 2.5)])
    picture = ElementTree.fromstring(drawn)
    lines = {line.get("class"): line.get("points", "").split() for line in picture.iter(f"{SVG}polyline")}
    assert len(lines["train"]) == 3 and len(lines["held"]) == 2
    points = [tuple(map(float, point.split(","))) for point in lines["train"]]
    assert points[0][0] < points[1][0] < points[2][0] == 624.0
    assert points[0][1] < points[1][1] < points[2][1]
    assert len(list(picture.iter(f"{SVG}circle"))) == 2
    assert drawn == loss_curve([(1, 4.0), (50, 3.0), (100, 2.0)], [(50, 3.2), (100, 2.5)])


def test_a_single_step_and_no_validation_are_drawn_too() -> None:
    picture = ElementTree.fromstring(loss_curve([(1, 2.0)], []))
    assert list(picture.iter(f"{SVG}polyline")) == []
    assert "2.000" in "".join(picture.itertext())

"""What of training's events a user should hear, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from escalade import messages
from escalade.stages.workspace import Reporter

_SAID = {
    "not_compiled": "train.not_compiled",
    "recompute": "train.recompute",
    "micro_batch": "train.micro_batch",
    "checkpoint_passed_over": "train.checkpoint_passed_over",
}


def say(reporter: Reporter, event: Mapping[str, Any]) -> None:
    """Says what a run computes with, and what did not go as planned; other events are passed over."""
    kind = event.get("event")
    if kind == "kernels":
        reporter.say("train.kernels", kernels="; ".join(messages.text(key) for key in event["why"].values()))
    elif kind in _SAID:
        reporter.say(_SAID[kind], **{name: fact for name, fact in event.items() if name != "event"})

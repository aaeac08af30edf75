"""The climb: which rung next, when to stop, what is proven. No torch."""

from escalade.climb.decide import Climber, Outcome, Planned, Tried
from escalade.climb.run import baselines, run
from escalade.stages.check import check

__all__ = ["Climber", "Outcome", "Planned", "Tried", "baselines", "check", "run"]

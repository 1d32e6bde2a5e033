"""Whether a model fits, for how many sequences, and by whose word."""

from pilotlight.planner.memory.demand import Fit, Load, Room
from pilotlight.planner.memory.fit import ENGINES, fit

__all__ = ["ENGINES", "Fit", "Load", "Room", "fit"]

"""What a benchmark measures: an endpoint that is there, or one that is started for it."""

from pilotlight.bench.subjects.recipe import Ground, Recipe
from pilotlight.bench.subjects.serving import serving
from pilotlight.bench.subjects.subject import ColdStart, Subject

__all__ = ["ColdStart", "Ground", "Recipe", "Subject", "serving"]

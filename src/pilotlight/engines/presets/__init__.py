"""Model servers that somebody else wrote, run by a command line or reached at an address."""

from pilotlight.engines.presets.engine import PresetEngine
from pilotlight.engines.presets.known import PRESETS

__all__ = ["PRESETS", "PresetEngine"]

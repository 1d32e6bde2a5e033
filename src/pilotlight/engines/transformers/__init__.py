"""transformers: what nothing else runs, and the reference for what everything else answers."""

from pilotlight.engines.transformers.engine import TransformersEngine

__all__ = ["TransformersEngine"]

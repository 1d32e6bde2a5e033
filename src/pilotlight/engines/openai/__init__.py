"""Any OpenAI-compatible endpoint that somebody else runs, as an engine."""

from pilotlight.engines.openai.engine import OpenAIEngine

__all__ = ["OpenAIEngine"]

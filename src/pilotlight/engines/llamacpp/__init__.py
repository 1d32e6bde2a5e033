"""llama.cpp: a llama-server of the user's own, or the xllamacpp wheel; one engine to the rest."""

from pilotlight.engines.llamacpp.choice import choose

__all__ = ["choose"]

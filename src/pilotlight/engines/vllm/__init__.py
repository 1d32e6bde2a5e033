"""vLLM: many requests at once, on GPUs and on CPUs, in an environment of its own."""

from pilotlight.engines.vllm.choice import choose
from pilotlight.engines.vllm.engine import VllmEngine

__all__ = ["VllmEngine", "choose"]

"""An Ollama server as an engine: its models listed, pulled, loaded and let go through its API."""

from pilotlight.engines.ollama.engine import OllamaEngine

__all__ = ["OllamaEngine"]

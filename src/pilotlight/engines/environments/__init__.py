"""Engines installed apart from the product, each in a directory of its own."""

from pilotlight.engines.environments.environment import (
    LLAMACPP_NATIVE,
    Environment,
    find,
    installed,
    require,
)

__all__ = ["LLAMACPP_NATIVE", "Environment", "find", "installed", "require"]

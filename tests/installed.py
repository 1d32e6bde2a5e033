"""Engines from environments of their own, for the tests that run them: `make test-engines`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from pilotlight.engines import environments

WITH_NUMPY = ("transformers", "vllm")


@dataclass(frozen=True, slots=True)
class Installed:
    """What lies under PILOTLIGHT_ENGINES_DIRECTORY; None where nobody named one."""

    directory: Path | None

    def having(self, name: str) -> Path:
        """The directory of engines; skips the test where `name` isn't among them."""
        if self.directory is None or environments.find(self.directory, name) is None:
            pytest.skip(f"{name} isn't installed under PILOTLIGHT_ENGINES_DIRECTORY")
        return self.directory

    def python(self) -> Path:
        """An interpreter that has numpy, which no environment of the product's own has."""
        for name in WITH_NUMPY:
            if self.directory and (found := environments.find(self.directory, name)):
                return found.python
        pytest.skip(f"neither {' nor '.join(WITH_NUMPY)} is installed: nothing has numpy")

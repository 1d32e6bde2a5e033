"""The Lambda runtime as a program of its own; the fake engine is one of its engines.

``python -m instance.lambda_program CONFIGURATION``, from tests/.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pilotlight import config
from pilotlight.engines.registry import FACTORIES
from pilotlight.instance.lambda_runtime import run
from pilotlight.testing import FACTORY

if __name__ == "__main__":
    settings = config.load(Path(sys.argv[1]), environ={})
    sys.exit(run(settings, factories={**FACTORIES, "fake": FACTORY}))

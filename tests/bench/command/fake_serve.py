"""`pilotlight` as it is, with the fake engine among its engines, or in place of all of them."""

from __future__ import annotations

import os
import sys
from functools import partial
from importlib import import_module

from pilotlight.cli import main
from pilotlight.engines.registry import FACTORIES
from pilotlight.gateway import serve
from pilotlight.testing import FACTORY

EVERYWHERE = "FAKE_EVERYWHERE"

others = dict.fromkeys(FACTORIES, FACTORY) if os.environ.get(EVERYWHERE) else FACTORIES
serve.run = partial(serve.run, factories={**others, "fake": FACTORY})
if sys.argv[1:2] == ["bench"]:  # what it starts has the fake engine too
    started = import_module("pilotlight.bench.subjects.serving")
    started.SERVE = (sys.executable, __file__, "serve")  # type: ignore[attr-defined]
main()

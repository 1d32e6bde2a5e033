"""What this instance is: the facts somebody asks for when a deployment surprises them."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from pilotlight import __version__
from pilotlight.config import Settings
from pilotlight.core import ModelRef
from pilotlight.engines.base import Engine
from pilotlight.engines.llamacpp.choice import choose
from pilotlight.engines.llamacpp.wheel import WheelEngine
from pilotlight.errors import EngineError
from pilotlight.instance.boot import settings_of
from pilotlight.instance.cpu import here
from pilotlight.machine import survey
from pilotlight.store.store import Store


def text(environ: Mapping[str, str]) -> str:
    return json.dumps(facts(settings_of(environ)), indent=1)


def facts(settings: Settings) -> dict[str, Any]:
    """Looks at files and has llama.cpp say its version; serves and changes nothing."""
    machine = survey()
    processor = here(settings.engines.llamacpp.server)
    return {
        "pilotlight": __version__,
        "python": platform.python_version(),
        "user": os.getuid(),
        "cpu": processor.cpu,
        "cores": machine.cores,
        "memory_bytes": machine.ram_bytes,
        "instruction_sets": sorted(machine.instruction_sets),
        "llamacpp": _llamacpp(settings),
        "llamacpp_variants": list(processor.variants),
        "llamacpp_variant": processor.variant,
        "listens": f"{settings.host}:{settings.port}",
        "data_dir": str(settings.data_dir),
        "models": _models(settings),
    }


def _llamacpp(settings: Settings) -> str | None:
    llamacpp = settings.engines.llamacpp
    try:
        engine = choose(llamacpp, survey(), settings.engines.directory)
    except EngineError:
        return None
    return engine.build if _loads(engine) else None


def _loads(engine: Engine) -> bool:
    """A llama-server has just said its version; the wheel may be there and lack a library."""
    if not isinstance(engine, WheelEngine):
        return True
    tried = subprocess.run((sys.executable, "-c", "import xllamacpp"), capture_output=True)
    return tried.returncode == 0


def _models(settings: Settings) -> dict[str, Any]:
    store = Store(settings.data_dir / "store", settings.store)
    found = {}
    for name, model in settings.models.items():
        files = store.present(ModelRef.parse(model.ref))
        here_bytes = files.size_bytes if files else None
        found[name] = {"ref": model.ref, "bytes_here": here_bytes}
    return found

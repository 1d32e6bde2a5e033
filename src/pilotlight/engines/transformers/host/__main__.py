"""Loads the package it lies in, under a name of its own: neither is on the import path."""

from __future__ import annotations

import importlib
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

NAME = "pilotlight_transformers_host"


def main() -> None:
    here = Path(__file__).parent
    spec = spec_from_file_location(
        NAME, here / "__init__.py", submodule_search_locations=[str(here)]
    )
    assert spec is not None
    assert spec.loader is not None
    package = module_from_spec(spec)
    sys.modules[NAME] = package
    spec.loader.exec_module(package)
    importlib.import_module(f"{NAME}.process").main()


if __name__ == "__main__":
    main()

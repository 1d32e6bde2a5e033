"""The product's gateway, as `pilotlight serve` runs it, with engines that keep their counts."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks import counting_engine
from pilotlight import config
from pilotlight.engines.registry import FACTORIES
from pilotlight.gateway.serve import run


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.counting_gateway", description=__doc__
    )
    parser.add_argument("config", type=Path, help="a configuration file, as serve takes it")
    file = parser.parse_args().config
    return run(config.load(file), factories={**FACTORIES, "fake": counting_engine.factory})


if __name__ == "__main__":
    raise SystemExit(main())

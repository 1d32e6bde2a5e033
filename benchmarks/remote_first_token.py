"""Serve a model that is elsewhere and ask for it at once; print how long its first token took.

    python -m benchmarks.remote_first_token MODEL ENGINES

Both are JSON: the model as a configuration has it, and the engines' settings. A program, so that
it can be run inside a network namespace. Prints a line of JSON: the seconds from the request to the
first token, and the phases of that start.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.first_token import ask, await_first_token
from benchmarks.gateway import gateway

NAME = "remote"
PATIENCE_S = 3600.0
"""Nothing is heard while a model arrives."""


def main(model: str, engines: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        models = {NAME: json.loads(model)}
        with gateway(Path(name), models, engines=json.loads(engines)) as server:
            key = server.key or ""
            began = time.perf_counter()
            await_first_token(server.port, key, NAME, PATIENCE_S)
            seconds = time.perf_counter() - began
            starts = ask(server.port, key, "GET", "/pilotlight/v1/cold-starts")["cold_starts"]
    print(json.dumps({"seconds": seconds, "phases": starts[-1]["phases"]}))


if __name__ == "__main__":
    main(*sys.argv[1:])

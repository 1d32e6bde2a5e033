"""A recipe started: `pilotlight serve` as a child on a free loopback port, always stopped."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from pilotlight.bench.subjects.asking import Endpoint, ask, asked, first_token_ms
from pilotlight.bench.subjects.endpoint import detailed
from pilotlight.bench.subjects.program import Program, running
from pilotlight.bench.subjects.recipe import Ground, Recipe
from pilotlight.bench.subjects.subject import ColdStart, Subject
from pilotlight.durable import write_text
from pilotlight.errors import EngineStartError, ServerRefusedError, ServerUnreachableError

_POLL_S = 0.01
_LISTEN_S = 60.0
SERVE = (sys.executable, "-m", "pilotlight.cli", "serve")
_NOT_ON_LOOPBACK = ("PILOTLIGHT_TLS_CERTIFICATE", "PILOTLIGHT_TLS_KEY", "PILOTLIGHT_STORE_PEERS")


@contextlib.contextmanager
def serving(recipe: Recipe, ground: Ground) -> Iterator[Subject]:
    """Ready: the model is loaded and has answered one request, timed as its cold start.

    Blocks while it starts and stops; nothing of it runs on afterwards, whatever happens.

    Raises:
        EngineStartError: it didn't start or load, with its last words.
    """
    file = ground.directory / "pilotlight.yaml"
    write_text(file, yaml.safe_dump(_configuration(recipe, ground)))
    began_s = time.perf_counter()
    with running(_command(ground, file), ground.directory / "serve.log", _environ()) as program:
        url = _listening(program, ground.directory / "data" / "server.json")
        process_ms = (time.perf_counter() - began_s) * 1000
        cold = _cold_start(program, Endpoint(url), recipe.name, ground.ready_timeout_s)
        subject = Subject(
            name=recipe.name,
            url=url,
            model=recipe.name,
            pid=program.pid,
            here=True,
            cold_start=replace(cold, process_ms=process_ms),
        )
        yield replace(detailed(subject), ref=recipe.ref)


def _configuration(recipe: Recipe, ground: Ground) -> dict[str, Any]:
    """The user's file, but for its models; a recipe's engines go over the file's."""
    own: dict[str, Any] = yaml.safe_load(ground.config.read_text()) if ground.config else {}
    tree = recipe.tree()
    if engines := {**(own.get("engines") or {}), **tree.pop("engines", {})}:
        tree["engines"] = engines
    kept = {key: value for key, value in (own or {}).items() if not key.startswith("tls_")}
    return {**kept, **tree}


def _command(ground: Ground, file: Path) -> list[str]:
    """Flags, for they win over the environment, which the child has from us."""
    return [
        *(ground.command or SERVE), str(file), "--host", "127.0.0.1", "--port", "0",
        "--data-dir", str(ground.directory / "data"), "--store-directory", str(ground.store),
        "--engines-directory", str(ground.engines),
        # A line for each request would be measured too, and so would a second meter.
        "--log-level", "warning", "--no-ledger-meter",
    ]  # fmt: skip


def _environ() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if key not in _NOT_ON_LOOPBACK}


def _listening(program: Program, announced: Path) -> str:
    """The address it wrote down; an older one is of a process that is gone."""
    deadline_s = time.monotonic() + _LISTEN_S
    while time.monotonic() < deadline_s:
        if not program.lives:
            raise EngineStartError("pilotlight serve ended", last_words=program.last_words())
        with contextlib.suppress(OSError, ValueError, KeyError):
            entry = json.loads(announced.read_bytes())
            if entry["pid"] == program.pid:
                return str(entry["url"])
        time.sleep(_POLL_S)
    raise EngineStartError("pilotlight serve doesn't listen", last_words=program.last_words())


def _cold_start(program: Program, endpoint: Endpoint, model: str, timeout_s: float) -> ColdStart:
    """Of the second load: weights that had to be fetched first are no part of it."""
    try:
        ask(endpoint, "/pilotlight/v1/load", {"model": model}, timeout_s=timeout_s)
        ask(endpoint, "/pilotlight/v1/stop", {"model": model}, timeout_s=timeout_s)
        _await_nothing(endpoint, timeout_s)
        first_ms = first_token_ms(endpoint, model, timeout_s)
    except ServerRefusedError as error:
        raise EngineStartError(f"{model} doesn't answer: {error.message}") from None
    except ServerUnreachableError as error:
        raise EngineStartError(
            f"{model} doesn't answer: {error.message}", last_words=program.last_words()
        ) from None
    return ColdStart(load_ms=_load_ms(endpoint), first_token_ms=first_ms)


def _await_nothing(endpoint: Endpoint, timeout_s: float) -> None:
    """Until the memory and cores are free again, else the new start waits for the old's end."""
    deadline_s = time.monotonic() + timeout_s
    while time.monotonic() < deadline_s:
        models = ask(endpoint, "/pilotlight/v1/ps").get("models") or []
        if not any(model.get("replicas") for model in models):
            return
        time.sleep(_POLL_S)


def _load_ms(endpoint: Endpoint) -> float | None:
    """From the first phase's start to the last one's end."""
    starts = asked(endpoint, "/pilotlight/v1/cold-starts").get("cold_starts") or [{}]
    phases = starts[-1].get("phases") or []
    return max((phase["start_ms"] + phase["duration_ms"] for phase in phases), default=None)

"""`pilotlight-instance [WORD]`: serve, or say how the instance in this container does."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from typing import NoReturn

from pilotlight.errors import ConfigError, PilotlightError
from pilotlight.gateway.signals import held

Environ = Mapping[str, str]


def _serve(environ: Environ) -> int:
    from pilotlight.instance.boot import serve

    return serve(environ)


def _health(environ: Environ) -> int:
    from pilotlight.instance.health import answers

    return answers("/health", environ)


def _ready(environ: Environ) -> int:
    from pilotlight.instance.health import answers

    return answers("/ready", environ)


def _about(environ: Environ) -> int:
    from pilotlight.instance.about import text

    print(text(environ))
    return 0


WORDS: Mapping[str, Callable[[Environ], int]] = {
    "serve": _serve,
    "health": _health,
    "ready": _ready,
    "about": _about,
}


def main() -> NoReturn:
    # The first process of a container has no default action for a signal: one that came before
    # there is a loop to hear it would be lost, so it waits.
    with held():
        sys.exit(run(sys.argv[1:], os.environ))


def run(words: list[str], environ: Environ) -> int:
    """The exit code; what is wrong stands on stderr, as everywhere: error, then hint."""
    try:
        return _chosen(words)(environ)
    except PilotlightError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return error.exit_code
    except OSError as error:
        where = f": {error.filename!r}" if error.filename else ""
        print(f"error: {error.strerror or error}{where}", file=sys.stderr, flush=True)
        return 1


def _chosen(words: list[str]) -> Callable[[Environ], int]:
    if not words:
        return _serve
    if len(words) > 1 or words[0] not in WORDS:
        raise ConfigError(
            f"pilotlight-instance doesn't know {' '.join(words)!r}",
            hint=f"give one of {', '.join(WORDS)}, or nothing to serve",
        )
    return WORDS[words[0]]

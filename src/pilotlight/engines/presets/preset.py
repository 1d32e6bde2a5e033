"""What there is to know of one model server before it runs: data, and how its words are put.

Words may hold ``{model}`` (the path of the model, or the name in its ref), ``{name}`` (the served
name), ``{port}`` and ``{directory}`` (the replica's own); a value of `environment` also
``{secret}``, which never stands on a command line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pilotlight.core import Operation

_CHAT_AND_COMPLETIONS = frozenset({Operation.CHAT, Operation.COMPLETIONS})


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """One server. Everything but the command may be asked of its own documentation, `source`."""

    name: str
    title: str
    source: str
    program: tuple[str, ...]
    """What is run; empty for a server that is only ever reached at an address."""

    arguments: tuple[str, ...] = ()
    flags: Mapping[str, str] = field(default_factory=dict)
    """An option of ours to the server's flag for it; no other option is taken."""

    required: tuple[str, ...] = ()
    """Options without which its command line can't be."""

    environment: Mapping[str, str] = field(default_factory=dict)
    ready: str = "/health"
    metrics: str | None = "/metrics"
    counters: tuple[str, ...] = ()
    """Metrics that grow while it works; empty where it shows none in Prometheus' format."""

    usual_port: int | None = None
    operations: frozenset[Operation] = _CHAT_AND_COMPLETIONS
    parameters: frozenset[str] = frozenset()
    """Request fields beyond the usual that it honours."""

    install: str = "install it, or set the option program to where it is"
    tried_here: bool = False
    """Whether a test of this project runs the real thing; its command line is held in any case."""

    @property
    def standing(self) -> str:
        """What a list of engines says of it."""
        return "your own server" if self.tried_here else "your own server; not run here"

"""`pilotlight ps`: what runs now, and how it started."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import click

from pilotlight.cli.client import server_flags, the_server
from pilotlight.cli.command import Command
from pilotlight.cli.connection import ask
from pilotlight.cli.exits import Exit
from pilotlight.cli.table import table
from pilotlight.quantities import about_bytes, about_seconds

_HEADER = ("MODEL", "STATE", "REPLICA", "PID", "BUSY", "QUEUED", "MEMORY", "IDLE", "KEEP-ALIVE")


@click.command(
    cls=Command,
    examples=("pilotlight ps", "pilotlight ps --cold-starts", "pilotlight ps --json"),
    exits=(Exit.UNREACHABLE, Exit.NOT_ALLOWED),
)
@click.option("--cold-starts", is_flag=True, help="the recent starts from zero, phase by phase")
@click.option("--json", "as_json", is_flag=True, help="print the server's answer as JSON")
@server_flags
@click.pass_context
def ps(context: click.Context, /, cold_starts: bool, as_json: bool, **flags: Any) -> None:
    """Show the models of the running server and their replicas."""
    path = "/pilotlight/v1/cold-starts" if cold_starts else "/pilotlight/v1/ps"
    answer = ask(the_server(context), "GET", path)
    if as_json:
        click.echo(json.dumps(answer))
    else:
        click.echo(show_cold_starts(answer) if cold_starts else show_ps(answer))


def show_ps(answer: Mapping[str, Any]) -> str:
    memory = answer["memory"]
    summary = (
        f"up {about_seconds(answer['uptime_s'])}, "
        f"{about_bytes(memory['charged_bytes'])} of {about_bytes(memory['capacity_bytes'])} "
        "memory in use"
    )
    rows = [row for model in answer["models"] for row in _rows(model)]
    errors = [f"{m['name']}: {m['error']}" for m in answer["models"] if m.get("error")]
    return "\n".join([table(_HEADER, rows), *errors, summary])


def _rows(model: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    queued = str(model["queued"])
    if not model["replicas"]:
        yield (model["name"], _state(model), "", "", "", queued, "", "", "")
    for replica in model["replicas"]:
        yield (
            model["name"],
            replica["state"],
            str(replica["id"]),
            str(replica["pid"] or ""),
            f"{replica['in_flight']}/{replica['slots']}",
            queued,
            _bytes(replica["ram_bytes"]),
            _seconds(replica["idle_s"]),
            _seconds(replica["keep_alive_s"], unbounded="forever"),
        )


def _state(model: Mapping[str, Any]) -> str:
    """With what keeps it from being ready, as far as that is known."""
    download, eta_s = model.get("download"), model.get("eta_s")
    if download and download["total_bytes"]:
        return f"{download['phase']} {100 * download['done_bytes'] // download['total_bytes']}%"
    return f"{model['state']}, ready in {about_seconds(eta_s)}" if eta_s else str(model["state"])


def _bytes(size: int | None) -> str:
    return "" if size is None else about_bytes(size)


def _seconds(seconds: float | None, unbounded: str = "") -> str:
    """JSON has no infinity: a keep-alive without end arrives as null."""
    return unbounded if seconds is None else about_seconds(seconds)


def show_cold_starts(answer: Mapping[str, Any]) -> str:
    rows = [
        (
            start["model"],
            str(start["replica"]),
            start["rung"],
            start["outcome"],
            _total(start["phases"]),
            ", ".join(f"{p['name']} {p['duration_ms']:.0f}" for p in start["phases"]),
        )
        for start in answer["cold_starts"]
    ]
    return table(("MODEL", "REPLICA", "FROM", "OUTCOME", "TOTAL", "PHASES (ms)"), rows)


def _total(phases: list[Mapping[str, Any]]) -> str:
    ends_ms = [phase["start_ms"] + phase["duration_ms"] for phase in phases]
    return about_seconds(max(ends_ms) / 1000) if ends_ms else ""

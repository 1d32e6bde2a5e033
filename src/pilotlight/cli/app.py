"""`pilotlight`: the commands by name, and the one place where errors become exit codes."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any, NoReturn

import click

from pilotlight import __version__
from pilotlight.cli.command import Group
from pilotlight.cli.exits import MEANINGS, Exit, exit_of
from pilotlight.errors import PilotlightError

# Each module holds its command as the attribute named; imported when it is asked for,
# so that `pilotlight ps` doesn't pay for the rest.
_COMMANDS: Mapping[str, tuple[str, str]] = {
    "serve": ("serve", "serve"),
    "chat": ("chat", "chat"),
    "ps": ("ps", "ps"),
    "models": ("models", "models"),
    "adapters": ("adapters", "adapters"),
    "load": ("models", "load"),
    "stop": ("models", "stop"),
    "pull": ("pull", "pull"),
    "store": ("store", "store"),
    "calibrate": ("calibrate", "calibrate"),
    "doctor": ("doctor", "doctor"),
    "engines": ("engines", "engines"),
    "keys": ("keys", "keys"),
    "cost": ("cost", "cost"),
    "plan": ("plan", "plan"),
    "bench": ("bench", "bench"),
    "deploy": ("deploy", "deploy"),
    "eval": ("evaluate", "evaluate"),
    "tune": ("tune", "tune"),
    "catalog": ("catalog", "catalog"),
    "config": ("configuration", "config"),
    "completion": ("completion", "completion"),
    "version": ("version", "version"),
}


class _App(Group):
    """Commands imported on demand; deliberate errors printed as ``error:`` and ``hint:``."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, attribute = _COMMANDS[cmd_name]
        command: click.Command = getattr(import_module(f"pilotlight.cli.{module}"), attribute)
        return command

    def main(self, *args: Any, **kwargs: Any) -> NoReturn:
        kwargs["standalone_mode"] = False
        try:
            code = super().main(*args, **kwargs)
        except PilotlightError as error:
            complain(error.message, error.hint)
            code = exit_of(error)
        except click.ClickException as error:
            complain(error.format_message(), _usage_hint(error))
            code = Exit.USAGE if isinstance(error, click.UsageError) else Exit.FAILURE
        except (click.Abort, KeyboardInterrupt):
            code = Exit.INTERRUPTED
        except OSError as error:
            # A full disk is told of without the file.
            where = f": {error.filename!r}" if error.filename else ""
            complain(f"{error.strerror or error}{where}", None)
            code = Exit.FAILURE
        sys.exit(code if isinstance(code, int) else Exit.OK)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Examples"):
            formatter.write_text("pilotlight serve")
            formatter.write_text("pilotlight chat")
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(int(code)), text) for code, text in MEANINGS.items()])


def complain(message: str, hint: str | None) -> None:
    click.echo(f"error: {message}", err=True)
    if hint:
        click.echo(f"hint: {hint}", err=True)


def _usage_hint(error: click.ClickException) -> str | None:
    context = getattr(error, "ctx", None)
    return f"see {context.command_path} --help" if context else None


@click.group(name="pilotlight", cls=_App)
@click.version_option(__version__, message="pilotlight %(version)s")
def cli() -> None:
    """Run open language models on hardware you control.

    One OpenAI-compatible endpoint, many models, from zero and back.
    """


def main() -> None:
    cli.main(prog_name="pilotlight")

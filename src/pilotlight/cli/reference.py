"""docs/cli.md, written from the commands themselves."""

from __future__ import annotations

from collections.abc import Iterator

import click

from pilotlight.cli.command import Command
from pilotlight.cli.exits import MEANINGS
from pilotlight.cli.table import markdown

_HEAD = """\
# Command line

`pilotlight COMMAND --help` says the same as this page. Errors go to stderr as `error: …` and, where
there is a next step, `hint: …`; results go to stdout, as JSON with `--json`. Commands that talk to
a running server look for it at `--url`, else `PILOTLIGHT_URL`, else where the server of this
data directory says it listens, else http://127.0.0.1:8080; they take the API key from
`PILOTLIGHT_API_KEY`, never from the command line.

"""


def commands(root: click.Command, path: str) -> Iterator[tuple[str, Command]]:
    """Every command under `root` that can be run, with the words that run it."""
    if isinstance(root, Command):
        yield path, root
    if isinstance(root, click.Group):
        context = click.Context(root, info_name=path)
        for name in root.list_commands(context):
            command = root.get_command(context, name)
            if command is not None:
                yield from commands(command, f"{path} {name}")


def reference(root: click.Command) -> str:
    """The text of docs/cli.md."""
    codes = [(str(int(code)), meaning) for code, meaning in MEANINGS.items()]
    exits = f"## Exit codes\n\n{markdown(('code', 'meaning'), codes)}\n"
    return "\n".join([_HEAD, exits, *(_command(*each) for each in commands(root, "pilotlight"))])


def _command(path: str, command: Command) -> str:
    arguments = [p for p in command.params if isinstance(p, click.Argument)]
    options = [p for p in command.params if isinstance(p, click.Option)]
    blocks = [
        f"## {path}",
        f"`{' '.join([path, '[OPTIONS]', *map(_argument, arguments)])}`",
        *(" ".join(block.split()) for block in (command.help or "").split("\n\n")),
        "\n".join(["```sh", *command.examples, "```"]),
        markdown(("option", "meaning"), map(_option, options)) if options else "",
        f"Exit codes: {', '.join(str(int(code)) for code in command.exits)}",
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _argument(argument: click.Argument) -> str:
    name = argument.metavar or (argument.name or "").upper()
    return name if argument.required or name.startswith("[") else f"[{name}]"


def _option(option: click.Option) -> tuple[str, str]:
    names = ", ".join([*option.opts, *option.secondary_opts])
    value = f" {option.metavar}" if option.metavar else ""
    return f"`{names}{value}`", option.help or ""


if __name__ == "__main__":
    from pilotlight.cli import cli

    click.echo(reference(cli), nl=False)

"""A command that says how it is used and what its exit codes mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click
from click.core import ParameterSource

from pilotlight.cli.exits import MEANINGS, Exit

_ALWAYS = (Exit.OK, Exit.FAILURE, Exit.USAGE, Exit.INTERRUPTED)


class Command(click.Command):
    """`examples` are whole command lines; `exits` are the codes beyond those every command has."""

    def __init__(
        self, *args: Any, examples: Sequence[str], exits: Sequence[Exit] = (), **kwargs: Any
    ) -> None:
        kwargs.setdefault("context_settings", {}).setdefault("max_content_width", 100)
        super().__init__(*args, **kwargs)
        self.examples = tuple(examples)
        self.exits = tuple(sorted({*_ALWAYS, *exits}))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Examples"):
            for example in self.examples:
                formatter.write_text(example)
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(int(code)), MEANINGS[code]) for code in self.exits])


class Group(click.Group):
    """Commands that belong together; naming none of them is wrong usage like any other."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("context_settings", {}).setdefault("max_content_width", 100)
        kwargs.setdefault("no_args_is_help", False)
        super().__init__(*args, **kwargs)


class CommandGroup(Command, Group):
    """A command with commands below it, such as a list and one entry of it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, invoke_without_command=True, **kwargs)


def above(context: click.Context) -> bool:
    """Whether the command that was asked for is one below this one.

    Raises:
        click.UsageError: options were given here, where that one would never see them.
    """
    if context.invoked_subcommand is None:
        return False
    for option in context.command.params:
        if context.get_parameter_source(option.name or "") is ParameterSource.COMMANDLINE:
            message = f"{option.opts[0]} belongs after {context.invoked_subcommand!r}"
            raise click.UsageError(message, context)
    return True

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


class ArgumentGroup(CommandGroup):
    """`plan MODEL` makes a plan; `plan explain` and the like look at the one made last.

    A group's own argument would swallow the name of a command below it, so it is only there where
    the first word isn't one.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        below = bool(args) and args[0] in self.commands
        ctx.meta[self._below] = below
        ctx.allow_interspersed_args, ctx.allow_extra_args = not below, below
        return super().parse_args(ctx, args)

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        found = super().get_params(ctx)
        if not ctx.meta.get(self._below):
            return found
        return [parameter for parameter in found if not isinstance(parameter, click.Argument)]

    @property
    def _below(self) -> str:
        """A context's notes are shared with all around it."""
        return f"pilotlight.{self.name}.below"


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

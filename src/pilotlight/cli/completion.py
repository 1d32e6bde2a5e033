"""`pilotlight completion`: the script a shell needs, and model names to complete with."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem, get_completion_class

from pilotlight.cli.command import Command
from pilotlight.cli.exits import Exit

_PATIENCE_S = 0.3  # a key press waits for this


@click.command(
    cls=Command,
    examples=(
        "pilotlight completion bash > ~/.local/share/bash-completion/completions/pilotlight",
        "pilotlight completion zsh > ~/.zfunc/_pilotlight",
        "pilotlight completion fish > ~/.config/fish/completions/pilotlight.fish",
    ),
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> int:
    """Print the completion script of a shell."""
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"no completion for {shell!r}")
    script = kind(context.find_root().command, {}, "pilotlight", "_PILOTLIGHT_COMPLETE").source()
    click.echo(script)
    return Exit.OK


def complete_model(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """The running server's models; none when it doesn't answer at once."""
    from pilotlight.cli.connection import Server, find_server, model_names
    from pilotlight.cli.flags import data_dir
    from pilotlight.errors import PilotlightError

    try:
        server: Server = find_server(context.params.get("url"), data_dir(context, None))
        names = model_names(server, timeout_s=_PATIENCE_S)
    except PilotlightError:
        return []
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]

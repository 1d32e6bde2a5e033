"""`pilotlight chat`: talk to a model of the running server."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any

import click

from pilotlight.cli.app import complain
from pilotlight.cli.client import server_flags, the_server
from pilotlight.cli.command import Command
from pilotlight.cli.completion import complete_model
from pilotlight.cli.connection import Server, model_names
from pilotlight.cli.conversation import Conversation
from pilotlight.cli.exits import Exit
from pilotlight.cli.screen import Pipe, Terminal
from pilotlight.errors import PilotlightError


@click.command(
    cls=Command,
    examples=(
        "pilotlight chat",
        "pilotlight chat smollm2:135m --system 'Answer in one word.'",
        "pilotlight chat smollm2:135m 'Why is the sky blue?'",
        "git diff | pilotlight chat smollm2:135m 'Summarise this change.'",
    ),
    exits=(Exit.UNREACHABLE, Exit.NOT_FOUND, Exit.NOT_ALLOWED),
)
@click.argument("model", required=False, shell_complete=complete_model)
@click.argument("prompt", required=False)
@click.option("--system", metavar="TEXT", help="the system message")
@click.option(
    "--max-tokens", metavar="N", type=click.IntRange(min=1), help="longest answer, in tokens"
)
@click.option("--temperature", metavar="X", type=float, help="0 is the most likely answer")
@server_flags
@click.pass_context
def chat(
    context: click.Context,
    /,
    model: str | None,
    prompt: str | None,
    system: str | None,
    max_tokens: int | None,
    temperature: float | None,
    **flags: Any,
) -> None:
    """Chat with a model of the running server.

    Without MODEL it is the only one that is served. With a PROMPT, or with one on
    standard input, answer once and exit; what is piped in follows the PROMPT. On a
    terminal a line that ends with a backslash goes on in the next one, Ctrl-C stops
    the answer, and /help lists the commands.
    """
    server = the_server(context)
    sampling = {"max_tokens": max_tokens, "temperature": temperature}
    conversation = Conversation(
        server,
        model or _only_model(server),
        system,
        {name: value for name, value in sampling.items() if value is not None},
    )
    if prompt is None and sys.stdin.isatty():
        _Session(conversation).run()
    else:
        _answer_once(conversation, _whole_prompt(prompt))


def _only_model(server: Server) -> str:
    names = model_names(server)
    if len(names) == 1:
        return names[0]
    raise click.UsageError(
        f"say which model: {', '.join(names)}" if names else f"{server.url} serves no model"
    )


def _whole_prompt(prompt: str | None) -> str:
    piped = "" if sys.stdin.isatty() else sys.stdin.read().strip()
    whole = "\n\n".join(part for part in (prompt, piped) if part)
    if not whole:
        raise click.UsageError("the prompt is empty")
    return whole


def _answer_once(conversation: Conversation, prompt: str) -> None:
    screen = Terminal() if sys.stdout.isatty() else Pipe()
    with closing(conversation.say(prompt)) as answer:
        screen.show(answer, conversation.model)
    screen.note(conversation.speed.summary())


class _Session:
    """Questions typed at a terminal until the user leaves."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._screen = Terminal()
        self._commands: Mapping[str, tuple[Callable[[str], None], str]] = {
            "/reset": (self._reset, "forget what was said"),
            "/model": (self._model, "show the models, or change to /model NAME"),
            "/help": (self._help, "this list"),
            "/exit": (self._exit, "leave; so does Ctrl-D"),
        }

    def run(self) -> None:
        # Importing it is what gives `input` line editing and history.
        import readline  # noqa: F401

        self._screen.note(f"{self._conversation.model}; /help lists the commands")
        while True:
            try:
                self._turn(_read_lines())
            except KeyboardInterrupt:
                click.echo()
                self._screen.note("stopped; /exit leaves")
            except EOFError:
                click.echo()
                return

    def _turn(self, text: str) -> None:
        if not text.strip():
            return
        word, _, rest = text.strip().partition(" ")
        try:
            if word.startswith("/"):
                self._command(word, rest.strip())
            else:
                self._ask(text)
        except PilotlightError as error:
            complain(error.message, error.hint)

    def _ask(self, text: str) -> None:
        with closing(self._conversation.say(text)) as answer:
            self._screen.show(answer, self._conversation.model)
        self._screen.note(self._conversation.speed.summary())

    def _command(self, word: str, rest: str) -> None:
        if word not in self._commands:
            complain(f"no command {word!r}", f"use one of {', '.join(self._commands)}")
            return
        perform, _ = self._commands[word]
        perform(rest)

    def _reset(self, rest: str) -> None:
        self._conversation.reset()
        self._screen.note("the conversation starts anew")

    def _model(self, name: str) -> None:
        names = model_names(self._conversation.server)
        if name in names:
            self._conversation.model = name
        elif name:
            complain(f"no model {name!r} here", f"use one of {', '.join(names)}")
        chosen = self._conversation.model
        self._screen.note("\n".join(f"{'*' if n == chosen else ' '} {n}" for n in names))

    def _help(self, rest: str) -> None:
        for word, (_, meaning) in self._commands.items():
            self._screen.note(f"{word:8}{meaning}")

    def _exit(self, rest: str) -> None:
        raise EOFError


def _read_lines() -> str:
    """One message; a line that ends with a backslash goes on in the next."""
    lines = [input(">>> ")]
    while lines[-1].endswith("\\"):
        lines[-1] = lines[-1][:-1]
        lines.append(input("... "))
    return "\n".join(lines)

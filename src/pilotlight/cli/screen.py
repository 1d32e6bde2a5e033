"""Where a chat's answers go: a terminal, or a pipe that wants the text alone."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable

import click

from pilotlight.cli.answer import Piece

# A model's text may hold escape sequences that would drive the user's terminal.
_CONTROLS = dict.fromkeys([*range(9), *range(11, 32), *range(127, 160)])


class Pipe:
    """The answer's text as it arrives, and nothing else."""

    def show(self, answer: Iterable[Piece], model: str) -> None:
        for piece in answer:
            sys.stdout.write(piece.text)
            sys.stdout.flush()
        sys.stdout.write("\n")
        sys.stdout.flush()

    def note(self, text: str) -> None:
        """Remarks have no place in a pipe's output; they go to the terminal behind stderr."""
        if text and sys.stderr.isatty():
            click.secho(text, dim=True, err=True)


class Terminal:
    """The same with thinking dimmed, waiting shown and control characters taken out."""

    def show(self, answer: Iterable[Piece], model: str) -> None:
        asked_s = time.monotonic()
        waiting = started = False
        try:
            for piece in answer:
                if waiting:
                    click.echo("\r\x1b[K", nl=False)
                started = started or bool(piece.text or piece.thinking)
                waiting = not started and (waiting or piece.waiting)
                if waiting:
                    waited_s = time.monotonic() - asked_s
                    click.secho(f"waiting for {model}, {waited_s:.0f} s", dim=True, nl=False)
                self._print(piece)
        finally:
            click.echo()

    def note(self, text: str) -> None:
        if text:
            click.secho(text, dim=True)

    def _print(self, piece: Piece) -> None:
        if piece.thinking:
            click.secho(piece.thinking.translate(_CONTROLS), dim=True, nl=False)
        if piece.text:
            click.echo(piece.text.translate(_CONTROLS), nl=False)

"""Run one program of somebody else's; its words go into the error when it fails."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pilotlight.errors import DeployError

Hear = Callable[[str], None]
_LAST_LINES = 15
_END_S = 10.0


def run(
    argv: Sequence[str],
    *,
    what: str,
    hint: str,
    hear: Hear | None = None,
    environ: Mapping[str, str] | None = None,
    directory: Path | None = None,
) -> str:
    """What it printed. `hear` gets each line as it comes. Blocks until it ends.

    Raises:
        DeployError: `what` failed, with its last lines; `hint` is the next step.
    """
    lines: list[str] = []
    try:
        with subprocess.Popen(
            argv,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            errors="replace",
            env=environ,
            cwd=directory,
        ) as process:
            try:
                _listen(process, lines, hear)
            except BaseException:
                _end(process)  # a signal for us alone doesn't reach it
                raise
    except OSError as error:
        raise DeployError(f"{what}: can't run {argv[0]!r}: {error.strerror}", hint=hint) from None
    if process.returncode != 0:
        said = "\n  ".join(lines[-_LAST_LINES:])
        ended = f"{argv[0]} ended with {process.returncode}"
        raise DeployError(f"{what}: {ended}:\n  {said}", hint=hint)
    return "\n".join(lines)


def _listen(process: subprocess.Popen[str], lines: list[str], hear: Hear | None) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line.rstrip())
        if hear is not None:
            hear(lines[-1])


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(_END_S)
    except subprocess.TimeoutExpired:
        process.kill()


def captured(argv: Sequence[str], *, what: str, hint: str) -> str:
    """What it printed on stdout alone, for programs that answer with a document."""
    try:
        done = subprocess.run(
            argv, capture_output=True, stdin=subprocess.DEVNULL, text=True, errors="replace"
        )
    except OSError as error:
        raise DeployError(f"{what}: can't run {argv[0]!r}: {error.strerror}", hint=hint) from None
    if done.returncode != 0:
        raise DeployError(
            f"{what}: {argv[0]} ended with {done.returncode}: {done.stderr.strip()}", hint=hint
        )
    return done.stdout

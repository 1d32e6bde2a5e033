"""Other programs, run: the one way in which these targets touch the machine besides files."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pilotlight.errors import ConfigError, DeployError

LAST_WORDS = 8
"""Lines of a failed program that its error repeats."""

RECENT = 500
"""Lines of a service's log that they are looked for in."""

_ACCESS = "pilotlight.access"


_UMASK = 0o022
"""What is installed here is run by another user, whatever the caller's own mask."""


@dataclass(frozen=True, slots=True)
class Done:
    code: int
    out: str
    err: str

    @property
    def ok(self) -> bool:
        return self.code == 0

    def last_words(self) -> str:
        """Without the access log: our own probes would push everything else out."""
        lines = map(str.strip, f"{self.err}\n{self.out}".splitlines())
        said = [line for line in lines if line and _ACCESS not in line]
        return "\n  ".join(said[-LAST_WORDS:])


class Commands(Protocol):
    """Runs programs; the tests of decisions have one that remembers."""

    def run(self, argv: Sequence[str], *, timeout_s: float = 120.0) -> Done:
        """Blocks until it ends. Raises ConfigError if there is no such program."""
        ...

    def lines(self, argv: Sequence[str]) -> Iterator[str]:
        """What it says, line by line; closing the iterator ends it."""
        ...


@dataclass(frozen=True, slots=True)
class Shell:
    """`Commands` for real; without a shell in between, so nothing is ever quoted."""

    environ: Mapping[str, str] | None = None

    def run(self, argv: Sequence[str], *, timeout_s: float = 120.0) -> Done:
        try:
            done = subprocess.run(
                argv,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=timeout_s,
                env=self.environ,
                umask=_UMASK,
            )
        except OSError as error:
            raise _unusable(argv, error) from None
        except subprocess.TimeoutExpired:
            raise DeployError(
                f"`{' '.join(argv)}` doesn't end: {timeout_s:g} s",
                hint="see what it waits for by running it yourself",
            ) from None
        return Done(done.returncode, done.stdout, done.stderr)

    def lines(self, argv: Sequence[str]) -> Iterator[str]:
        try:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                env=self.environ,
            )
        except OSError as error:
            raise _unusable(argv, error) from None
        with process:
            assert process.stdout is not None
            try:
                for line in process.stdout:
                    yield line.rstrip("\n")
            finally:
                process.terminate()


def checked(done: Done, what: str, hint: str | None = None) -> str:
    """Its output. Raises DeployError with the program's last words if it failed."""
    if not done.ok:
        words = done.last_words() or f"exit status {done.code}"
        raise DeployError(f"{what} failed:\n  {words}", hint=hint)
    return done.out


def _unusable(argv: Sequence[str], error: OSError) -> ConfigError:
    if not isinstance(error, FileNotFoundError):
        return ConfigError(
            f"can't run {argv[0]!r}: {error.strerror}", hint="name a program that you may run"
        )
    return ConfigError(f"there is no program {argv[0]!r} here", hint=f"install {argv[0]} first")

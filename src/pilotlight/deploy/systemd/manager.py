"""The talk with systemd about one unit, or about one in a system that doesn't run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pilotlight import durable
from pilotlight.deploy.server.command import RECENT, Commands, checked
from pilotlight.errors import DeployError

UNITS = "etc/systemd/system"
_ASKED = ("ActiveState", "SubState", "Result", "NRestarts", "ExecMainStatus",
          "ActiveEnterTimestamp", "MemoryCurrent")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Unit:
    """By its name, in the system at `root`. Every method blocks and raises DeployError."""

    commands: Commands
    name: str
    root: Path

    @property
    def runs_here(self) -> bool:
        """Only the system that this machine runs can have its services started."""
        return self.root == Path("/")

    @property
    def path(self) -> Path:
        return self.root / UNITS / self.name

    def text(self) -> str | None:
        return self.path.read_text() if self.path.is_file() else None

    def install(self, text: str) -> None:
        """Have systemd know it as `text`, and start it at every boot."""
        try:
            durable.write_text(self.path, text, mode=0o644)
        except OSError as error:
            raise DeployError(
                f"can't write {str(self.path)!r}: {error.strerror}",
                hint="run it as root, or give another system with --set systemd.root=DIR",
            ) from None
        self._reload()
        self._control("enable", self.name)

    def restart(self) -> None:
        # A unit that failed too often before would not be started at all.
        self.commands.run((*self._systemctl, "reset-failed", self.name))
        self._control("restart", self.name)

    def remove(self) -> None:
        """Stopped, and not started again; one that isn't there is no error."""
        if self.text() is None:
            return
        if self.runs_here:
            self._control("stop", self.name)
        self._control("disable", self.name)
        self.path.unlink(missing_ok=True)
        self._reload()
        if self.runs_here:
            self.commands.run((*self._systemctl, "reset-failed", self.name))

    def enabled(self) -> bool:
        return self.commands.run((*self._systemctl, "is-enabled", self.name)).ok

    def properties(self) -> Mapping[str, str]:
        """What runs of it now; empty in a system that doesn't run."""
        if not self.runs_here:
            return {}
        flags = [f"--property={name}" for name in _ASKED]
        done = self.commands.run((*self._systemctl, "show", self.name, *flags))
        shown = checked(done, f"asking systemd about {self.name}", hint=_NOT_BOOTED)
        return dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)

    def logs(self, since_s: float, *, follow: bool) -> Iterator[str]:
        flags = ("--follow",) if follow else ()
        argv = ("journalctl", *self._rooted, "--unit", self.name, "--output", "cat", "--no-pager",
                "--since", f"-{since_s:.0f}s", *flags)  # fmt: skip
        return self.commands.lines(argv)

    def last_words(self) -> str:
        argv = ("journalctl", *self._rooted, "--unit", self.name, "--output", "cat", "--no-pager",
                "--lines", str(RECENT))  # fmt: skip
        done = self.commands.run(argv)
        return done.last_words() if done.ok else ""

    def _reload(self) -> None:
        if self.runs_here:
            checked(self.commands.run(("systemctl", "daemon-reload")), "systemctl daemon-reload",
                    hint=_NOT_BOOTED)  # fmt: skip

    def _control(self, verb: str, *argv: str) -> None:
        done = self.commands.run((*self._systemctl, verb, *argv), timeout_s=600)
        checked(done, f"`systemctl {verb} {self.name}`")

    @property
    def _systemctl(self) -> tuple[str, ...]:
        return ("systemctl", *self._rooted)

    @property
    def _rooted(self) -> tuple[str, ...]:
        return () if self.runs_here else (f"--root={self.root}",)


_NOT_BOOTED = (
    "systemd must be this machine's init, and asked by root; for another system give its root "
    "with --set systemd.root=DIR"
)

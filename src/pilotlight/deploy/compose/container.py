"""The talk with Docker or Podman about one release's container and volumes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pilotlight.deploy.compose.program import Program
from pilotlight.deploy.instance_file import USER
from pilotlight.deploy.server.command import RECENT, Commands, Done, checked
from pilotlight.errors import DeployError

NAME_LABEL, RELEASE_LABEL = "pilotlight.name", "pilotlight.release"
OWNER = f"{USER}:{USER}"
OWNING = ("run", "--rm", "--network", "none", "--read-only", "--cap-drop", "ALL", "--cap-add",
          "CHOWN", "--user", "0:0", "--entrypoint", "chown")  # fmt: skip
"""Runs an image's `chown` with a volume, and no right but that one."""

_UP_S = 600.0
_PULL_S = 3600.0


@dataclass(frozen=True, slots=True)
class Seen:
    """A container as its engine describes it."""

    running: bool
    restarts: int
    exit_code: int
    release: str | None
    image: str
    started: str


@dataclass(frozen=True, slots=True)
class Container:
    """One release's, by its name. Every method blocks."""

    commands: Commands
    program: Program
    project: str
    name: str
    grace_s: int
    """From being asked to stop to being killed."""

    def look(self) -> Seen | None:
        """None where there is none. Raises DeployError for one that isn't ours."""
        done = self._engine("container", "inspect", self.name)
        if not done.ok:
            return None
        [found] = json.loads(done.out)
        labels: Mapping[str, str] = found["Config"].get("Labels") or {}
        if labels.get(NAME_LABEL) != self.project:
            raise DeployError(
                f"there is a container {self.name!r} already, which wasn't made by this",
                hint=f"rename it, or choose another name for the deployment than {self.project!r}",
            )
        state = found["State"]
        return Seen(
            running=bool(state["Running"]) and state.get("Status") != "restarting",
            restarts=int(found.get("RestartCount") or 0),
            exit_code=int(state.get("ExitCode") or 0),
            release=labels.get(RELEASE_LABEL),
            image=str(found["Config"]["Image"]),
            started=str(state.get("StartedAt") or ""),
        )

    def have(self, image: str) -> None:
        """Pull it unless it is here. Raises DeployError."""
        if not self._engine("image", "inspect", image).ok:
            checked(
                self.commands.run((self.program.engine, "pull", image), timeout_s=_PULL_S),
                f"pulling {image!r}",
                hint="see that the server may read the registry, or load the image by hand",
            )

    def up(self, place: Path) -> None:
        """Of the compose file in the folder `place`, and of no earlier one."""
        self._compose(place, "up", "--detach", "--remove-orphans", *self.program.up)

    def restart(self) -> None:
        checked(
            self.commands.run(
                (self.program.engine, "restart", "--time", str(self.grace_s), self.name),
                timeout_s=self.grace_s + _UP_S,
            ),
            f"restarting container {self.name!r}",
        )

    def remove(self) -> None:
        """And its network; needs no compose file, and nothing there is no error."""
        if self.look() is not None:
            self._engine("stop", "--time", str(self.grace_s), self.name)
            checked(self._engine("rm", "--force", self.name), f"removing container {self.name!r}")
        if self._engine("network", "inspect", self.name).ok:
            checked(self._engine("network", "rm", self.name), f"removing network {self.name!r}")

    def have_volume(self, name: str, image: str) -> None:
        """A new one is root's; the instance's user gets it. Raises DeployError."""
        if self._engine("volume", "inspect", name).ok:
            return
        checked(self._engine("volume", "create", name), f"making volume {name!r}")
        owning = (*OWNING, "--volume", f"{name}:/volume", image, OWNER, "/volume")
        checked(self._engine(*owning), f"giving volume {name!r} to user {OWNER}")

    def volumes(self, names: Iterable[str]) -> tuple[str, ...]:
        """Those of `names` that there are."""
        return tuple(name for name in names if self._engine("volume", "inspect", name).ok)

    def remove_volume(self, name: str) -> None:
        checked(self._engine("volume", "rm", name), f"removing volume {name!r}")

    def logs(self, since_s: float, *, follow: bool) -> Iterator[str]:
        flags = ("--follow",) if follow else ()
        argv = (self.program.engine, "logs", "--since", f"{since_s:.0f}s", *flags, self.name)
        return self.commands.lines(argv)

    def last_words(self) -> str:
        done = self._engine("logs", "--tail", str(RECENT), self.name)
        return done.last_words() if done.ok else ""

    def _engine(self, *argv: str) -> Done:
        return self.commands.run((self.program.engine, *argv), timeout_s=_UP_S)

    def _compose(self, place: Path, verb: str, *flags: str) -> None:
        """With the folder's own path: a link there might lead elsewhere by the next start."""
        grace = self.program.grace
        argv = [
            *self.program.compose, *([grace.format(self.grace_s)] if grace else []),
            "--project-name", self.project,
            "--file", str(place / "compose.yaml"), "--env-file", str(place / ".env"),
            verb, *flags,
        ]  # fmt: skip
        checked(
            self.commands.run(argv, timeout_s=_UP_S), f"`{' '.join(self.program.compose)} {verb}`"
        )

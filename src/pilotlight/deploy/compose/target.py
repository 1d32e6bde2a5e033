"""The verbs for a server with Docker or Podman; see `deploy.target.Target`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pilotlight.config import default_data_dir
from pilotlight.deploy.compose import compose_file, limits, program
from pilotlight.deploy.compose.compose_file import address_of
from pilotlight.deploy.compose.container import Container, Seen
from pilotlight.deploy.compose.options import ComposeOptions
from pilotlight.deploy.release import Release
from pilotlight.deploy.resources import Change, Files, Resources
from pilotlight.deploy.server.command import Commands, Shell
from pilotlight.deploy.server.documents import live_files, wanted_files
from pilotlight.deploy.server.endings import SPARE_S, drain_s
from pilotlight.deploy.server.readiness import Probe
from pilotlight.deploy.server.releases import Releases
from pilotlight.deploy.server.rollout import Rollout
from pilotlight.deploy.target import Report, Status
from pilotlight.deploy.violation import Violation
from pilotlight.errors import ConfigError

_MAX_RESTARTS = 3
"""As often as an instance may end while it starts before an update is given up."""

_REBOOT_UNITS: Mapping[str, str] = {"docker": "docker.service", "podman": "podman-restart.service"}


@dataclass(frozen=True, slots=True)
class ComposeTarget:
    commands: Commands = field(default_factory=Shell)
    name: str = "compose"
    title: str = "Docker Compose or Podman on one server"
    options: type[Any] = ComposeOptions

    def platform(self, release: Release[ComposeOptions]) -> str:
        return "own"

    def check(self, release: Release[ComposeOptions]) -> Sequence[Violation]:
        return tuple(limits.broken(release))

    def render(self, release: Release[ComposeOptions]) -> Files:
        return compose_file.files_of(release)

    def wanted(self, release: Release[ComposeOptions]) -> Resources:
        version = compose_file.version(release)
        name = compose_file.container_of(release.name)
        return {
            **wanted_files(compose_file.run_files(release)),
            f"container/{name}": {"release": version, "running": True},
        }

    def live(self, release: Release[ComposeOptions]) -> Resources:
        releases = self._releases(release)
        found: dict[str, Mapping[str, Any]] = {}
        if (current := releases.current()) is not None:
            found.update(live_files(releases.path(current), compose_file.NAMES))
        if (seen := self._container(release).look()) is not None:
            name = compose_file.container_of(release.name)
            found[f"container/{name}"] = {"release": seen.release, "running": seen.running}
        return found

    def apply(
        self, release: Release[ComposeOptions], todo: Sequence[Change], report: Report
    ) -> Status:
        if todo:
            service = self._service(release)
            releases, version = self._releases(release), compose_file.version(release)
            if releases.holds(version):
                # Prepared once, but its image or volume may have been pruned since.
                service.supply()
            Rollout(releases, service, report).to(version, compose_file.run_files(release))
        return self.status(release)

    def status(self, release: Release[ComposeOptions]) -> Status:
        container = self._container(release)
        seen = container.look()
        if seen is None:
            return Status(state="absent")
        probe = Probe(address_of(release))
        ready = seen.running and probe.answers("/ready")
        return Status(
            state="ready" if ready else ("updating" if seen.running else "failed"),
            url=probe.address.url,
            instances=int(seen.running),
            image=seen.image,
            detail="" if ready else (_trouble(seen) or "loading"),
            facts=tuple(self._facts(container, seen)),
        )

    def logs(
        self, release: Release[ComposeOptions], *, since_s: float, follow: bool
    ) -> Iterator[str]:
        return self._container(release).logs(since_s, follow=follow)

    def cool(self, release: Release[ComposeOptions], report: Report) -> None:
        """Its process ends and another starts; what remains of a cold start is loading."""
        container = self._container(release)
        container.restart()
        probe = Probe(address_of(release))
        took_s = probe.wait("/health", release.options.ready, lambda: _gone(container))
        report(f"restarted {container.name}; it hears requests after {took_s:.2f} s")

    def delete(self, release: Release[ComposeOptions], report: Report) -> None:
        container, releases = self._container(release), self._releases(release)
        if container.look() is not None:
            self._service(release).deactivate()
            report(f"removed {container.name}")
        releases.remove()
        for volume in container.volumes(compose_file.volumes_of(release)):
            if release.options.purge:
                container.remove_volume(volume)
                report(f"removed volume {volume}")
            else:
                engine = container.program.engine
                report(f"kept volume {volume}; remove it with: {engine} volume rm {volume}")

    def _releases(self, release: Release[ComposeOptions]) -> Releases:
        folder = release.options.directory or default_data_dir() / "deploy" / "compose"
        return Releases(folder.absolute() / release.name)

    def _container(self, release: Release[ComposeOptions]) -> Container:
        found = program.find(self.commands, release.options.program)
        name = compose_file.container_of(release.name)
        return Container(self.commands, found, release.name, name, _grace_s(release))

    def _service(self, release: Release[ComposeOptions]) -> ComposeService:
        container = self._container(release)
        kept = container.volumes(compose_file.volumes_of(release))
        return ComposeService(container, release, kept)

    def _facts(self, container: Container, seen: Seen) -> Iterator[tuple[str, str]]:
        yield "release", seen.release or "unknown"
        yield "started", seen.started
        yield "restarts", str(seen.restarts)
        unit = _REBOOT_UNITS[container.program.engine]
        yield "after a reboot", _reboot(self.commands, unit)


@dataclass(frozen=True, slots=True)
class ComposeService:
    """`deploy.server.rollout.Service` by compose files."""

    container: Container
    release: Release[ComposeOptions]
    kept_volumes: tuple[str, ...]
    """Those that were there before this call, and outlive it even where it fails."""

    def prepare(self, place: Path) -> None:
        seen = self.container.look()  # another's of this name: said before anything is pulled
        if seen is None or not seen.running:
            Probe(address_of(self.release)).refuse_stranger("compose.publish")
        self.supply()

    def supply(self) -> None:
        """Have its image and its volumes."""
        assert self.release.image is not None  # `check` saw to it
        self.container.have(self.release.image)
        for volume in compose_file.volumes_of(self.release):
            self.container.have_volume(volume, self.release.image)

    def activate(self, place: Path) -> None:
        self.container.up(place)

    def await_ready(self) -> float:
        probe = Probe(address_of(self.release))
        return probe.wait("/ready", self.release.options.ready, lambda: _gone(self.container))

    def last_words(self) -> str:
        return self.container.last_words()

    def deactivate(self) -> None:
        self.container.remove()
        for volume in self.container.volumes(compose_file.volumes_of(self.release)):
            if volume not in self.kept_volumes:
                self.container.remove_volume(volume)


def _grace_s(release: Release[ComposeOptions]) -> int:
    return math.ceil(drain_s(release) + SPARE_S)


def _gone(container: Container) -> str | None:
    """Why it won't become ready: it isn't there, or it ends again and again."""
    seen = container.look()
    return f"there is no container {container.name!r}" if seen is None else _trouble(seen)


def _trouble(seen: Seen) -> str | None:
    if seen.restarts >= _MAX_RESTARTS:
        return f"it ended {seen.restarts} times, with exit status {seen.exit_code}"
    if not seen.running and not seen.restarts:
        return f"it ended with exit status {seen.exit_code}"
    return None


def _reboot(commands: Commands, unit: str) -> str:
    """Whether something starts it again."""
    try:
        enabled = commands.run(("systemctl", "is-enabled", unit)).ok
    except ConfigError:
        return f"no systemctl here to ask about {unit}"
    return f"{unit} is enabled" if enabled else f"it stays down: run `systemctl enable {unit}`"

"""The verbs for a server with systemd; see `deploy.target.Target`."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pilotlight.deploy.release import Release
from pilotlight.deploy.resources import Change, Files, Resources
from pilotlight.deploy.server.command import Commands, Shell
from pilotlight.deploy.server.documents import live_files, wanted_files
from pilotlight.deploy.server.readiness import Probe
from pilotlight.deploy.server.releases import Releases
from pilotlight.deploy.server.rollout import Rollout
from pilotlight.deploy.systemd import limits, unit
from pilotlight.deploy.systemd.environment import Environment
from pilotlight.deploy.systemd.manager import Unit
from pilotlight.deploy.systemd.options import SystemdOptions
from pilotlight.deploy.systemd.readme import readme
from pilotlight.deploy.systemd.unit import address_of
from pilotlight.deploy.target import Report, State, Status
from pilotlight.deploy.violation import Violation

_MAX_RESTARTS = 3
"""As often as an instance may end while it starts before an update is given up."""

_STATES: Mapping[str, State] = {"active": "updating", "activating": "updating",
                                "reloading": "updating"}  # fmt: skip
"""What systemd calls a unit, until it answers; any other is a failure."""


@dataclass(frozen=True, slots=True)
class SystemdTarget:
    commands: Commands = field(default_factory=Shell)
    name: str = "systemd"
    title: str = "systemd on one server"
    options: type[Any] = SystemdOptions

    def platform(self, release: Release[SystemdOptions]) -> str:
        return "own"

    def check(self, release: Release[SystemdOptions]) -> Sequence[Violation]:
        return tuple(limits.broken(release))

    def render(self, release: Release[SystemdOptions]) -> Files:
        name = release.name
        text = readme(release, unit.unit_of(name), unit.home_of(name))
        return {"README.md": text, **unit.run_files(release)}

    def wanted(self, release: Release[SystemdOptions]) -> Resources:
        return {
            **wanted_files(unit.run_files(release)),
            f"service/{release.name}": self._service_wanted(release),
        }

    def live(self, release: Release[SystemdOptions]) -> Resources:
        releases, service = self._releases(release), self._unit(release)
        found: dict[str, Mapping[str, Any]] = {}
        if (text := service.text()) is not None:
            found.update(wanted_files({service.name: text}))
            found[f"service/{release.name}"] = self._service_live(release, releases, service)
        if (current := releases.current()) is not None:
            found.update(live_files(releases.path(current), unit.NAMES))
        return found

    def apply(
        self, release: Release[SystemdOptions], todo: Sequence[Change], report: Report
    ) -> Status:
        if todo:
            kept = tuple(states(release))
            service = SystemdService(self.commands, self._unit(release), release, kept)
            rollout = Rollout(self._releases(release), service, report)
            rollout.to(unit.version(release), unit.run_files(release))
        return self.status(release)

    def status(self, release: Release[SystemdOptions]) -> Status:
        service = self._unit(release)
        if service.text() is None:
            return Status(state="absent")
        if not service.runs_here:
            where = f"installed in {service.root}; it starts when that system boots"
            return Status(state="updating", instances=0, detail=where)
        shown, probe = service.properties(), Probe(address_of(release))
        running = shown.get("ActiveState") == "active"
        ready = running and probe.answers("/ready")
        return Status(
            state="ready" if ready else _STATES.get(shown.get("ActiveState", ""), "failed"),
            url=probe.address.url,
            instances=int(running),
            detail="" if ready else (trouble(shown) or "loading"),
            facts=tuple(_facts(self._releases(release), service, shown)),
        )

    def logs(
        self, release: Release[SystemdOptions], *, since_s: float, follow: bool
    ) -> Iterator[str]:
        return self._unit(release).logs(since_s, follow=follow)

    def cool(self, release: Release[SystemdOptions], report: Report) -> None:
        """Its process ends and another starts; what remains of a cold start is loading."""
        service = self._unit(release)
        service.restart()
        probe = Probe(address_of(release))
        took_s = probe.wait("/health", release.options.ready, lambda: trouble(service.properties()))
        report(f"restarted {service.name}; it hears requests after {took_s:.2f} s")

    def delete(self, release: Release[SystemdOptions], report: Report) -> None:
        service = self._unit(release)
        if service.text() is not None:
            service.remove()
            report(f"removed {service.name}")
        self._releases(release).remove()
        for place in states(release):
            if release.options.purge:
                _remove(place)
                report(f"removed {place}")
            else:
                report(f"kept {place}: the ledger and fetched models; remove it by hand")

    def _releases(self, release: Release[SystemdOptions]) -> Releases:
        return Releases(release.options.root / unit.home_of(release.name).lstrip("/"))

    def _unit(self, release: Release[SystemdOptions]) -> Unit:
        return Unit(self.commands, unit.unit_of(release.name), release.options.root)

    def _service_wanted(self, release: Release[SystemdOptions]) -> Mapping[str, Any]:
        wanted: dict[str, Any] = {"release": unit.version(release), "enabled": True}
        return {**wanted, "running": True} if self._unit(release).runs_here else wanted

    def _service_live(
        self, release: Release[SystemdOptions], releases: Releases, service: Unit
    ) -> Mapping[str, Any]:
        live: dict[str, Any] = {"release": releases.current(), "enabled": service.enabled()}
        if service.runs_here:
            live["running"] = service.properties().get("ActiveState") == "active"
        return live


@dataclass(frozen=True, slots=True)
class SystemdService:
    """`deploy.server.rollout.Service` by a unit and a link."""

    commands: Commands
    unit: Unit
    release: Release[SystemdOptions]
    kept: tuple[Path, ...]
    """State that was there before this call, and outlives it even where it fails."""

    def prepare(self, place: Path) -> None:
        if self.unit.runs_here and self.unit.properties().get("ActiveState") != "active":
            Probe(address_of(self.release)).refuse_stranger("systemd.listen")
        Environment(self.commands, self.release.options.python).make(place)

    def activate(self, place: Path) -> None:
        self.unit.install((place / self.unit.name).read_text())
        if self.unit.runs_here:
            self.unit.restart()

    def await_ready(self) -> float:
        if not self.unit.runs_here:
            return 0.0
        return Probe(address_of(self.release)).wait(
            "/ready", self.release.options.ready, lambda: trouble(self.unit.properties())
        )

    def last_words(self) -> str:
        return self.unit.last_words()

    def deactivate(self) -> None:
        self.unit.remove()
        for place in states(self.release):
            if place not in self.kept:
                _remove(place)


def states(release: Release[SystemdOptions]) -> Iterator[Path]:
    """Where a service with a user of its own keeps its state: a link, and what it leads to."""
    library, name = release.options.root / "var/lib", f"pilotlight-{release.name}"
    places = (library / name, library / "private" / name)
    return (place for place in places if place.is_symlink() or place.exists())


def _remove(place: Path) -> None:
    if place.is_symlink():
        place.unlink()
    else:
        shutil.rmtree(place, ignore_errors=True)


def trouble(shown: Mapping[str, str]) -> str | None:
    """Why it won't become ready: it isn't running, or it ends again and again."""
    restarts = int(shown.get("NRestarts") or 0)
    if shown.get("ActiveState") in ("failed", "inactive"):
        return f"it ended: {shown.get('Result')}, with exit status {shown.get('ExecMainStatus')}"
    if restarts >= _MAX_RESTARTS:
        return f"it ended {restarts} times"
    return None


def _facts(
    releases: Releases, service: Unit, shown: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    yield "release", releases.current() or "none"
    yield "started", shown.get("ActiveEnterTimestamp") or "never"
    yield "restarts", shown.get("NRestarts") or "0"
    yield "after a reboot", "it starts" if service.enabled() else "it stays down"

"""Perform a plan: every step in order, then the check, then one rename that makes it usable."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from pilotlight.engines.environments.command import environment, run
from pilotlight.engines.environments.environment import Environment, Record, find, write
from pilotlight.engines.environments.failure import explain, unwritable
from pilotlight.engines.environments.host import Host
from pilotlight.engines.environments.lock import exclusive
from pilotlight.engines.environments.plan import Plan, Step
from pilotlight.engines.environments.progress import Report, Tracker
from pilotlight.engines.environments.site import Site
from pilotlight.engines.llamacpp.system_info import instruction_sets
from pilotlight.store.disk import require_room


def install(
    directory: Path,
    plan: Plan,
    host: Host,
    *,
    report: Report,
    waiting: Callable[[], None],
    force: bool = False,
) -> Environment:
    """Make `plan` under `directory`; what is there already by the same plan is left as it is.

    An install that was interrupted goes on: what it fetched and compiled is kept. With
    `force` it begins anew and replaces what is there. Blocks for minutes.

    Raises:
        EngineInstallError: a step failed, or the place can't be written; with the next step.
        DiskFullError: said before anything is fetched.
    """
    home = (directory / plan.name).absolute()
    try:
        with exclusive(home, waiting) as lock:
            present = find(directory, plan.name)
            if present is None or force or not _is_as_planned(present, plan):
                present = _install(home, plan, host, lock, report, force=force)
            return present
    except OSError as error:
        raise unwritable(plan.name, error) from None


def _is_as_planned(present: Environment, plan: Plan) -> bool:
    return present.record.digest == plan.digest and not present.lost_python


def _install(
    home: Path, plan: Plan, host: Host, lock: int, report: Report, *, force: bool
) -> Environment:
    site = Site.choose(home, plan.digest)
    if force:
        shutil.rmtree(site.partial, ignore_errors=True)
    require_room(home, plan.room_bytes - _size_bytes(site.partial), f"installing {plan.name}")
    record = _make(site, plan, host, lock, report)
    # Else, after a power cut, a whole record could stand beside half its files.
    os.sync()
    write(record, site.root)
    site.publish()
    return Environment(site.final, record)


def _size_bytes(directory: Path) -> int:
    return sum(path.lstat().st_size for path in directory.rglob("*"))


def _make(site: Site, plan: Plan, host: Host, lock: int, report: Report) -> Record:
    site.prepare()
    finished = site.finished()
    checks = Step("check", plan.verify, kept=False)
    steps = (*plan.steps, checks)
    said: list[str] = []
    for number, step in enumerate(steps, 1):
        if step.name not in finished:
            said = _perform(site, plan, step, host, lock, report, (number, len(steps)))
            site.finish(step)
    return Record(
        name=plan.name,
        version=plan.version,
        variant=plan.variant,
        digest=plan.digest,
        built_for=_built_for(site, plan, host, lock),
        details={
            "says": next((line for line in reversed(said) if line.strip()), ""),
            "python": ".".join(map(str, host.python_version)),
        },
    )


def _perform(
    site: Site,
    plan: Plan,
    step: Step,
    host: Host,
    lock: int,
    report: Report,
    place: tuple[int, int],
) -> list[str]:
    tracker = Tracker(step, *place)
    report(tracker.progress)

    def hear(line: str) -> None:
        if tracker.read(line):
            report(tracker.progress)

    argv = site.fill(step.argv, host.python)
    try:
        code, output = run(argv, environment(os.environ, site.cache), site.log, lock, hear)
    except OSError as error:  # the program itself is missing, or is for another machine
        code, output = 127, [str(error)]
    if code != 0:
        raise explain(plan.name, step.name, code, output, str(site.log))
    return output


def _built_for(site: Site, plan: Plan, host: Host, lock: int) -> tuple[str, ...]:
    if not plan.system_info:
        return ()
    argv = site.fill(plan.system_info, host.python)
    _, output = run(argv, dict(os.environ), site.log, lock, lambda line: None)
    return tuple(sorted(instruction_sets("\n".join(output))))

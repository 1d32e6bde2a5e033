"""A deployment measured where it runs: its cold starts first and apart, then warm under load."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from pilotlight.bench.experiment import Experiment, conduct, with_prediction
from pilotlight.bench.instruments import Instruments, View
from pilotlight.bench.planned import Planned
from pilotlight.bench.report import Report
from pilotlight.bench.subjects.asking import Endpoint, first_token_ms
from pilotlight.bench.subjects.endpoint import base_url, described
from pilotlight.bench.subjects.subject import ColdStart
from pilotlight.deploy.prices import prices
from pilotlight.deploy.release import Release
from pilotlight.deploy.resolve import changed
from pilotlight.deploy.target import Status, Target
from pilotlight.errors import DeployError

if TYPE_CHECKING:
    from pilotlight.catalog.platform import Rentable

COLD_TIMEOUT_S = 900.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """How a deployment is measured."""

    experiment: Experiment
    cold_starts: int
    """How many are brought about; 0 leaves what runs alone."""

    model: str
    """As requests name it."""

    key: str | None = field(default=None, repr=False)
    planned: Planned | None = None
    rentable: Rentable | None = None
    """What it costs there; None where nobody knows."""


def measured(target: Target, release: Release[Any], trial: Trial, view: View) -> Report:
    """Blocks until all is measured; after Ctrl-C while it is warm, with what was measured by then.

    Raises:
        DeployError: it isn't up, or can't be cooled.
        ServerError: it doesn't answer, or not for this key.
        BenchError, ConfigError: the workload or the load can't be.
    """
    status = target.status(release)
    url = _address(target, release, status)
    if release.image is None:
        # Cooling may have to say again what is to run.
        release = replace(release, image=status.image)
    cold_ms = tuple(_cold_starts(target, release, trial, url, view))
    view.say(f"measuring {url}")
    name = f"{release.name} on {target.name}"
    subject = described(url, key=trial.key, model=trial.model, name=name)
    if cold_ms:
        median_ms = statistics.median(cold_ms)
        subject = replace(subject, cold_start=ColdStart(first_token_ms=median_ms))
    price = prices(trial.rentable, target.title)
    report = conduct(trial.experiment, subject, Instruments(price=price, view=view))
    predicted = trial.planned.predicted if trial.planned else None
    return with_prediction(report, predicted, *_notes(release, trial, cold_ms))


def _address(target: Target, release: Release[Any], status: Status) -> str:
    """Raises DeployError: nothing answers there yet."""
    if status.state != "ready" or status.url is None:
        said = f": {status.detail}" if status.detail else ""
        raise DeployError(
            f"{release.name} on {target.title} is {status.state}, "
            f"{'at ' + status.url if status.url else 'without an address'}{said}",
            hint=f"put it up first: pilotlight deploy apply {target.name}",
        )
    return base_url(status.url)


def _cold_starts(
    target: Target, release: Release[Any], trial: Trial, url: str, view: View
) -> Iterator[float]:
    """From the connection to the first piece of an answer, each on a new instance."""
    for number in range(1, trial.cold_starts + 1):
        target.cool(release, view.say)
        ms = first_token_ms(Endpoint(url, trial.key), trial.model, COLD_TIMEOUT_S)
        view.say(f"cold start {number} of {trial.cold_starts}: {ms:.0f} ms to a token")
        yield ms


def _notes(release: Release[Any], trial: Trial, cold_ms: tuple[float, ...]) -> Iterator[str]:
    if cold_ms:
        each = ", ".join(f"{ms:.0f}" for ms in cold_ms)
        plural = "s" if len(cold_ms) > 1 else ""
        yield f"{len(cold_ms)} cold start{plural}, to the first token in ms, from here: {each}"
    if trial.rentable is None:
        yield "no price: the catalog knows no such machine on this platform"
    for name, words in changed(release):
        yield f"{name}: {words}"

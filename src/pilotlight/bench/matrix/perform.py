"""A matrix played: contestants start, are measured and stop in turns, and become reports."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pilotlight.bench.experiment import Experiment, prepared, reported
from pilotlight.bench.instruments import Instruments, Unseen, View
from pilotlight.bench.load import Load
from pilotlight.bench.matrix.contestant import Contestant
from pilotlight.bench.matrix.kept import Kept, Played
from pilotlight.bench.matrix.residence import Open
from pilotlight.bench.matrix.turns import Turn, turns
from pilotlight.bench.measure import load_name, measure
from pilotlight.bench.profile.perform import Stages, afresh
from pilotlight.bench.report import Report, Stage
from pilotlight.bench.run import Run
from pilotlight.bench.subjects.subject import Subject
from pilotlight.bench.summarize import summarize, valued
from pilotlight.bench.tested import tested
from pilotlight.bench.workloads.registry import counts
from pilotlight.bench.workloads.workload import Workload
from pilotlight.errors import BenchError, PilotlightError
from pilotlight.meter.energy import Energy


@dataclass(slots=True, kw_only=True)
class Matrix:
    """The same loads for all. `rounds` times each contestant is opened, measured and closed."""

    contestants: tuple[Contestant, ...]
    experiment: Experiment
    rounds: int
    open: Open
    kept: Kept
    instruments: Callable[[Subject], Instruments]
    view: View = field(default_factory=Unseen)
    failures: dict[str, str] = field(default_factory=dict)
    """Why a contestant isn't in the result, by name."""

    stopped: bool = False
    _workload: Workload | None = None
    """Made once, with the tokens of whoever came first: all are asked the very same."""

    _maker: str = ""
    """Whose slug that is."""

    def play(self) -> tuple[Report, ...]:
        """Blocks. After Ctrl-C, whenever it comes, the reports are of the turns that were whole by
        then.

        A contestant that fails doesn't end it for the others, but is asked no more.
        """
        with self.kept.alone():
            try:
                self._take_all()
            except KeyboardInterrupt:  # while one started or stopped: a run takes it for its end
                self.stopped = True
            return tuple(self._reports())

    def _take_all(self) -> None:
        for turn in turns(len(self.contestants), self.rounds):
            if self.stopped:
                break
            self._take(turn)

    def _take(self, turn: Turn) -> None:
        contestant = self.contestants[turn.contestant]
        if contestant.name in self.failures or self.kept.load(contestant.slug, turn.round):
            return
        self.view.say(f"round {turn.round + 1} of {self.rounds}: {contestant.name}")
        try:
            self._make_again(contestant)
            with self.open(contestant) as subject:
                workload = self._made(contestant, subject)
                played = self._played(subject, workload, turn.round)
        except PilotlightError as error:
            self.failures[contestant.name] = error.one_line()
            self.view.say(f"{contestant.name} is out: {error.one_line()}")
            return
        if played is not None:
            self.kept.maker = self.kept.maker or self._maker
            self.kept.keep(contestant.slug, turn.round, played)

    def _make_again(self, contestant: Contestant) -> None:
        """Going on, with the tokens of whoever came first then: others' would be other texts."""
        maker = next((one for one in self.contestants if one.slug == self.kept.maker), contestant)
        if self._workload or maker == contestant or not counts(self.experiment.workload):
            return
        self.view.say(f"the requests are made with the tokens of {maker.name}, as before")
        try:
            with self.open(maker) as subject:
                self._made(maker, subject)
        except PilotlightError as error:
            raise BenchError(
                f"its requests are made with the tokens of {maker.name}: {error.one_line()}",
                hint="have that one run, or choose another directory",
            ) from error

    def _made(self, contestant: Contestant, subject: Subject) -> Workload:
        if self._workload is None:
            self._workload = prepared(self.experiment, subject)
            self._maker = contestant.slug
        return self._workload

    def _played(self, subject: Subject, workload: Workload, nth: int) -> Played | None:
        """None when it was stopped midway. Each load of each round asks something else; all
        subjects are asked the same."""
        runs: list[Run] = []
        stages: list[Stage] = []
        loads = self.experiment.profile.loads
        for at, load in enumerate(loads):
            done = measure(
                subject,
                workload,
                afresh(load, nth * len(loads) + at),
                self.experiment.slo,
                name=load_name(load),
                instruments=self.instruments(subject),
                timeout_s=self.experiment.timeout_s,
            )
            if done.stopped:
                self.stopped = True
                return None
            runs.extend(done.runs)
            stages.append(done.stage)
        return Played(
            subject=tested(subject),
            workload=workload.summary(),
            runs=tuple(runs),
            energies=tuple(stage.energy for stage in stages),
            costs=tuple(stage.costs for stage in stages),
        )

    def _reports(self) -> Iterator[Report]:
        for contestant in self.contestants:
            found = [
                played
                for nth in range(self.rounds)
                if (played := self.kept.load(contestant.slug, nth)) is not None
            ]
            if found:
                yield self._report(contestant, found)

    def _report(self, contestant: Contestant, found: Sequence[Played]) -> Report:
        loads = self.experiment.profile.loads
        stages = tuple(self._stage(load, at, found) for at, load in enumerate(loads))
        subject = replace(found[0].subject, name=contestant.name)
        notes = tuple(_notes(found, self.rounds))
        whole = Stages(stages=stages, chosen=len(stages) - 1, notes=notes)
        return reported(self.experiment, subject, found[0].workload, whole)

    def _stage(self, load: Load, at: int, found: Sequence[Played]) -> Stage:
        stage = summarize(
            [played.runs[at] for played in found],
            load,
            self.experiment.slo,
            name=load_name(load),
            whole=load.duration_s is None,
            stable_within=self.experiment.repeats.within,
        )
        middle = _middle([played.energies[at] for played in found])
        return valued(stage, found[middle].energies[at], found[middle].costs[at])


def _notes(found: Sequence[Played], rounds: int) -> Iterator[str]:
    if missing := rounds - len(found):
        yield f"{missing} of {rounds} rounds are missing"
    told: Mapping[str, Callable[[Played], str | None]] = {
        "its engine": lambda played: played.subject.build,
        "its weights": lambda played: played.subject.digest,
        "what it was asked": lambda played: played.workload.digest,
    }
    for what, of in told.items():
        values = dict.fromkeys(str(of(played)) for played in found)
        if len(values) > 1:
            yield f"{what} changed between rounds: {', '.join(values)}"


def _middle(energies: Sequence[Energy | None]) -> int:
    """The round with the median joules a token: rounds are hours apart, so they aren't summed."""
    known: Mapping[int, float] = {
        at: energy.joules_per_output_token.median
        for at, energy in enumerate(energies)
        if energy is not None and energy.joules_per_output_token is not None
    }
    by_size = sorted(known, key=lambda at: known[at])
    return by_size[len(by_size) // 2] if by_size else 0

"""A plan to be held against the facts: what to start, what to send, and what was predicted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pilotlight.bench.report import Predicted
from pilotlight.bench.slo import Slo
from pilotlight.bench.subjects.recipe import Recipe
from pilotlight.errors import BenchError
from pilotlight.machine import Machine
from pilotlight.metrics import Spread
from pilotlight.planner.document import plan_at, read
from pilotlight.planner.document import workload as workload_of
from pilotlight.planner.plan import Answer, Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One plan of a file of `plan --json`."""

    answer: Answer
    plan: Plan
    source: str

    @classmethod
    def read(cls, data: bytes, source: str, rank: int) -> Planned:
        """Raises PlanError: it is no plan, or has none of that rank."""
        answer = read(data, source)
        return cls(answer=answer, plan=plan_at(answer, rank, source), source=source)

    @property
    def predicted(self) -> Predicted:
        """Of one machine: a plan's rates are those of one replica."""
        found, replicas = self.plan.metrics, self._replicas
        metrics = replace(
            found,
            requests_per_s=_times(found.requests_per_s, replicas),
            output_tokens_per_s=_times(found.output_tokens_per_s, replicas),
            total_tokens_per_s=_times(found.total_tokens_per_s, replicas),
        )
        return Predicted(plan=self.plan.name, metrics=metrics, source=self.source)

    @property
    def slo(self) -> Slo:
        asked = self.answer.asked.service
        return Slo(
            name=asked.source,
            ttft_ms=asked.ttft_ms,
            tpot_ms=asked.tpot_ms,
            share=asked.percentile / 100,
            source=asked.source,
        )

    @property
    def workload(self) -> Mapping[str, Any]:
        """Every request as long as the mean one, which is what the prediction is for."""
        tree = workload_of(self.answer.asked)
        return {"kind": "fixed", "input": tree["input_tokens"], "output": tree["output_tokens"]}

    @property
    def requests_per_s(self) -> float:
        """The busiest hour's, at one of the plan's machines: that is what is measured."""
        return self.answer.asked.requests_per_s / self.plan.deployment.machines

    def recipe(self, ref: str | None) -> Recipe:
        """Raises BenchError: nobody knows where the weights are."""
        deployment = self.plan.deployment
        found = ref or deployment.ref
        if found is None:
            raise BenchError(
                f"nobody is known to publish {deployment.model} in {deployment.quantization}",
                hint="say where it is: --ref hf:org/repo",
            )
        return Recipe(
            name=deployment.model,
            ref=found,
            engine=deployment.engine,
            options=deployment.options,
            policy={"max": self._replicas},
        )

    @property
    def _replicas(self) -> int:
        """On one machine."""
        return max(1, self.plan.deployment.replicas // self.plan.deployment.machines)

    def notes(self, machine: Machine | None) -> tuple[str, ...]:
        """What keeps prediction and measurement apart; `machine` is where it runs, if known.

        Raises:
            BenchError: the plan's hardware isn't there at all.
        """
        deployment = self.plan.deployment
        found = []
        if deployment.machines > 1:
            found.append(
                f"the plan has {deployment.machines} machines; one of them is measured, at its "
                "share of the load"
            )
        if machine is None:
            return tuple(found)
        if self._replicas > 1:
            found.append(f"its {self._replicas} replicas start one by one, as the queue asks")
        if deployment.gpus > len(machine.gpus):
            raise BenchError(
                f"the plan needs {deployment.hardware}, and this machine has "
                f"{len(machine.gpus) or 'no'} GPUs",
                hint="measure it where it runs: --url http://HOST:PORT",
            )
        if deployment.platform != HERE:
            found.append(
                f"predicted for {deployment.hardware} at {deployment.platform}, measured on "
                f"{machine.cpu} with {machine.cores} cores: the difference is the hardware's too"
            )
        return tuple(found)


def _times(found: Spread | None, factor: int) -> Spread | None:
    if found is None:
        return None
    return Spread(found.median * factor, found.low * factor, found.high * factor)


HERE = "this-machine"
"""The platform of plans that were made for the machine they were made on."""

"""Requirements → candidates → size → price → rank: the whole search, from facts handed in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pilotlight.catalog.api import ApiPrice
from pilotlight.catalog.hardware import Cpu, Gpu
from pilotlight.catalog.platform import Rentable
from pilotlight.errors import PlanError
from pilotlight.planner.candidates import Candidate, candidates
from pilotlight.planner.constants import Constant, constants
from pilotlight.planner.cost.break_even import Curve
from pilotlight.planner.deploying import cost_curve, deployments
from pilotlight.planner.families import Verdicts
from pilotlight.planner.plan import Answer, Plan
from pilotlight.planner.rank import broken, excess, numbered, obstacle, ranked, undominated
from pilotlight.planner.rates import Rates
from pilotlight.planner.refusal import Refusal
from pilotlight.planner.requirements import Requirements, ServiceLevel
from pilotlight.planner.sizing import (
    Replica,
    Sized,
    enough_ram,
    limited,
    on_gpus_alone,
    size,
)
from pilotlight.planner.variants import Variant

NEAREST = 3
REPLAYED = 40
"""Plans that are priced for a trace request by request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that is known beside what is asked; `rates` are those measured here, by device."""

    gpus: Mapping[str, Gpu]
    cpus: Mapping[str, Cpu]
    rented: tuple[Rentable, ...]
    apis: Mapping[str, ApiPrice] = field(default_factory=dict)
    rates: Mapping[str, Rates] = field(default_factory=dict)


class Search:
    """Variants and facts to answer from. Sizes are kept between questions, for the load has no
    part in them: asking again with more traffic is cheap."""

    def __init__(self, variants: Sequence[Variant], facts: Facts) -> None:
        self.variants = tuple(variants)
        self.facts = facts
        self._sizes: dict[object, Sized | Refusal] = {}

    def answer(self, asked: Requirements) -> Answer:
        """Every plan that does what is asked, the cheapest first, and why the others don't.

        Raises:
            PlanError: the context is beyond every model's, or nothing is left to choose from.
        """
        fitting, asked = _within_context(self.variants, asked)
        verdicts = Verdicts()
        found = list(self._plans(fitting, asked, verdicts))
        if not verdicts.count:
            raise PlanError(
                "no engine, hardware and platform is left to choose from",
                hint="allow more: --platform, --gpu, --engine and --quantization each narrow it",
            )
        good = _kept(found)
        if asked.traffic.trace is not None and good:
            found = self._replayed(asked, good)
            good = _kept(found)
        plans = numbered(good)
        return Answer(
            asked=asked,
            plans=plans,
            front=undominated(plans),
            rejections=verdicts.rejections(),
            nearest=() if plans else numbered(self._nearest(fitting, asked, found)),
            looked_at=verdicts.count,
            constants=self._shown(plans[0], asked) if plans else {},
            facts_as_of=min((p.money.as_of for p in found if p.money.as_of), default=None),
        )

    def _shown(self, plan: Plan, asked: Requirements) -> Mapping[str, str]:
        return {each.name: f"{each.value}; {each.source}" for each in self.constants(plan, asked)}

    def only(self, plans: Iterable[Plan]) -> Search:
        """The same, with nothing to choose from but what these plans are made of."""
        kept = list(plans)
        offers = {plan.deployment.offer for plan in kept}
        kinds = {(plan.deployment.model, plan.deployment.quantization) for plan in kept}
        smaller = Search(
            [v for v in self.variants if (v.model.name, v.quantization.name) in kinds],
            replace(
                self.facts, rented=tuple(r for r in self.facts.rented if r.offer.name in offers)
            ),
        )
        smaller._sizes = self._sizes
        return smaller

    def curve(self, plan: Plan, asked: Requirements) -> Curve:
        """What `plan` costs at other loads, with as many replicas as each takes."""
        candidate, sized = self._origin(plan, asked)
        return cost_curve(candidate, sized, asked, plan.deployment.scaling)

    def constants(self, plan: Plan, asked: Requirements) -> tuple[Constant, ...]:
        """Those that its speed was predicted with, and where they are from."""
        return constants(self._origin(plan, asked)[1].setup)

    def _origin(self, plan: Plan, asked: Requirements) -> tuple[Candidate, Sized]:
        alone = self.only([plan])
        facts, d = alone.facts, plan.deployment
        for candidate, _ in candidates(
            alone.variants, facts.rented, facts.gpus, facts.cpus, asked.limits
        ):
            sized = self._sized(candidate, asked)
            alike = (candidate.engine.name, candidate.hardware.gpus) == (d.engine, d.gpus)
            if alike and isinstance(sized, Sized):
                return candidate, sized
        raise AssertionError(f"{plan.name} came from no candidate")

    def _replayed(self, asked: Requirements, plans: Sequence[Plan]) -> list[Plan]:
        """The first of `plans` priced for exactly the trace's arrivals, for a mean hides bursts;
        some may miss what they kept in the mean. The others are left out."""
        first = plans[:REPLAYED]
        smaller, kinds = self.only(first), {plan.kind for plan in first}
        found = smaller._plans(smaller.variants, asked, Verdicts(), exact=True)
        return [plan for plan in found if plan.kind in kinds]

    def _plans(
        self,
        variants: Sequence[Variant],
        asked: Requirements,
        verdicts: Verdicts,
        *,
        exact: bool = False,
    ) -> Iterator[Plan]:
        facts = self.facts
        for candidate, refusal in candidates(
            variants, facts.rented, facts.gpus, facts.cpus, asked.limits
        ):
            sized = refusal or self._sized(candidate, asked)
            if isinstance(sized, Refusal):
                verdicts.add(candidate, sized)
                continue
            for made in deployments(candidate, sized, asked, exact=exact):
                verdicts.add(candidate, _refused(made, asked))
                if isinstance(made, Plan):
                    yield made

    def _sized(self, candidate: Candidate, asked: Requirements) -> Sized | Refusal:
        limits = candidate.rentable.platform.limits
        most = limits.concurrency and max(1, limits.concurrency // candidate.share.copies)
        replica = Replica(
            variant=candidate.variant, engine=candidate.engine, hardware=candidate.hardware
        )
        bare = on_gpus_alone(replica, asked)
        if bare is None:
            return self._known(replica, asked, most)
        sized = self._known(bare, asked, most)
        return sized if isinstance(sized, Refusal) else enough_ram(sized, candidate.hardware)

    def _known(self, replica: Replica, asked: Requirements, most: int | None) -> Sized | Refusal:
        hardware = replica.hardware
        key = (
            replica.variant.model, replica.engine.name, hardware.gpu and hardware.gpu.name,
            hardware.gpus, hardware.cpu.name, hardware.cores, hardware.ram_bytes, most,
            asked.lengths, asked.service, asked.mode, asked.context_tokens,
            asked.limits.concurrency, asked.limits.kv_type,
        )  # fmt: skip
        if key not in self._sizes:
            self._sizes[key] = size(replica, asked, most, self.facts.rates)
        return self._sizes[key]

    def _nearest(
        self, variants: Sequence[Variant], asked: Requirements, found: Iterable[Plan]
    ) -> tuple[Plan, ...]:
        """What breaks the limits by least; where nothing came so far, without a latency limit."""
        near = list(found)
        if not near and limited(asked):
            relaxed = replace(asked, service=ServiceLevel(percentile=asked.service.percentile))
            near = [
                replace(plan, misses=tuple(broken(plan.metrics, asked.service)))
                for plan in self._plans(variants, relaxed, Verdicts())
            ]
        ordered = sorted(near, key=lambda plan: (excess(plan, asked), plan.money.usd_per_month))
        return tuple(ordered[:NEAREST])


def _kept(found: Iterable[Plan]) -> tuple[Plan, ...]:
    """The plans that keep what was asked, the best first."""
    return ranked(plan for plan in found if not plan.misses)


def _within_context(
    variants: Sequence[Variant], asked: Requirements
) -> tuple[Sequence[Variant], Requirements]:
    """Models with room for what is asked; a bound that nobody set goes down to the model's own."""
    needed = asked.context or asked.lengths.total_tokens
    fitting = [variant for variant in variants if variant.model.context >= needed]
    if not fitting:
        most = max((variant.model.context for variant in variants), default=0)
        name = variants[0].model.name if variants else "the model"
        raise PlanError(
            f"a context of {needed} tokens is beyond {name}'s {most}",
            hint=f"give --context of at most {most}, or a model with a longer one",
        )
    least = min(variant.model.context for variant in fitting)
    return fitting, replace(asked, context=min(asked.context_tokens, least))


def _refused(made: Plan | Refusal, asked: Requirements) -> Refusal | None:
    if isinstance(made, Refusal):
        return made
    if not made.misses:
        return None
    return Refusal(kind=obstacle(made, asked), reason=made.misses[0], excess=excess(made, asked))

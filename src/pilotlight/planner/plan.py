"""What a search answers: ranked plans, what was turned down and why, and advice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pilotlight.metrics import Metrics
from pilotlight.planner.cost.serving import ScalingLabel
from pilotlight.planner.requirements import Requirements

Setting = str | int | float | bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """All that has to be decided to run a model: what `deploy` puts up and `serve` starts."""

    model: str
    parameters: int
    ref: str | None
    quantization: str
    bits_per_weight: float
    engine: str
    platform: str
    offer: str
    """The platform's own name for the machine, such as ``g6.xlarge``."""

    region: str | None
    hardware: str
    """``2× L4`` or ``4 vCPU``: what computes, in words."""

    gpu: str | None
    gpus: int
    """Of one replica; the model is spread over all of them."""

    vcpus: float
    cores: float
    """Physical ones, of one replica."""

    ram_bytes: int
    concurrency: int
    """Requests that one replica works on at once."""

    context: int
    machines: int
    """At the busiest; `minimum` are left when nobody asks."""

    replicas: int
    """On all machines together: one machine may hold several."""

    scaling: ScalingLabel
    minimum: int = 0
    idle_s: float | None = None
    """How long a machine without requests stays; None for ever."""

    gpu_layers: int | None = None
    """Layers on the GPU where the rest is computed by the CPU; None for all or no GPU."""

    options: Mapping[str, Setting] = field(default_factory=dict)
    """The engine's own, in pilotlight.yaml's words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Of one replica, in bytes: on each of its GPUs, in RAM where it has none."""

    used_bytes: int
    available_bytes: int
    parts: Mapping[str, int]
    sequences: int
    """How many of `context` tokens fit at once."""

    rule: str
    """``formula``, ``engine`` (its own answer) or ``measured``."""

    arithmetic: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """Beyond `Metrics`: what limits one replica, and how near to that it runs."""

    bottleneck: str
    utilization: float
    """Share of what a replica can take at its most, 0 to 1."""

    capacity_per_s: float
    """Requests a second that one replica takes within the service level."""

    attainment: float
    """Share of requests that keep the service level, cold starts counted."""

    sequences: float
    """In the batch, in the mean, as a request sees it."""

    bandwidth_use: float
    """Share of the devices' peaks, averaged over time."""

    compute_use: float
    parts_ms: Mapping[str, float]
    """Of the time of one token, by what bounds it."""

    start_s: Mapping[str, float]
    """Of a cold start, phase by phase."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColdStarts:
    """How often a request meets no running replica, and for how long it then waits."""

    per_hour: float
    share: float
    """Of all requests."""

    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """Dollars a month, by what they are for."""

    usd_per_month: float
    parts: Mapping[str, float]
    usd_per_mtok: float
    """A million output tokens that met the service level."""

    arithmetic: tuple[str, ...] = ()
    as_of: str | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One way to do it. `misses` says where it breaks what was asked; empty for a good plan."""

    deployment: Deployment
    metrics: Metrics
    memory: Memory
    speed: Speed
    money: Money
    cold: ColdStarts | None = None
    rank: int = 0
    """Among the plans of its search, from 1; 0 outside of any."""

    misses: tuple[str, ...] = ()

    @property
    def kind(self) -> tuple[object, ...]:
        """Plans of one kind differ in nothing but how many replicas there are."""
        d = self.deployment
        return d.model, d.quantization, d.engine, d.offer, d.gpu, d.gpus, d.scaling

    @property
    def name(self) -> str:
        """Tells it from every other plan of the same search."""
        d = self.deployment
        where = d.offer if d.offer == d.platform else f"{d.platform} {d.offer}"
        each = d.replicas // d.machines
        share = d.hardware if each == 1 else f"{each} replicas, {d.hardware} each"
        return (
            f"{d.model} {d.quantization} on {d.engine}, {d.machines}x {where} "
            f"({share}, batch {d.concurrency}, {d.scaling})"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """A family of candidates none of which will do, and what stands in the way of its best."""

    family: str
    reason: str
    candidates: int
    """How many were looked at."""

    kind: Literal["memory", "speed", "capacity", "cost", "platform", "engine", "quality"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """A next step, and the figure that it rests on."""

    text: str
    evidence: str
    source: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """`plans` from the cheapest up; `front` those that are beaten in neither cost nor latency."""

    asked: Requirements
    plans: tuple[Plan, ...]
    front: tuple[Plan, ...]
    rejections: tuple[Rejection, ...]
    nearest: tuple[Plan, ...] = ()
    """Without any plan: what comes closest, with its misses."""

    advice: tuple[Advice, ...] = ()
    looked_at: int = 0
    constants: Mapping[str, str] = field(default_factory=dict)
    """The figures that speed was predicted from, and where they come from."""

    facts_as_of: str | None = None
    """Of the oldest price used."""

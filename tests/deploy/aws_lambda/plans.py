"""A plan of which a test says the one figure that matters to it."""

from __future__ import annotations

from pilotlight.metrics import Metrics
from pilotlight.planner.plan import Deployment, Memory, Money, Plan, Speed


def plan(
    *,
    used_bytes: int = 2**30,
    weights_bytes: int = 2**29,
    vcpus: float = 1,
    context: int = 2048,
) -> Plan:
    return Plan(
        deployment=Deployment(
            model="llama-3.2-1b", parameters=1_235_814_400, ref=None, quantization="Q4_K_M",
            bits_per_weight=4.8, engine="llamacpp", platform="lambda-x86", offer="lambda-6144",
            region="us-east-1", hardware="2 vCPU", gpu=None, gpus=0, vcpus=vcpus, cores=1,
            ram_bytes=used_bytes, concurrency=1, context=context, machines=1, replicas=1,
            scaling="to-zero",
        ),
        metrics=Metrics(),
        memory=Memory(
            used_bytes=used_bytes, available_bytes=used_bytes, parts={"weights": weights_bytes},
            sequences=1, rule="formula",
        ),
        speed=Speed(
            bottleneck="memory", utilization=0.5, capacity_per_s=1, attainment=1, sequences=1,
            bandwidth_use=0.5, compute_use=0.5, parts_ms={}, start_s={},
        ),
        money=Money(usd_per_month=1, parts={}, usd_per_mtok=1),
    )  # fmt: skip

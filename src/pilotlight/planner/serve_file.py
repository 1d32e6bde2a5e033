"""A plan as a pilotlight.yaml that `pilotlight serve` runs one machine of the plan with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pilotlight.errors import PlanError
from pilotlight.planner.figures import dollars, median, milliseconds
from pilotlight.planner.plan import Deployment, Plan


def serve_file(plan: Plan, ref: str | None = None) -> str:
    """`ref` goes before the plan's own.

    Raises:
        PlanError: nobody knows where the weights are to be had.
    """
    lines = [*_head(plan), "models:", f"  {json.dumps(plan.deployment.model)}:"]
    for key, value in entry(plan.deployment, ref).items():
        if isinstance(value, Mapping):
            lines.append(f"    {key}:")
            lines += [f"      {name}: {_scalar(inner)}" for name, inner in value.items()]
        else:
            lines.append(f"    {key}: {_scalar(value)}")
    return "\n".join([*lines, ""])


def _head(plan: Plan) -> list[str]:
    metrics = plan.metrics
    return [
        f"# {plan.name}",
        f"# predicted: TTFT {milliseconds(median(metrics.ttft_ms))}, "
        f"TPOT {milliseconds(median(metrics.tpot_ms))}, "
        f"{dollars(plan.money.usd_per_mtok)} per million output tokens",
        "# start with: pilotlight serve FILE",
    ]


def _scalar(value: Any) -> str:
    """JSON is YAML."""
    return json.dumps(value)


def serve_tree(plan: Plan, ref: str | None = None) -> dict[str, Any]:
    """The same as plain data. Raises PlanError as `serve_file` does."""
    model = dict(entry(plan.deployment, ref))
    return {"models": {plan.deployment.model: {**model, "options": dict(model["options"])}}}


def entry(deployment: Deployment, ref: str | None) -> Mapping[str, Any]:
    """The model's own part of the file."""
    found = ref or deployment.ref
    if found is None:
        raise PlanError(
            f"nobody is known to publish {deployment.model} in {deployment.quantization}",
            hint="say where it is: --ref hf:org/repo, or choose another with --quantization",
        )
    each = max(1, deployment.replicas // deployment.machines)
    return {
        "ref": found,
        "engine": deployment.engine,
        "options": deployment.options,
        # The machine itself comes and goes with the traffic: on it the model is always there.
        "min": each,
        "max": each,
        "keep_alive": "forever",
    }

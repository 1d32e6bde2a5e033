"""A replica's devices, and what each of them computes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pilotlight.catalog.platform import rentables
from pilotlight.planner.engine_facts import ENGINES
from pilotlight.planner.hardware import shares
from pilotlight.planner.requirements import ServiceLevel
from pilotlight.planner.sizing import Replica, Sized, size
from pilotlight.planner.variants import variants

from .searches import asked, catalog


def sized(model: str, quantization: str, offer: str) -> Sized:
    known = catalog()
    row = known.offers[offer]
    (rentable,) = rentables(known.platforms, {offer: row})
    gpu = known.gpus[row.gpu] if row.gpu else None
    share = next(iter(shares(rentable, gpu, known.cpus[row.cpu], 8)))
    (variant,) = variants(known.models.find(model), known.quantizations, (quantization,))
    replica = Replica(variant=variant, engine=ENGINES["llamacpp"], hardware=share.hardware)
    question = replace(asked(0.001, (400, 200)), service=ServiceLevel())
    found = size(replica, question, 1, {})
    assert isinstance(found, Sized)
    return found


def test_the_processor_has_the_first_layers_and_the_gpu_the_last_and_the_output() -> None:
    """As llama.cpp places them: of a 32B model in 8 bits the output alone is 0.8 GB."""
    found = sized("qwen2.5-32b", "q8_0", "own-desktop-4090")
    stages = found.setup.stages
    assert [stage.device.kind for stage in stages] == ["cpu", "gpu"]
    assert [stage.head for stage in stages] == [False, True]
    assert found.fit.gpu_layers is not None
    assert stages[1].share == pytest.approx((found.fit.gpu_layers - 1) / 64, rel=0.02)

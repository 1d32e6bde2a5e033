"""The rules of mixes against the program they follow: llama-quantize, beside LLAMA_SERVER."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from pilotlight.calibration import shaped_gguf
from pilotlight.catalog.architecture import Architecture, Experts
from pilotlight.planner.mixes import types
from pilotlight.store.gguf import read_header

pytestmark = pytest.mark.real

DENSE = Architecture(
    layers=10, hidden=320, heads=5, kv_heads=1, head_dim=64, feed_forward=512, vocabulary=500,
    context=4096, tied=True,
)  # fmt: skip
MIXTURE = Architecture(
    layers=8, hidden=256, heads=4, kv_heads=2, head_dim=64, feed_forward=0, vocabulary=500,
    context=4096, tied=False, experts=Experts(count=8, used=2, width=256),
)  # fmt: skip


@pytest.fixture(scope="module")
def quantize() -> str:
    server = os.environ.get("LLAMA_SERVER")
    beside = Path(server).with_name("llama-quantize") if server else None
    found = str(beside) if beside and beside.is_file() else shutil.which("llama-quantize")
    if found is None:
        pytest.skip("no llama-quantize is beside LLAMA_SERVER or on PATH")
    return found


@pytest.mark.parametrize("mix", ["Q4_0", "Q4_K_M", "IQ4_XS"])
@pytest.mark.parametrize("shape", [DENSE, MIXTURE], ids=["dense", "mixture"])
def test_llama_quantize_gives_each_tensor_the_same_type(
    shape: Architecture, mix: str, quantize: str, tmp_path: Path
) -> None:
    """320 isn't whole blocks of 256, and 8 experts have rules of their own."""
    source, target = tmp_path / "f16.gguf", tmp_path / "out.gguf"
    shaped_gguf.write(source, shape, "F16")
    command = (quantize, str(source), str(target), mix, "1")
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    made = types(shape, mix)
    assert {
        tensor.name: tensor.type_name
        for tensor in read_header(target).tensors
        if tensor.name in made
    } == made

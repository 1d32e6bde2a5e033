"""llama.cpp's own answer about memory, against the formula's."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from pilotlight.core import ModelFiles
from pilotlight.engines.llamacpp import fit_tool, memory
from pilotlight.engines.llamacpp.fit_tool import Told
from pilotlight.engines.llamacpp.options import Options
from pilotlight.engines.llamacpp.sizing import header_of
from pilotlight.errors import EngineCrashedError

from .headers import MIB, write_gguf

HOST = memory.Host(35 * MIB, frozenset({"avx2"}), ())
SHAPE = {
    "llama__block_count": 2, "llama__embedding_length": 64, "llama__attention__head_count": 4,
    "llama__context_length": 8192,
}  # fmt: skip


def tool(directory: Path, says: str, status: int = 0) -> Path:
    """Notes what it is asked, and answers `says`."""
    path = directory / fit_tool.NAME
    path.write_text(f"#!/bin/sh\necho \"$@\" > {directory}/asked\nprintf '{says}'\nexit {status}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_every_device_is_read() -> None:
    said = "CUDA0 8000 500 300 \nCUDA1 7000 400 200 \nHost 500 0 20 \n"
    assert fit_tool.parse(said) == {
        "CUDA0": Told(8000 * MIB, 500 * MIB, 300 * MIB),
        "CUDA1": Told(7000 * MIB, 400 * MIB, 200 * MIB),
        "Host": Told(500 * MIB, 0, 20 * MIB),
    }


def test_the_tool_is_asked_for_what_the_server_would_load(tmp_path: Path) -> None:
    files = write_gguf(tmp_path / "m.gguf", **SHAPE)
    own = tool(tmp_path, "Host 90 180 102 ")
    options = Options(context=2048, parallel=4, cache_type_k="q8_0", gpu_layers="all")
    found = fit_tool.footprint(own, files.path, options, HOST)
    assert found.source == "engine"
    assert (found.parts["weights"], found.parts["kv"]) == (90 * MIB, 180 * MIB)
    assert found.ram_bytes == sum(found.parts.values())
    asked = (tmp_path / "asked").read_text()
    for flags in ("--ctx-size 8192 --parallel 4", "--cache-type-k q8_0", "--gpu-layers all"):
        assert flags in asked


def test_devices_carry_their_share_and_a_context(tmp_path: Path) -> None:
    files = write_gguf(tmp_path / "m.gguf", **SHAPE)
    own = tool(tmp_path, "CUDA0 4000 600 300 \\nHost 90 0 20 ")
    found = fit_tool.footprint(own, files.path, Options(context=2048), HOST)
    assert found.gpu_bytes["CUDA0"] > (4600 + 450) * MIB
    assert set(found.gpu_bytes) == {"CUDA0"}


@pytest.mark.parametrize(("says", "status"), [("", 0), ("error", 1), ("Host 1 2", 0)])
def test_an_answer_that_cant_be_read_is_an_error(tmp_path: Path, says: str, status: int) -> None:
    files = write_gguf(tmp_path / "m.gguf", **SHAPE)
    with pytest.raises(EngineCrashedError, match=f"ended with {status} and no answer"):
        fit_tool.ask(tool(tmp_path, says, status), files.path, Options())


def test_a_tool_that_is_gone_is_an_error(tmp_path: Path) -> None:
    files = write_gguf(tmp_path / "m.gguf", **SHAPE)
    with pytest.raises(EngineCrashedError, match="can't be asked"):
        fit_tool.ask(tmp_path / "none", files.path, Options())


def test_the_one_beside_the_server_is_of_the_same_llamacpp(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    assert fit_tool.find(tmp_path / "llama-server") is None
    own = tool(tmp_path, "")
    assert fit_tool.find(tmp_path / "llama-server") == own
    monkeypatch.setenv("PATH", str(tmp_path))
    assert fit_tool.find(None) == own


@pytest.mark.real
@pytest.mark.parametrize("kv_type", [None, "q8_0"])
def test_the_real_tool_and_the_formula_agree(smollm: ModelFiles, kv_type: str | None) -> None:
    named = os.environ.get("LLAMA_SERVER")
    own = fit_tool.find(Path(named) if named else None)
    if own is None:
        pytest.skip("no llama-fit-params is beside LLAMA_SERVER or on PATH")
    options = Options(context=2048, parallel=4, cache_type_k=kv_type, cache_type_v=kv_type)
    told = fit_tool.footprint(own, smollm.path, options, HOST)
    formula = memory.predict(header_of(smollm.path), options, HOST)
    assert told.ram_bytes == pytest.approx(formula.ram_bytes, rel=0.01)

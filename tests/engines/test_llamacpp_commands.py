"""The exact command line and parameters, on a machine without and with GPUs."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

from pilotlight.core import ModelFiles
from pilotlight.engines.base import ModelJob, Seat
from pilotlight.engines.llamacpp.server import ServerEngine
from pilotlight.engines.llamacpp.wheel import HOST, WheelEngine
from pilotlight.errors import EngineMissingError, EngineOptionError, EngineStartError
from pilotlight.machine import Machine

SERVER = Path(sys.executable)
"""Any executable file; nothing here runs it."""


def server(machine: Machine, offloads: bool = False) -> ServerEngine:
    return ServerEngine(SERVER, "1", machine, lambda: offloads)


def wheel(machine: Machine, offloads: bool = False) -> WheelEngine:
    return WheelEngine("1", Path("/site"), machine, lambda: offloads)


def test_llama_server_on_a_processor(machine: Machine, seat: Seat, files: ModelFiles) -> None:
    engine = server(machine)
    job = ModelJob("tiny", files, engine.options({"context": 2048}))
    launch = engine.command(seat, job)
    assert launch.argv == (
        str(SERVER),
        *("--model", str(files.path), "--alias", "tiny", "--host", str(seat.socket)),
        *("--api-key-file", str(seat.directory / "keys")),
        *("--offline", "--jinja", "--no-webui", "--slots", "--cont-batching"),
        *("--sse-ping-interval", "-1", "--cors-origins", ""),
        *("--ctx-size", "8192", "--parallel", "4", "--batch-size", "512", "--ubatch-size", "512"),
        *("--cache-ram", "0", "--no-kv-unified"),
        *("--ctx-checkpoints", "2", "--threads", "2", "--log-verbosity", "2"),
        *("--no-context-shift", "--no-warmup", "--fit", "off"),
    )
    assert not launch.channel


def test_llama_server_on_gpus(gpu_machine: Machine, seat: Seat, files: ModelFiles) -> None:
    engine = server(gpu_machine, offloads=True)
    given = {"split_mode": "layer", "tensor_split": [3, 1], "cpu_moe_layers": 2, "mmap": False}
    argv = engine.command(seat, ModelJob("tiny", files, engine.options(given))).argv
    tail = argv[argv.index("--ctx-size") :]
    assert tail == (
        *("--ctx-size", "65536", "--parallel", "16", "--batch-size", "2048"),
        *("--ubatch-size", "512", "--cache-ram", "0", "--no-kv-unified"),
        *("--ctx-checkpoints", "2", "--threads", "16", "--split-mode", "layer"),
        *("--n-cpu-moe", "2", "--log-verbosity", "2", "--tensor-split", "3,1"),
        *("--no-context-shift", "--no-warmup", "--load-mode", "none", "--fit", "on"),
    )


@pytest.mark.parametrize(("layers", "fit"), [("auto", "on"), ("all", "off"), (10, "off")])
def test_llama_cpp_fits_layers_only_when_nobody_chose(
    layers: str | int, fit: str, gpu_machine: Machine, seat: Seat, files: ModelFiles
) -> None:
    engine = server(gpu_machine, offloads=True)
    job = ModelJob("tiny", files, engine.options({"gpu_layers": layers}))
    argv = engine.command(seat, job).argv
    assert argv[-2:] == ("--fit", fit)
    assert argv[argv.index("--gpu-layers") + 1] == str(layers)


def test_the_wheel_on_a_processor(machine: Machine, files: ModelFiles) -> None:
    engine = wheel(machine)
    assert engine.params(ModelJob("tiny", files, engine.options({"context": 2048}))) == {
        "ui": False, "endpoint_props": False, "endpoint_slots": True, "endpoint_metrics": False,
        "cors_origins": "", "sse_ping_interval": -1, "use_jinja": True, "cont_batching": True,
        "n_ctx": 8192, "n_parallel": 4, "n_batch": 512, "n_ubatch": 512,
        "cache_ram_mib": 0, "kv_unified": False, "kv_unified_per_slot": 0,
        "n_ctx_checkpoints": 2, "ctx_shift": False, "warmup": False, "verbosity": 2,
        "cpuparams.n_threads": 2, "cpuparams_batch.n_threads": 2, "fit_params": False,
        "model.path": str(files.path), "model_alias": ["tiny"],
    }  # fmt: skip


def test_the_wheel_on_gpus(gpu_machine: Machine, files: ModelFiles) -> None:
    engine = wheel(gpu_machine, offloads=True)
    given = {
        "gpu_layers": "all", "flash_attention": "on", "cache_type_k": "q8_0", "split_mode": "row",
        "tensor_split": [3, 1], "cpu_moe_layers": 2, "override_tensor": "exps=CPU",
        "mlock": True, "reasoning": "off", "chat_template_kwargs": {"effort": "low"},
        "temperature": 0.5, "top_k": 9,
    }  # fmt: skip
    params = engine.params(ModelJob("tiny", files, engine.options(given)))
    expert = r"blk\.{}\.ffn_(up|down|gate|gate_up)_(ch|)exps=CPU"
    chosen = {
        "n_gpu_layers": -2,
        "fit_params": False,
        "flash_attn_type": "LLAMA_FLASH_ATTN_TYPE_ENABLED",
        "cache_type_k": "GGML_TYPE_Q8_0",
        "split_mode": "LLAMA_SPLIT_MODE_ROW",
        "tensor_split": [3.0, 1.0],
        "tensor_buft_overrides": f"exps=CPU,{expert.format(0)},{expert.format(1)}",
        "load_mode": "LLAMA_LOAD_MODE_MMAP_MLOCK",
        "enable_reasoning": 0,
        "default_template_kwargs": {"effort": '"low"', "enable_thinking": "false"},
        "sampling.user_sampling_config": 64 + 2,
    }
    assert {name: params.get(name) for name in chosen} == chosen


def test_a_gpu_the_program_cannot_use_changes_nothing(
    gpu_machine: Machine, files: ModelFiles
) -> None:
    engine = wheel(gpu_machine, offloads=False)
    options = engine.options({})
    assert engine.params(ModelJob("tiny", files, options))["fit_params"] is False
    assert engine.predict(files, options).gpu_bytes == {}


def test_layers_for_a_gpu_the_program_cannot_use_are_refused(
    machine: Machine, gpu_machine: Machine
) -> None:
    with pytest.raises(EngineOptionError, match="gpu_layers"):
        wheel(gpu_machine, offloads=False).options({"gpu_layers": "all"})
    for allowed in ("auto", 0):
        assert wheel(gpu_machine).options({"gpu_layers": allowed}).gpu_layers == allowed
    # Where NVML sees no GPU there may still be another kind: llama.cpp decides.
    assert wheel(machine).options({"gpu_layers": "all"}).gpu_layers == "all"


def test_the_host_is_the_same_for_a_job_and_a_standby(
    machine: Machine, seat: Seat, files: ModelFiles
) -> None:
    engine = wheel(machine)
    launch = engine.command(seat, ModelJob("tiny", files, engine.options({})))
    assert launch == engine.command(seat, None)
    assert launch.argv == (sys.executable, "-I", "-S", str(HOST), "/site")
    assert launch.channel


def test_the_secret_is_in_a_file_of_our_own(
    machine: Machine, seat: Seat, files: ModelFiles
) -> None:
    engine = server(machine)
    launch = engine.command(seat, ModelJob("tiny", files, engine.options({})))
    keys = seat.directory / "keys"
    assert stat.S_IMODE(os.stat(keys).st_mode) == 0o600
    assert keys.read_text() == "the-secret\n"
    assert not any("the-secret" in word for word in launch.argv)


def test_llama_server_has_no_standby(machine: Machine, seat: Seat, files: ModelFiles) -> None:
    engine = server(machine)
    with pytest.raises(EngineStartError, match="without a model"):
        engine.command(seat, None)
    assert not engine.capabilities(files, engine.options({})).standby


def test_a_server_that_went_away_is_missed(
    tmp_path: Path, machine: Machine, seat: Seat, files: ModelFiles
) -> None:
    engine = ServerEngine(tmp_path / "gone", "1", machine, lambda: False)
    with pytest.raises(EngineMissingError, match="gone"):
        engine.command(seat, ModelJob("tiny", files, engine.options({})))


@pytest.mark.parametrize("name", ["device", "override_kv"])
def test_the_wheel_refuses_by_name_what_it_cannot_do(name: str, machine: Machine) -> None:
    with pytest.raises(EngineOptionError, match=name):
        wheel(machine).options({name: "x=int:1"})
    assert getattr(server(machine).options({name: "x=int:1"}), name) == "x=int:1"


def test_adapters_keep_their_scales(
    tmp_path: Path, machine: Machine, seat: Seat, files: ModelFiles
) -> None:
    first, second = tmp_path / "a.gguf", tmp_path / "b.gguf"
    first.touch()
    second.touch()
    engine = server(machine)
    given = {"lora": [str(first), {"path": str(second), "scale": 0.5}]}
    argv = engine.command(seat, ModelJob("tiny", files, engine.options(given))).argv
    assert argv[argv.index("--lora-scaled") + 1] == f"{first}:1.0,{second}:0.5"
    params = wheel(machine).params(ModelJob("tiny", files, engine.options(given)))
    assert params["lora_adapters"] == [
        {"path": str(first), "scale": 1.0},
        {"path": str(second), "scale": 0.5},
    ]


def test_llama_server_cannot_take_a_comma_in_an_adapters_path(
    tmp_path: Path, machine: Machine, files: ModelFiles
) -> None:
    odd = tmp_path / "a,b.gguf"
    odd.touch()
    with pytest.raises(EngineOptionError, match="comma"):
        server(machine).options({"lora": str(odd)})
    engine = wheel(machine)
    params = engine.params(ModelJob("tiny", files, engine.options({"lora": str(odd)})))
    assert params["lora_adapters"] == [{"path": str(odd), "scale": 1.0}]

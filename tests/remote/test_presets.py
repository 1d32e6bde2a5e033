"""Servers run by a command: their command lines word for word, and what they refuse."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from pilotlight.core import ModelFiles, ModelRef
from pilotlight.engines.base import ModelJob, Seat
from pilotlight.engines.presets import PRESETS, PresetEngine
from pilotlight.engines.presets.failure import meaning
from pilotlight.engines.presets.options import options_of
from pilotlight.engines.presets.pulse import samples
from pilotlight.errors import (
    ConfigError,
    EngineMissingError,
    EngineOptionError,
    EngineStartError,
)

SEAT = Seat(Path("/run/r1"), Path("/run/r1/e.sock"), "the-secret", 4321)
HERE = ModelFiles(ModelRef("file", "/models/m"), Path("/models/m"), 7 * 2**30)
OWN = ModelFiles(ModelRef("openai", "org/model"), Path("/dev/null"), 0)
PYTHON = sys.executable


def engine(name: str) -> PresetEngine:
    return PresetEngine(PRESETS[name])


def argv(name: str, files: ModelFiles = HERE, **given: Any) -> tuple[str, ...]:
    made = engine(name)
    launch = made.command(SEAT, ModelJob("served", files, made.options(given)))
    assert launch.tcp
    assert not launch.channel
    assert not any("the-secret" in word for word in launch.argv)
    return launch.argv


def test_sglang() -> None:
    fixed = (
        *(PYTHON, "-m", "sglang.launch_server", "--model-path", "/models/m"),
        *("--served-model-name", "served", "--host", "127.0.0.1", "--port", "4321"),
        "--enable-metrics",
    )
    program = [PYTHON, "-m", "sglang.launch_server"]
    assert argv("sglang", program=program) == (*fixed, "--max-running-requests", "16")
    assert argv(
        "sglang", program=program, context=8192, parallel=32, tensor_parallel=2, data_parallel=4,
        gpu_memory_fraction=0.8, quantization="fp8", dtype="bfloat16", cache_type="fp8_e5m2",
        args=["--tool-call-parser", "qwen25"],
    ) == (
        *fixed,
        *("--context-length", "8192", "--max-running-requests", "32"),
        *("--tensor-parallel-size", "2", "--data-parallel-size", "4"),
        *("--mem-fraction-static", "0.8", "--quantization", "fp8", "--dtype", "bfloat16"),
        *("--kv-cache-dtype", "fp8_e5m2", "--tool-call-parser", "qwen25"),
    )  # fmt: skip


def test_tensorrt_llm() -> None:
    program = f"{PYTHON} serve"
    assert argv("tensorrt-llm", OWN, program=program) == (
        *(PYTHON, "serve", "org/model", "--host", "127.0.0.1", "--port", "4321"),
        *("--max_batch_size", "16"),
    )
    assert argv(
        "tensorrt-llm", program=program, context=4096, parallel=8, tensor_parallel=2,
        pipeline_parallel=2, expert_parallel=4, gpu_memory_fraction=0.9, backend="pytorch",
    )[2:] == (
        *("/models/m", "--host", "127.0.0.1", "--port", "4321", "--max_seq_len", "4096"),
        *("--max_batch_size", "8", "--tp_size", "2", "--pp_size", "2", "--ep_size", "4"),
        *("--kv_cache_free_gpu_memory_fraction", "0.9", "--backend", "pytorch"),
    )  # fmt: skip


def test_tgi() -> None:
    made = engine("tgi")
    options = made.options({"program": PYTHON, "context": 4096, "tensor_parallel": 2,
                            "quantization": "awq", "dtype": "float16",
                            "gpu_memory_fraction": 0.9})  # fmt: skip
    launch = made.command(SEAT, ModelJob("served", HERE, options))
    assert launch.argv == (
        *(PYTHON, "--model-id", "/models/m", "--hostname", "127.0.0.1", "--port", "4321"),
        *("--shard-uds-path", "/run/r1/shard", "--max-total-tokens", "4096"),
        *("--max-concurrent-requests", "16", "--num-shard", "2", "--quantize", "awq"),
        *("--dtype", "float16", "--cuda-memory-fraction", "0.9"),
    )
    assert launch.env == {"API_KEY": "the-secret"}
    assert "the-secret" not in repr(launch)


def test_triton() -> None:
    given = {"program": [PYTHON, "main.py"], "tokenizer": "org/model", "model_name": "llama"}
    assert argv("triton", **given, backend="vllm") == (
        *(PYTHON, "main.py", "--model-repository", "/models/m", "--host", "127.0.0.1"),
        *("--openai-port", "4321", "--tokenizer", "org/model", "--backend", "vllm"),
    )
    made = engine("triton")
    assert made.capabilities(HERE, made.options(given)).model == "llama"
    for needed in ("tokenizer", "model_name"):
        with pytest.raises(EngineOptionError, match=needed):
            made.options({name: value for name, value in given.items() if name != needed})


def test_a_command_of_ones_own() -> None:
    made = engine("command")
    given = {
        "command": f"{PYTHON} serve.py --on {{port}} --weights {{model}} --as {{name}} "
        "--in {directory} --json '{\"a\": 1}'",
        "environment": {"SERVER_KEY": "{secret}", "PORT": "{port}", "THREADS": 2},
        "args": ["--quiet"],
    }
    launch = made.command(SEAT, ModelJob("served", HERE, made.options(given)))
    assert launch.argv == (
        *(PYTHON, "serve.py", "--on", "4321", "--weights", "/models/m", "--as", "served"),
        *("--in", "/run/r1", "--json", '{"a": 1}', "--quiet"),
    )
    assert launch.env == {"SERVER_KEY": "the-secret", "PORT": "4321", "THREADS": "2"}


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_one_that_runs_already_is_reached_and_not_started(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THE_KEY", "sk-1")
    made = engine(name)
    options = made.options({"endpoint": "http://gpu-box:9000/", "api_key_env": "THE_KEY"})
    job = ModelJob("served", OWN, options)
    launch = made.command(SEAT, job)
    assert launch.argv == ()
    assert launch.remote is not None
    assert launch.remote.url == "http://gpu-box:9000"
    assert launch.remote.headers == {"Authorization": "Bearer sk-1"}
    assert made.canary(job) == (PRESETS[name].ready, None)
    assert made.capabilities(OWN, options).model == "org/model"
    assert made.predict(OWN, options).ram_bytes == 0
    assert made.owns(OWN.ref)
    with pytest.raises(ConfigError, match="'file:/models/m'"):
        made.capabilities(HERE, options)


@pytest.mark.parametrize(
    ("name", "given", "says"),
    [
        ("sglang", {"tensor_paralel": 2}, "did you mean 'tensor_parallel'"),
        ("sglang", {"expert_parallel": 2}, "no option 'expert_parallel'"),
        ("sglang", {"command": "x"}, "no option 'command'"),
        ("tgi", {"parallel": "many"}, "'many'"),
        ("tgi", {"endpoint": "http://x", "quantization": "awq"}, "'quantization' is for a server"),
        ("tgi", {"args": ["{secret}"]}, "in braces only model"),
        ("jetstream", {}, "needs the option 'endpoint'"),
        ("jetstream", {"args": ["x"]}, "no option 'args'"),
        ("command", {}, "'command or endpoint'"),
        ("command", {"command": "serve {prot}"}, "in braces only model, name, port"),
        ("command", {"command": "serve --key {secret}"}, "in braces only"),
        ("command", {"command": []}, "a list of words"),
        ("command", {"command": "serve", "environment": {"A B": "c"}}, "variable names"),
        ("command", {"command": "serve", "environment": {"A": "{who}"}}, "variable names"),
        ("command", {"command": "serve", "counters": ["a b"]}, "metrics' names"),
        ("command", {"command": "serve", "operations": ["tokenize"]}, "a list of chat"),
    ],
)
def test_a_wrong_option_is_refused_by_name(name: str, given: dict[str, Any], says: str) -> None:
    with pytest.raises(EngineOptionError) as caught:
        engine(name).options(given)
    assert says in str(caught.value)


def test_a_refused_environment_is_not_repeated() -> None:
    """One wrong variable among those that hold keys."""
    with pytest.raises(EngineOptionError) as caught:
        engine("command").options({
            "command": "serve", "environment": {"HF_TOKEN": "hf-secret", "A B": "c"},
        })  # fmt: skip
    assert "'environment' is (hidden)" in str(caught.value)
    assert "hf-secret" not in str(caught.value)


def test_a_program_that_is_not_there() -> None:
    made = engine("tgi")
    with pytest.raises(EngineMissingError, match="'text-generation-launcher'") as caught:
        made.command(SEAT, ModelJob("m", HERE, made.options({})))
    assert "container image" in str(caught.value)


def test_no_standby_without_a_model() -> None:
    with pytest.raises(EngineStartError, match="can't wait"):
        engine("sglang").command(SEAT, None)


@pytest.mark.parametrize("preset", PRESETS.values(), ids=lambda preset: preset.name)
def test_every_preset_says_what_a_reader_needs(preset: Any) -> None:
    assert preset.source
    assert preset.install
    assert preset.ready.startswith("/")
    assert preset.tried_here == (preset.name == "command")
    assert set(preset.flags) <= options_of(preset)


def test_what_memory_it_takes_is_declared_or_its_weights() -> None:
    made = engine("sglang")
    assert made.predict(HERE, made.options({})).ram_bytes == 7 * 2**30
    declared = made.predict(HERE, made.options({"memory": "3GiB"}))
    assert (declared.ram_bytes, declared.source) == (3 * 2**30, "declared")


def test_counters_are_read_whatever_their_labels() -> None:
    text = (
        "# HELP t_total Tokens\n# TYPE t_total counter\n"
        't_total{model="a } b",x="1"} 8.5e+01 1700000000\n'
        "t_total 15\nt_total_created 7\nother{} 9\nt_total{} NaNo\n"
    )
    assert list(samples(text, {"t_total"})) == [85.0, 15.0]


def test_the_telling_lines_of_a_log() -> None:
    log = "INFO up | INFO loading | RuntimeError: CUDA out of memory | INFO bye"
    assert meaning(log) == "RuntimeError: CUDA out of memory"
    assert meaning("one | two") == "one | two"

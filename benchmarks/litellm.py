"""LiteLLM's proxy in front of the upstream, in an environment of its own."""

from __future__ import annotations

import contextlib
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml

from benchmarks.program import free_port, running
from benchmarks.upstream import Server

ENVIRONMENT = Path(__file__).parent / ".cache" / "litellm"


def install() -> Path:
    """The environment's bin directory; made on first use (about a minute), then kept."""
    binaries = ENVIRONMENT / "bin"
    if not (binaries / "litellm").exists():
        subprocess.run([sys.executable, "-m", "venv", str(ENVIRONMENT)], check=True)
        pip = [str(binaries / "python"), "-m", "pip", "install", "-q"]
        subprocess.run([*pip, "litellm[proxy]", "uvloop"], check=True)
    return binaries


def version() -> str:
    ask = "import importlib.metadata as m; print(m.version('litellm'))"
    python = str(ENVIRONMENT / "bin" / "python")
    return subprocess.run(
        [python, "-c", ask], check=True, capture_output=True, text=True
    ).stdout.strip()


@contextlib.contextmanager
def proxy(directory: Path, upstream: Server) -> Iterator[Server]:
    """One worker and a master key, quiet, as its documentation advises for production."""
    binaries, port, key = install(), free_port(), f"sk-{secrets.token_hex(16)}"
    config = directory / "litellm.yaml"
    config.write_text(yaml.safe_dump(_config(upstream.port, key)))
    argv = [
        str(binaries / "litellm"), "--config", str(config), "--host", "127.0.0.1",
        "--port", str(port), "--num_workers", "1", "--telemetry", "False",
    ]  # fmt: skip
    env = {
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # else it fetches prices on import
        "LITELLM_LOG": "ERROR",
        "LITELLM_MODE": "PRODUCTION",
        "PATH": f"{binaries}:/usr/bin:/bin",
    }
    with running(argv, directory / "litellm.log", env) as program:
        program.await_answer(port, "/health/liveliness")
        yield Server(program, port, key)


def _config(upstream_port: int, key: str) -> dict[str, object]:
    params = {
        "model": "openai/fake",
        "api_base": f"http://127.0.0.1:{upstream_port}/v1",
        "api_key": "unused",
    }
    return {
        "model_list": [{"model_name": "fake", "litellm_params": params}],
        "general_settings": {"master_key": key},
        "litellm_settings": {"set_verbose": False},
    }

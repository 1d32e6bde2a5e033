"""What the benchmark of a model elsewhere counts, and which command lines it refuses."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent.parent
RUN = {
    "seconds": 26.5,
    "phases": [
        {"name": "fetch", "start_ms": 0.0, "duration_ms": 22500.0},
        {"name": "process_start", "start_ms": 20.0, "duration_ms": 9000.0},
        {"name": "first_token", "start_ms": 26000.0, "duration_ms": 490.0},
    ],
}


@pytest.fixture
def remote_start(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT))
    return importlib.import_module("benchmarks.remote_start")


def test_other_engines_count_from_the_last_byte_without_a_goal(remote_start: ModuleType) -> None:
    figure = remote_start.figure("vllm", 270 * 10**6, 100, [RUN])
    assert figure.point == pytest.approx(4.0)
    assert figure.goal is None
    assert figure.name.startswith("vllm, 270 MB at 100 Mbit/s (21.6 s on the wire)")


def test_llamacpp_counts_from_what_the_wire_needs(remote_start: ModuleType) -> None:
    small = remote_start.figure("llamacpp", 270 * 10**6, 100, [RUN])
    assert (small.point, small.goal.bound) == (pytest.approx(26.5 - 21.6), 0.6)
    large = remote_start.figure("llamacpp", 320 * 10**6, 100, [RUN])
    assert (large.point, large.goal.bound) == (pytest.approx(26.5 / 25.6), 1.08)


def test_a_start_that_fetched_nothing_measures_nothing(remote_start: ModuleType) -> None:
    with pytest.raises(RuntimeError, match="nothing was fetched"):
        remote_start.after_last_byte_s({"seconds": 1.0, "phases": RUN["phases"][1:]})  # type: ignore[index]


def test_a_directory_counts_what_is_fetched_of_it(remote_start: ModuleType, tmp_path: Path) -> None:
    sizes = {"config.json": 10, "model.safetensors": 100, "pytorch_model.bin": 1000}
    for name, size_bytes in sizes.items():
        (tmp_path / name).write_bytes(bytes(size_bytes))
    remote = remote_start.Remote.of(tmp_path)
    assert (remote.size_bytes, remote.ref) == (110, "hf:models/checkpoint")


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["DIRECTORY"], "is no GGUF file"),
        (["--engine", "vllm"], "name a DIRECTORY"),
        (["FILE", "--engine", "vllm"], "is no directory"),
        (["DIRECTORY", "--engine", "vllm", "--prefer", "wheel"], "--prefer wheel"),
        (["DIRECTORY", "--engine", "vllm", "--option", "eager"], "'eager' is not NAME=VALUE"),
        (["DIRECTORY", "--engine", "vllm", "--option", "a=[1"], "'[1' of a is no YAML"),
    ],
)
def test_what_does_not_go_together_is_refused(tmp_path: Path, argv: list[str], said: str) -> None:
    (tmp_path / "model.gguf").touch()
    places = {"DIRECTORY": str(tmp_path), "FILE": str(tmp_path / "model.gguf")}
    given = [places.get(each, each) for each in argv]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.remote_start", *given],
        cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert said in done.stderr

"""The exact process and the exact order that loads a model, on a machine without and with GPUs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pilotlight.core import ModelFiles
from pilotlight.engines.base import ModelJob, Seat
from pilotlight.engines.transformers import TransformersEngine, launch
from pilotlight.engines.transformers.sizing import size
from pilotlight.errors import EngineMissingError, EngineStartError, ModelFormatError
from pilotlight.machine import Machine
from pilotlight.store.checkpoint import read_checkpoint

from . import checkpoints


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    directory = tmp_path / "engines"
    root = directory / "transformers" / "current"
    root.mkdir(parents=True)
    record = {"name": "transformers", "version": "5.19.0", "variant": "cpu", "digest": "d"}
    (root / "installed.json").write_text(json.dumps(record))
    return directory


@pytest.fixture
def seat(tmp_path: Path) -> Seat:
    return Seat(tmp_path / "seat", tmp_path / "seat" / "e.sock", "the-secret")


def order(engine: TransformersEngine, files: ModelFiles, **given: Any) -> Mapping[str, Any]:
    checkpoint, options = read_checkpoint(files.path), engine.options(given)
    return launch.order("tiny", checkpoint, options, size(options, checkpoint))


def test_the_process(installed: Path, machine: Machine, seat: Seat, tmp_path: Path) -> None:
    engine = TransformersEngine(installed, machine)
    made = engine.command(seat, None)
    python = installed / "transformers" / "current" / "bin" / "python"
    host = Path(launch.__file__).parent / "host" / "__main__.py"
    assert made.argv == (str(python), "-I", str(host))
    assert host.is_file()
    assert made.channel
    assert made.env["ENGINE_SECRET"] == "the-secret"
    assert made.env["HF_HUB_OFFLINE"] == "1"
    files = checkpoints.write(tmp_path / "model")
    assert engine.command(seat, ModelJob("m", files, engine.options({}))) == made
    assert engine.build == "transformers 5.19.0 (cpu)"


def test_a_missing_install_names_the_command(engine: TransformersEngine, seat: Seat) -> None:
    with pytest.raises(EngineMissingError) as caught:
        engine.command(seat, None)
    assert "pilotlight engines install transformers" in (caught.value.hint or "")
    assert "not installed" in engine.build


def test_the_order_on_a_processor(engine: TransformersEngine, tmp_path: Path) -> None:
    files = checkpoints.write(tmp_path / "model")
    assert order(engine, files, temperature=0.2, top_k=5) == {
        "name": "tiny", "path": str(files.path), "kind": "causal", "context": 4096, "parallel": 4,
        "threads": 2, "prefill": 512, "dtype": "auto", "device": "auto", "device_map": None,
        "attention": None, "quantization": None, "trust_remote_code": False, "pickled": False,
        "chat_template": None, "template_kwargs": {},
        "defaults": {"temperature": 0.2, "top_k": 5}, "embeds": False, "pooling": "last",
    }  # fmt: skip


def test_the_order_on_gpus(gpu_machine: Machine, tmp_path: Path) -> None:
    engine = TransformersEngine(tmp_path / "engines", gpu_machine)
    files = checkpoints.write(tmp_path / "model")
    made = order(
        engine, files, device_map="auto", quantization="bnb-4bit", context=99999,
        attn_implementation="flash_attention_2", dtype="bfloat16", trust_remote_code=True,
    )  # fmt: skip
    expected = {
        "context": 8192, "parallel": 16, "threads": 16, "prefill": 2048, "dtype": "bfloat16",
        "device": "auto", "device_map": "auto", "attention": "flash_attention_2",
        "quantization": "bnb-4bit", "trust_remote_code": True,
    }  # fmt: skip
    assert {name: made[name] for name in expected} == expected


def test_every_field_of_the_order_is_one_that_the_host_reads(
    engine: TransformersEngine, tmp_path: Path
) -> None:
    """Both sides are written down once; the host's can't be imported without torch."""
    source = (launch.HOST.parent / "loading.py").read_text()
    fields = source.split("class Job:")[1].split("@dataclass")[0]
    named = [line.split(":")[0].strip() for line in fields.splitlines() if line.startswith("    ")]
    made = order(engine, checkpoints.write(tmp_path / "model"))
    assert list(made) == [name for name in named if name.isidentifier()]


def test_pickled_weights_only_where_they_are_asked_for(
    engine: TransformersEngine, tmp_path: Path
) -> None:
    files = checkpoints.write(tmp_path / "model", pytorch_model__bin=b"pickled")
    assert order(engine, files)["pickled"] is False
    (files.path / "model.safetensors").unlink()
    with pytest.raises(ModelFormatError, match=r"pytorch_model\.bin") as caught:
        order(engine, files)
    assert "load_format: pt" in (caught.value.hint or "")
    assert order(engine, files, load_format="pt")["pickled"] is True
    safe = checkpoints.write(tmp_path / "safe")
    with pytest.raises(ModelFormatError, match="no pickled weights"):
        order(engine, safe, load_format="pt")


async def test_an_unreadable_directory_is_a_failed_start(
    engine: TransformersEngine, tmp_path: Path
) -> None:
    files = checkpoints.write(tmp_path / "model", config__json="{")
    with pytest.raises(EngineStartError, match="not JSON"):
        await engine.load(_Unused(), ModelJob("m", files, engine.options({})))  # type: ignore[arg-type]


class _Unused:
    """A process that nothing may be asked of."""


def test_an_install_whose_python_went_away(
    installed: Path, machine: Machine, seat: Seat, tmp_path: Path
) -> None:
    python = installed / "transformers" / "current" / "bin" / "python"
    python.parent.mkdir()
    python.symlink_to(tmp_path / "usr" / "python3.11")
    with pytest.raises(EngineMissingError, match="Python that 'transformers' was made with") as e:
        TransformersEngine(installed, machine).command(seat, None)
    assert e.value.hint == "run: pilotlight engines install transformers"

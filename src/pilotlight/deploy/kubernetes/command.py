"""What another project's image is told: the words that the same engine has on one machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pilotlight.config import model_entry
from pilotlight.core import ModelFiles, ModelRef
from pilotlight.deploy.instance_file import PORT
from pilotlight.deploy.kubernetes.cache import MODEL
from pilotlight.deploy.kubernetes.document import Body
from pilotlight.deploy.kubernetes.layout import Engine, Layout
from pilotlight.engines.base import ModelJob, Seat
from pilotlight.engines.presets import PRESETS, command_line
from pilotlight.engines.presets.options import complete
from pilotlight.engines.vllm import flags, options, sizing
from pilotlight.machine import Machine

# Where a model lies in the store isn't known before it is fetched: a link leads there.
FETCH = """\
import json, os, subprocess
told = subprocess.run(
    ["pilotlight", "pull", "--json", "--config", "/etc/pilotlight/fetch.yaml"],
    check=True, stdout=subprocess.PIPE,
)
[model] = json.loads(told.stdout)["models"]
link = "/run/model/current"
if os.path.lexists(link):
    os.unlink(link)
os.symlink(model["path"], link)
"""

_HOME = "/tmp/engine"

# Images of GPU engines run as root by default; without it they need a home, and a name that the
# password file doesn't have.
_ANYBODY = {
    "HOME": _HOME,
    "USER": "pilotlight",
    "LOGNAME": "pilotlight",
    "XDG_CACHE_HOME": f"{_HOME}/cache",
    "HF_HOME": f"{_HOME}/hf",
    "HF_HUB_OFFLINE": "1",
    "TRITON_CACHE_DIR": f"{_HOME}/triton",
    "TORCHINDUCTOR_CACHE_DIR": f"{_HOME}/inductor",
}
_VLLM = {
    "VLLM_CACHE_ROOT": f"{_HOME}/vllm",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
}


def served_name(engine: Engine) -> str:
    """What the server itself calls the model."""
    return str(engine.options.get("model_name") or engine.model)


def degree(given: Any) -> int | None:
    """Of parallelism, as an option says; None where it is no number, which `argv` refuses."""
    try:
        return int(given)
    except (TypeError, ValueError, OverflowError):
        return None


def argv(layout: Layout, engine: Engine) -> tuple[str, ...]:
    """Raises EngineOptionError: the model's options aren't those of its engine."""
    if engine.image.command:
        return engine.image.command
    if engine.kind == "vllm":
        return _vllm(layout, engine)
    preset = PRESETS[engine.kind]
    given = {"parallel": layout.release.scaling.concurrency, **engine.options}
    gpus = layout.release.size.gpus
    if gpus > 1 and "tensor_parallel" in preset.flags and "tensor_parallel" not in given:
        given["tensor_parallel"] = gpus // (degree(given.get("pipeline_parallel")) or 1)
    seat = Seat(Path(_HOME), Path(_HOME, "unused"), secret="", port=engine.image.port)
    return command_line.argv(preset, seat, _job(engine, complete(preset, given)))


def _job(engine: Engine, completed: Any) -> ModelJob:
    ref = ModelRef.parse(str(model_entry(engine.entry)["ref"]))
    return ModelJob(engine.model, ModelFiles(ref, Path(MODEL), 0), completed)


def _vllm(layout: Layout, engine: Engine) -> tuple[str, ...]:
    size, scaling = layout.release.size, layout.release.scaling
    here = Machine("", max(1, int(size.vcpus)), size.memory_bytes, (), frozenset())
    # A pod that sleeps still has its GPU; one that nobody asks is let go instead.
    given = {"max_num_seqs": scaling.concurrency, **engine.options, "sleep_level": 0}
    if size.gpus > 1 and "tensor_parallel_size" not in given:
        stages = degree(given.get("pipeline_parallel_size")) or 1
        given["tensor_parallel_size"] = size.gpus // stages
    chosen = options.complete(given, here, size.gpu is not None)
    sized = sizing.Sizing(None, chosen.max_model_len, chosen.kv_cache_memory_bytes)
    return (
        "vllm", "serve", MODEL, "--served-model-name", engine.model,
        "--host", "0.0.0.0", "--port", str(PORT),
        *flags.flags(chosen, sized, gpu=size.gpu is not None),
    )  # fmt: skip


def environment(layout: Layout, engine: Engine) -> list[Body]:
    values = dict(_ANYBODY)
    if engine.kind == "vllm":
        values |= {**_VLLM, **dict(engine.options.get("env") or {})}
    else:
        values |= dict(engine.options.get("environment") or {})
    made: list[Body] = [{"name": name, "value": str(text)} for name, text in values.items()]
    if not engine.image.guarded:
        reference = {"name": layout.engine_secret, "key": "key"}
        made.append({"name": "VLLM_API_KEY", "valueFrom": {"secretKeyRef": reference}})
    return made

"""llama.cpp's own word on a file's memory: ``llama-fit-params``, where it is installed.

It plans a load without allocating anything and tells weights, cache and working memory by
device. What only a server adds stays the formula's: copies of weights (it leaves them out of its
sum, so they are switched off), fewer rows of logits than it plans for, the tokenizer, the process.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pilotlight.core import Footprint
from pilotlight.engines.llamacpp import memory, offload
from pilotlight.engines.llamacpp.options import Options
from pilotlight.engines.llamacpp.sizing import header_of, size
from pilotlight.errors import EngineCrashedError

NAME = "llama-fit-params"
HOST = "Host"
MIB = 2**20
TIMEOUT_S = 20.0

_LINE = re.compile(r"^(\S+) (\d+) (\d+) (\d+) *$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Told:
    """Bytes on one device, rounded down to whole MiB."""

    weights: int
    cache: int
    compute: int


def find(server: Path | None) -> Path | None:
    """The tool beside `server`, which is of the same llama.cpp; else the one on PATH."""
    beside = server.with_name(NAME) if server else None
    if beside is not None and beside.is_file():
        return beside
    found = shutil.which(NAME)
    return Path(found) if found else None


def ask(tool: Path, path: Path, options: Options) -> Mapping[str, Told]:
    """What the model at `path` takes by device. Runs `tool` for a fraction of a second.

    Raises:
        EngineCrashedError: it fails, takes too long or says nothing that can be read.
    """
    command = (str(tool), "--model", str(path), *_flags(path, options))
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EngineCrashedError(f"{str(tool)!r} can't be asked: {error}") from error
    told = parse(done.stdout)
    if done.returncode or HOST not in told:
        words = (done.stderr or done.stdout).strip().splitlines()
        raise EngineCrashedError(
            f"{str(tool)!r} ended with {done.returncode} and no answer: {' '.join(words[-1:])}"
        )
    return told


def _flags(path: Path, options: Options) -> Sequence[str]:
    sizing = size(options, header_of(path))
    flags = [
        "--fit-print", "on", "--offline", "--no-repack", "--ctx-size", str(sizing.n_ctx),
        "--parallel", str(sizing.slots), "--ubatch-size", str(sizing.ubatch),
        "--batch-size", str(sizing.batch),
    ]  # fmt: skip
    given = {
        "--gpu-layers": options.gpu_layers, "--cache-type-k": options.cache_type_k,
        "--cache-type-v": options.cache_type_v, "--flash-attn": options.flash_attention,
        "--split-mode": options.split_mode, "--device": options.device,
    }  # fmt: skip
    for flag, value in given.items():
        flags += [flag, str(value)] if value is not None else []
    return flags


def parse(text: str) -> Mapping[str, Told]:
    """By device, from lines of a name and three numbers of MiB."""
    return {
        name: Told(*(int(count) * MIB for count in counts)) for name, *counts in _LINE.findall(text)
    }


def footprint(tool: Path, path: Path, options: Options, host: memory.Host) -> Footprint:
    """`memory.predict`, with the weights and the cache as the tool tells them.

    Raises:
        EngineCrashedError: the tool gives no answer.
    """
    told = ask(tool, path, options)
    formula = memory.predict(header_of(path), options, host)
    own = told[HOST]
    weights = memory.resident_weights(header_of(path), options, host)
    copies = weights - header_of(path).weights_bytes if not host.gpus else 0
    parts = {
        **{name: count for name, count in formula.parts.items() if name != "offloaded"},
        "weights": own.weights + copies,
        "kv": own.cache,
    }
    parts = {name: count for name, count in parts.items() if count}
    compute = formula.parts.get("compute", 0)
    return Footprint(
        ram_bytes=sum(parts.values()),
        gpu_bytes={
            name: each.weights + each.cache + compute + offload.CONTEXT_BYTES
            for name, each in told.items()
            if name != HOST and each.weights
        },
        source="engine",
        parts=parts,
    )

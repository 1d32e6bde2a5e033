"""The host process for one model: its environment, and the order that loads it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pilotlight.engines.base import Seat
from pilotlight.engines.transformers.options import SILENT, Options
from pilotlight.engines.transformers.sizing import Sizing
from pilotlight.store.checkpoint import Checkpoint

HOST = Path(__file__).parent / "host" / "__main__.py"

QUIET: Mapping[str, str] = {
    # A model is a directory here: nothing is looked up, fetched or told anywhere.
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    # The tokenizer's threads would take the cores that compute.
    "TOKENIZERS_PARALLELISM": "false",
    # Else idle threads spin between two steps.
    "OMP_WAIT_POLICY": "PASSIVE",
}


def argv(python: Path) -> tuple[str, ...]:
    """Isolated: neither the caller's directory nor its variables choose what is imported."""
    return (str(python), "-I", str(HOST))


def env(seat: Seat) -> dict[str, str]:
    return {
        **QUIET,
        "ENGINE_SOCKET": str(seat.socket),
        "ENGINE_SECRET": seat.secret,
        "HF_MODULES_CACHE": str(seat.directory / "modules"),
    }


def order(name: str, checkpoint: Checkpoint, options: Options, sizing: Sizing) -> dict[str, Any]:
    """What host/loading.py reads as its `Job`, field by field."""
    return {
        "name": name,
        "path": str(checkpoint.directory),
        "kind": checkpoint.kind,
        "context": sizing.context,
        "parallel": options.parallel,
        "threads": options.threads,
        "prefill": options.prefill_chunk,
        "dtype": options.dtype,
        "device": options.device,
        "device_map": options.device_map,
        "attention": options.attn_implementation,
        "quantization": options.quantization,
        "trust_remote_code": options.trust_remote_code,
        "pickled": options.load_format == "pt",
        "chat_template": options.template,
        "template_kwargs": dict(options.chat_template_kwargs or {}),
        "defaults": {
            name: value for name in SILENT if (value := getattr(options, name)) is not None
        },
        "embeds": sizing.embeds,
        "pooling": sizing.pooling,
    }

"""Why vLLM didn't start: the one line of its log that says it, out of two or three tracebacks."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pilotlight.engines.base import EngineProcess
from pilotlight.errors import EngineStartError

# "(EngineCore pid=123) ERROR 11-20 07:22:21 [core.py:1510] ValueError: …"
_PREFIX = re.compile(r"^\(\w[\w-]* pid=\d+\) ")
_STAMP = re.compile(r"^(?:ERROR|CRITICAL) \d\d-\d\d \d\d:\d\d:\d\d \[[^\]]+\] ?")
_RAISED = re.compile(r"^(?:\w+\.)*(\w+(?:Error|Exception|Interrupt)): (.+)$")
_USAGE = re.compile(r"^\S+\.py: error: (.+)$")
_INVALID = re.compile(r"^\d+ validation errors? for \w+$")
_VALUE = re.compile(r"^(?:Value|Assertion) error, (.+)$")
_DETAILS = re.compile(r"\s*\[type=.*$")
_ECHOES = ("Engine core initialization failed", "WorkerProc initialization failed")

_LOG_LINES = 400
_LONGEST = 400


def meaning(log: str) -> str:
    """The first cause; what follows it are vLLM's processes telling each other.

    `log` is what `EngineProcess.last_words` gave: lines joined by `` | ``.
    """
    lines = [_bare(line) for line in log.split(" | ")]
    causes = [cause for cause in _causes(lines) if not cause.startswith(_ECHOES)]
    words = causes[0] if causes else next((line for line in reversed(lines) if line), "")
    return words if len(words) <= _LONGEST else words[: _LONGEST - 1] + "…"


def _bare(line: str) -> str:
    return _STAMP.sub("", _PREFIX.sub("", line.strip())).strip()


def _causes(lines: list[str]) -> Iterator[str]:
    for line, after in zip(lines, [*lines[1:], ""], strict=True):
        if used := _USAGE.match(line):
            yield used[1]
        elif raised := _RAISED.match(line):
            told = raised[2].strip()
            value = _VALUE.match(after) if _INVALID.match(told) else None
            yield _DETAILS.sub("", value[1]) if value else _named(raised[1], told)


def _named(kind: str, told: str) -> str:
    """A ValueError says it all; a KeyError or OSError needs its name."""
    return told if kind in ("ValueError", "RuntimeError", "ValidationError") else f"{kind}: {told}"


def start_error(process: EngineProcess, name: str, how: str) -> EngineStartError:
    """The error for a start of `name` that ended with `how`."""
    words = meaning(process.last_words(_LOG_LINES))
    return EngineStartError(
        f"the model {name!r} failed to load",
        last_words=" | ".join(filter(None, (words, how))),
        hint=hint_for(f"{words} {how}"),
    )


_SMALLER = "lower the options max_model_len, max_num_seqs or kv_cache_memory_bytes"
_HINTS = (
    ("larger than the available KV cache memory", "lower max_model_len, or raise the cache's size"),
    (
        "No available memory for the cache blocks",
        "raise gpu_memory_utilization, or take a GPU more",
    ),
    ("requested memory for kv", "lower kv_cache_memory_bytes or max_model_len"),
    ("desired GPU memory utilization", "lower gpu_memory_utilization, or free the GPU's memory"),
    ("desired CPU memory utilization", "set kv_cache_memory_bytes instead of the utilization"),
    ("out of memory", _SMALLER),
    ("OutOfMemoryError", _SMALLER),
    ("Cannot allocate memory", _SMALLER),
    ("MemoryError", _SMALLER),
    ("derived max_model_len", "lower max_model_len to what the model was made for"),
    ("tool call parser", "correct the option tool_call_parser"),
    ("reasoning parser", "correct the option reasoning_parser"),
    ("does not recognize this architecture", "this vLLM is too old for the model: update it"),
    ("are not supported for now", "this vLLM doesn't run the model: try the transformers engine"),
    ("config file for", "the weights aren't quantized so: drop the option quantization"),
    ("Safetensor", "a file of weights is cut or damaged: fetch the model again"),
    ("Address already in use", "something else has the address: try again"),
    ("No CUDA GPUs are available", "no GPU is free, or the driver doesn't answer: nvidia-smi"),
    ("ModuleNotFoundError", "install it again: pilotlight engines install vllm --force"),
    ("ImportError", "install it again: pilotlight engines install vllm --force"),
    ("SIGKILL", f"the kernel may have ended it for want of memory: {_SMALLER}"),
)


def hint_for(words: str) -> str | None:
    return next((hint for sign, hint in _HINTS if sign in words), None)

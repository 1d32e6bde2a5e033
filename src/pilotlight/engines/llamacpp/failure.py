"""Why llama.cpp didn't start: the lines of its log that say it, without the noise around them."""

from __future__ import annotations

import asyncio
import re

from pilotlight.engines.base import EngineProcess
from pilotlight.errors import EngineStartError

# "0.00.053.907 E llama_model_load: error loading model: …"
_ERROR = re.compile(r"^\d+\.\d+\.\d+\.\d+ E (?:\w{3,4} +\S*: )?(.+)$")
_PLAIN = re.compile(r"GGML_ASSERT|terminate called|what\(\):|^error[: ]|bad_alloc|Error: |abort")
_GENERIC = (
    "failed to load model", "llama_model_load_from_file_impl: failed to load model",
    "exiting due to", "failed to create context", "failed to create_context",
    "encountered an error while trying to fit",
)  # fmt: skip
_LOG_LINES = 60
_LOG_WAIT_S = 0.2


def meaning(log: str, keep: int = 2) -> str:
    """The first lines that name the cause; the causes come first and the echoes after.

    `log` is what `EngineProcess.last_words` gave: lines joined by `` | ``.
    """
    lines = [line.strip() for line in log.replace(" | ", "\n").splitlines() if line.strip()]
    telling = [_telling(line) for line in lines]
    causes = list(dict.fromkeys(line for line in telling if line and not _is_generic(line)))
    return " | ".join(causes[:keep] or [line for line in telling if line][:1] or lines[-1:])


def _telling(line: str) -> str | None:
    if match := _ERROR.match(line):
        return match[1].strip()
    return line if _PLAIN.search(line) else None


def _is_generic(line: str) -> bool:
    return line.startswith(_GENERIC) or any(f": {words}" in line for words in _GENERIC[2:])


async def start_error(process: EngineProcess, name: str, how: str) -> EngineStartError:
    """The error for a load of `name` that ended with `how`.

    The engine logs from a thread of its own, so the cause may reach the file a
    moment after the failure is known.
    """
    clock = asyncio.get_running_loop().time
    deadline_s = clock() + _LOG_WAIT_S
    log = process.last_words(_LOG_LINES)
    while not _CAUSE.search(log) and clock() < deadline_s:
        await asyncio.sleep(0.01)
        log = process.last_words(_LOG_LINES)
    words = meaning(log) if _CAUSE.search(log) else ""
    return EngineStartError(
        f"the model {name!r} failed to load",
        last_words=" | ".join(filter(None, (words, how))),
        hint=_hint(words or how),
    )


_CAUSE = re.compile(rf"\d\.\d+ E |{_PLAIN.pattern}")

_AGAIN = "the wheel doesn't suit this Python: pip install --force-reinstall 'pilotlight[llamacpp]'"
_SMALLER = "lower the options context or parallel, or take a smaller quantization"
_HINTS = (
    ("lora adapter", "an adapter's file is gone or has changed since it was checked: add it again"),
    ("ModuleNotFoundError", _AGAIN),
    ("ImportError", _AGAIN),
    ("unknown model architecture", "this llama.cpp is too old for the model: update it"),
    ("invalid magic", "the file is no GGUF: convert the model, or take its GGUF release"),
    ("corrupted or incomplete", "the file is cut or damaged: fetch it again"),
    ("failed to allocate", _SMALLER),
    ("insufficient memory", _SMALLER),
    ("out of memory", _SMALLER),
    ("bad_alloc", _SMALLER),
    ("SIGKILL", f"the kernel may have ended it for want of memory: {_SMALLER}"),
)


def _hint(words: str) -> str | None:
    return next((hint for sign, hint in _HINTS if sign in words), None)

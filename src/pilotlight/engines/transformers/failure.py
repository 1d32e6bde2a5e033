"""Why a load failed, in few words and with the next step."""

from __future__ import annotations

from pilotlight.errors import EngineStartError

_SMALLER = "lower the options context or parallel, or take a smaller model"
_HINTS = (
    ("does not recognize this architecture", "this transformers is too old for the model: "
     "pilotlight engines install transformers --force"),
    ("trust_remote_code", "the model comes with Python code of its own: read it, then set the "
     "option trust_remote_code: true if you trust it"),
    ("lacks weights", "the directory is not whole: fetch the model again"),
    ("Torch not compiled with CUDA", "the installed build can't use a GPU: "
     "pilotlight engines install transformers --force"),
    ("accelerate", "run: pilotlight engines install transformers --force"),
    ("bitsandbytes", "drop the option quantization, or install the engine on a machine with a GPU"),
    ("out of memory", _SMALLER),
    ("can't allocate", _SMALLER),
    ("SIGKILL", f"the kernel may have ended it for want of memory: {_SMALLER}"),
    ("ModuleNotFoundError", "its environment is broken: "
     "pilotlight engines install transformers --force"),
    ("HeaderTooLarge", "a file of weights is cut or damaged: fetch the model again"),
    ("incomplete metadata", "a file of weights is cut or damaged: fetch the model again"),
)  # fmt: skip
_MOST = 600
"""transformers explains itself at length; its first lines say it."""


def start_error(name: str, words: str) -> EngineStartError:
    shown = " ".join(words[:_MOST].split())
    hint = next((hint for sign, hint in _HINTS if sign in words), None)
    return EngineStartError(f"the model {name!r} failed to load", last_words=shown, hint=hint)

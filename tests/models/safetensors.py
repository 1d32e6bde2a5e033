"""The tests' one chat model in the form that vLLM and transformers read.

The same weights that llama.cpp runs, so that answers of the three can be compared:
dequantized from the GGUF, never fetched a second time.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

_PROGRAM = Path(__file__).parent / "dequantize.py"


def directory(gguf: Path, kept: Path, python: Path, dtype: str = "BF16") -> Path:
    """A directory under `kept` with config.json, the tokenizer and model.safetensors.

    `python` is an interpreter with numpy, such as an engine environment's. Made once; a
    second caller at the same moment finds the whole directory or makes its own.
    """
    target = kept / f"{gguf.stem}-{dtype}"
    if target.is_dir():
        return target
    kept.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f"{target.name}-", dir=kept))
    # Isolated: this file's own name is that of a package which numpy's neighbours import.
    subprocess.run([python, "-I", _PROGRAM, gguf, partial, dtype], check=True)
    try:
        os.rename(partial, target)
    except OSError:
        shutil.rmtree(partial)
    return target

"""A GGUF with every weight as F32, all else as it was: python widen_gguf.py DEQUANTIZE IN OUT.

llama.cpp rounds activations to 8 bits where it multiplies quantized weights; on these it doesn't,
and the values are the same. A program for an interpreter that has numpy.
"""

from __future__ import annotations

import importlib.util
import struct
import sys
from pathlib import Path
from typing import Any, BinaryIO

F32 = 0
ALIGNMENT = 32


def reader(program: str) -> Any:
    """The class that reads a GGUF, from the program beside the tests' models."""
    spec = importlib.util.spec_from_file_location("dequantize", program)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Gguf


def metadata_end(gguf: Any, file: BinaryIO) -> int:
    """Read once more, by the reader's own steps: where the first tensor is described."""
    file.seek(0)
    pairs = struct.unpack("<4sIQQ", file.read(24))[3]
    gguf._file = file
    for _ in range(pairs):
        gguf._text()
        gguf._value(gguf._number("I"))
    return file.tell()


def write(program: str, source: Path, target: Path) -> None:
    with source.open("rb") as file:
        gguf = reader(program)(file)
        end = metadata_end(gguf, file)
        file.seek(0)
        head = file.read(end)
        infos, at = b"", 0
        for name in gguf.names:
            weights = gguf.weights(name)
            text = name.encode()
            infos += struct.pack("<Q", len(text)) + text + struct.pack("<I", weights.ndim)
            infos += struct.pack(f"<{weights.ndim}Q", *weights.shape[::-1])
            infos += struct.pack("<IQ", F32, at)
            at += -(-4 * weights.size // ALIGNMENT) * ALIGNMENT
        with target.open("wb") as out:
            out.write(head + infos)
            for name in gguf.names:
                out.write(bytes(-out.tell() % ALIGNMENT))
                out.write(gguf.weights(name).astype("<f4").tobytes())


if __name__ == "__main__":
    write(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))

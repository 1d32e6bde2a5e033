"""The same weights with fewer bits: what a harsher quantization does, in no time.

A Q4_1 block is 20 bytes: two F16 factors, then 32 values of four bits. Here each value is rounded
to an even one, up as often as down, so that three bits are left of it; only those that end a layer,
for a model this small falls apart if all are.
"""

from __future__ import annotations

from pathlib import Path

from pilotlight.store.gguf import read_header

BLOCK_BYTES = 20
FACTOR_BYTES = 4
EVEN = (0, 0, 2, 4, 4, 4, 6, 8, 8, 8, 10, 12, 12, 12, 14, 14)
COARSER = bytes(EVEN[byte >> 4] << 4 | EVEN[byte & 15] for byte in range(256))


def write_coarsened(source: Path, target: Path) -> None:
    header = read_header(source)
    data = bytearray(source.read_bytes())
    for tensor in header.tensors:
        if tensor.type_name != "Q4_1" or "ffn_down" not in tensor.name:
            continue
        start = header.data_offset + tensor.offset
        end = start + tensor.size_bytes
        for at in range(FACTOR_BYTES, BLOCK_BYTES):
            values = slice(start + at, end, BLOCK_BYTES)
            data[values] = data[values].translate(COARSER)
    target.write_bytes(data)

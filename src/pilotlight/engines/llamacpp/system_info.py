"""What a build of llama.cpp was compiled for, from its own words."""

from __future__ import annotations

import re

from pilotlight.machine import NOTABLE

# llama.cpp's names for what /proc/cpuinfo calls otherwise; the others differ by case alone.
_RENAMED = {
    "avx512": ("avx512f", "avx512bw"),
    "avx512_vbmi": ("avx512vbmi",),
    "neon": ("asimd",),
    "dotprod": ("asimddp",),
    "matmul_int8": ("i8mm",),
}


def instruction_sets(system_info: str) -> frozenset[str]:
    """``CPU : AVX2 = 1 | AVX512 = 1 | …`` → the kernel's names of what is compiled in."""
    names = [name.lower() for name in re.findall(r"(\w+) = [1-9]", system_info)]
    said = {kernel for name in names for kernel in _RENAMED.get(name, (name,))}
    return frozenset(said & set(NOTABLE))  # it says other things in the same form

"""Which of llama.cpp's builds for processors runs on this one.

A llama-server with several of them loads the best by itself, when it starts: each library says
how much of this processor it uses, and the most wins (ggml-backend-reg.cpp). This is the same
choice made from /proc/cpuinfo, so that the log can name it without starting anything.
"""

from __future__ import annotations

import platform
import shutil
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

PREFIX, SUFFIX = "libggml-cpu-", ".so"
CPUINFO = Path("/proc/cpuinfo")

_FEATURES: Mapping[str, tuple[int, tuple[str, ...]]] = {
    "FMA": (1, ("fma",)),
    "F16C": (1 << 1, ("f16c",)),
    "SSE42": (1 << 2, ("sse4_2",)),
    "BMI2": (1 << 3, ("bmi2",)),
    "AVX": (1 << 4, ("avx",)),
    "AVX2": (1 << 5, ("avx2",)),
    "AVX_VNNI": (1 << 6, ("avx_vnni",)),
    "AVX512": (1 << 7, ("avx512f", "avx512cd", "avx512vl", "avx512dq", "avx512bw")),
    "AVX512_VBMI": (1 << 8, ("avx512vbmi",)),
    "AVX512_BF16": (1 << 9, ("avx512_bf16",)),
    "AVX512_VNNI": (1 << 10, ("avx512_vnni",)),
    "AMX": (1 << 11, ("amx_int8",)),
    "DOTPROD": (1 << 1, ("asimddp",)),
    "FP16": (1 << 2, ("asimdhp",)),
    "SVE": (1 << 3, ("sve",)),
    "I8MM": (1 << 4, ("i8mm",)),
    "SVE2": (1 << 5, ("sve2",)),
    "SME": (1 << 6, ("sme",)),
}
"""llama.cpp's weight of a feature, and what the kernel calls the flags that make it up
(ggml-cpu/arch/*/cpu-feats.cpp)."""

_SANDYBRIDGE = ("SSE42", "AVX")
_HASWELL = (*_SANDYBRIDGE, "F16C", "FMA", "AVX2", "BMI2")
_SKYLAKE = (*_HASWELL, "AVX512")
_ICELAKE = (*_SKYLAKE, "AVX512_VBMI", "AVX512_VNNI")
_ARM82 = ("DOTPROD", "FP16")

VARIANTS: Mapping[str, tuple[str, ...]] = {
    "x64": (),
    "sse42": ("SSE42",),
    "sandybridge": _SANDYBRIDGE,
    "ivybridge": (*_SANDYBRIDGE, "F16C"),
    "piledriver": (*_SANDYBRIDGE, "F16C", "FMA"),
    "haswell": _HASWELL,
    "skylakex": _SKYLAKE,
    "cannonlake": (*_SKYLAKE, "AVX512_VBMI"),
    "cascadelake": (*_SKYLAKE, "AVX512_VNNI"),
    "icelake": _ICELAKE,
    "cooperlake": (*_SKYLAKE, "AVX512_VNNI", "AVX512_BF16"),
    "zen4": (*_ICELAKE, "AVX512_BF16"),
    "alderlake": (*_HASWELL, "AVX_VNNI"),
    "sapphirerapids": (*_ICELAKE, "AVX512_BF16", "AMX"),
    "armv8.0_1": (),
    "armv8.2_1": ("DOTPROD",),
    "armv8.2_2": _ARM82,
    "armv8.2_3": (*_ARM82, "SVE"),
    "armv8.6_1": (*_ARM82, "SVE", "I8MM"),
    "armv8.6_2": (*_ARM82, "SVE", "I8MM", "SVE2"),
    "armv9.2_1": (*_ARM82, "SVE", "I8MM", "SME"),
    "armv9.2_2": (*_ARM82, "SVE", "I8MM", "SVE2", "SME"),
}
"""llama.cpp's names, and the features that each needs (ggml/src/CMakeLists.txt)."""


@dataclass(frozen=True, slots=True)
class Processor:
    """What runs llama.cpp here; `variant` is None where there is nothing to choose from."""

    cpu: str
    flags: frozenset[str]
    variants: tuple[str, ...]
    variant: str | None

    @property
    def sentence(self) -> str:
        if not self.variants:
            return f"llama.cpp has one build for all processors here, and this is {self.cpu}"
        if self.variant is None:
            return f"none of llama.cpp's builds ({', '.join(self.variants)}) runs on {self.cpu}"
        best = f"llama.cpp's build for {self.variant}"
        return f"{best} is the best of {len(self.variants)} on {self.cpu}"


def score(variant: str, flags: Collection[str]) -> int:
    """How much of the processor it uses; 0 where it needs more than there is."""
    features = [_FEATURES[name] for name in VARIANTS[variant]]
    if not all(flag in flags for _, needed in features for flag in needed):
        return 0
    return 1 + sum(weight for weight, _ in features)


def choose(variants: Iterable[str], flags: Collection[str]) -> str | None:
    """The one that llama.cpp loads; None where none runs. Those unknown here are left out."""
    scored = {name: score(name, flags) for name in variants if name in VARIANTS}
    best = max(scored, key=lambda name: scored[name], default=None)
    return best if best is not None and scored[best] else None


def variants_beside(server: Path) -> tuple[str, ...]:
    """The builds that a llama-server finds where it lies."""
    found = server.resolve().parent.glob(f"{PREFIX}*{SUFFIX}")
    return tuple(sorted(path.name.removeprefix(PREFIX).removesuffix(SUFFIX) for path in found))


def here(configured: Path | None) -> Processor:
    """Of this machine, for the llama-server that is configured or on PATH. Reads files only."""
    name, flags = read_cpuinfo(_text())
    on_path = shutil.which("llama-server")
    server = configured or (Path(on_path) if on_path else None)
    variants = variants_beside(server) if server else ()
    return Processor(name, flags, variants, choose(variants, flags))


def read_cpuinfo(text: str) -> tuple[str, frozenset[str]]:
    """Name and flags of the first processor; arm64 says neither by x86's words."""
    rows = (line.partition(":") for line in text.splitlines())
    first: dict[str, str] = {}
    for key, _, value in rows:
        first.setdefault(key.strip(), value.strip())
    flags = first.get("flags") or first.get("Features") or ""
    return first.get("model name") or platform.machine(), frozenset(flags.split())


def _text() -> str:
    try:
        return CPUINFO.read_text()
    except OSError:
        return ""

"""This machine's processor as a plan's device, as far as it can be told without measuring."""

from __future__ import annotations

from collections.abc import Collection

from pilotlight.machine import Machine
from pilotlight.planner.device import CORE_BYTES_S, Device

NAME = "here"

_INSTRUCTIONS = (
    ("amx_int8", "amx"),
    ("avx512_vnni", "avx512-vnni"),
    ("avx512f", "avx512"),
    ("avx2", "avx2"),
    ("i8mm", "neon-i8mm"),
    ("asimd", "neon"),
)
"""The system's words and the catalog's, the widest first."""

_WHEEL = "xllamacpp"
"""Compiled for any processor of the last ten years, whatever this one has."""


def device_of(machine: Machine, build: str) -> Device:
    """For a `build` of llama.cpp, which may not use all that the processor has."""
    used = "avx2" if build.startswith(_WHEEL) and "avx2" in machine.instruction_sets else None
    return Device(
        name=NAME,
        kind="cpu",
        memory_bytes=machine.ram_bytes,
        bandwidth_bytes_s=machine.cores * CORE_BYTES_S,
        cores=machine.cores,
        instructions=used or _widest(machine.instruction_sets),
    )


def _widest(has: Collection[str]) -> str | None:
    return next((word for flag, word in _INSTRUCTIONS if flag in has), None)

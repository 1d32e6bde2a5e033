"""The hub's official client against the tests' hub, and its cache as it leaves it.

What the client accepts is the protocol, so the hub of the other tests is held to it here.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pilotlight.core import ModelRef
from pilotlight.store.sources.registry import Sources
from sources.hub_server import HubServer, Repository
from sources.reading import Describe

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("huggingface_hub") is None,
    reason="the hub's official client, huggingface_hub, isn't installed",
)

LARGE = b"weights!" * 1024
CHECKPOINT = {
    "config.json": b"{}",
    "tokenizer.json": b"{}",
    "model-00001-of-00002.safetensors": LARGE,
    "model-00002-of-00002.safetensors": LARGE + b"2",
}
DOWNLOAD = """
import sys
from huggingface_hub import hf_hub_download, snapshot_download
repository, revision, *files = sys.argv[1:]
for file in files:
    hf_hub_download(repository, file, revision=revision)
if not files:
    snapshot_download(repository, revision=revision)
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


async def download(hub: HubServer, home: Path, *arguments: str, token: str = "") -> tuple[int, str]:
    environ = {
        **os.environ,
        "HF_ENDPOINT": hub.origin,
        "HF_HOME": str(home),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        **({"HF_TOKEN": token} if token else {}),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", DOWNLOAD, *arguments,
        env=environ, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, said = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()


def local(sources: Callable[..., Sources], text: str) -> Path | None:
    ref = ModelRef.parse(text)
    return sources().get(ref).local(ref)


async def test_the_client_and_we_see_one_hub(
    hub: HubServer, home: Path, describe: Describe
) -> None:
    hub.repositories["org/whole"] = Repository({**CHECKPOINT, "README.md": b"hello"})
    code, said = await download(hub, home, "org/whole", "main")
    assert code == 0, said
    listing = await describe("hf:org/whole", hf_endpoint=hub.origin)
    snapshot = home / "hub/models--org--whole/snapshots" / str(listing.revision)
    blobs = {path.resolve().name for path in snapshot.iterdir()}
    for file in listing.files:
        path = snapshot / file.file_name
        assert path.stat().st_size == file.size_bytes
        # The client names a large file's blob by its ETag, which is what we expect of its bytes.
        assert file.sha256 is None or file.sha256 in blobs
    assert (snapshot / "README.md").exists()


async def test_a_gated_repository_is_the_clients_too(hub: HubServer, home: Path) -> None:
    hub.repositories["org/gated"] = Repository(CHECKPOINT, gated=True)
    code, said = await download(hub, home, "org/gated", "main")
    assert code != 0
    assert "GatedRepoError" in said
    code, said = await download(hub, home, "org/gated", "main", token=hub.token)
    assert code == 0, said


async def test_a_snapshot_in_the_clients_cache_is_used_in_place(
    hub: HubServer, home: Path, sources: Callable[..., Sources]
) -> None:
    repository = hub.repositories["org/whole"] = Repository(CHECKPOINT)
    assert local(sources, "hf:org/whole") is None
    await download(hub, home, "org/whole", "main")
    snapshot = home / "hub/models--org--whole/snapshots" / repository.commit
    assert local(sources, "hf:org/whole") == snapshot
    assert local(sources, f"hf:org/whole@{repository.commit}") == snapshot
    assert local(sources, "hf:org/whole@other") is None


@pytest.mark.parametrize("lacking", sorted(CHECKPOINT))
async def test_a_part_of_a_snapshot_is_not_taken_for_all_of_it(
    hub: HubServer, home: Path, sources: Callable[..., Sources], lacking: str
) -> None:
    hub.repositories["org/whole"] = Repository(CHECKPOINT)
    files = [name for name in CHECKPOINT if name != lacking]
    code, said = await download(hub, home, "org/whole", "main", *files)
    assert code == 0, said
    assert local(sources, "hf:org/whole") is None


async def test_a_cached_quantization_is_used_when_all_its_parts_are_there(
    hub: HubServer, home: Path, sources: Callable[..., Sources]
) -> None:
    parts = [f"BF16/tiny-BF16-0000{part}-of-00002.gguf" for part in (1, 2)]
    hub.repositories["org/tiny"] = repository = Repository(
        {parts[0]: LARGE, parts[1]: LARGE + b"2", "tiny-UD-Q4_K_XL.gguf": LARGE + b"ud"}
    )
    snapshot = home / "hub/models--org--tiny/snapshots" / repository.commit
    await download(hub, home, "org/tiny", "main", parts[0], "tiny-UD-Q4_K_XL.gguf")
    assert local(sources, "hf:org/tiny:BF16") is None
    assert local(sources, f"hf:org/tiny/{parts[0]}") is None
    await download(hub, home, "org/tiny", "main", parts[1])
    assert local(sources, "hf:org/tiny:bf16") == snapshot / parts[0]
    assert local(sources, f"hf:org/tiny/{parts[1]}") == snapshot / parts[0]
    # Another one, cached or not, may be what this means.
    assert local(sources, "hf:org/tiny:Q4_K_XL") is None

"""A repository on the hub with several files, as `ModelServer` pages."""

from __future__ import annotations

import json
from collections.abc import Mapping

from model_server import ModelServer, Page, sha256

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def publish(
    server: ModelServer, files: Mapping[str, bytes], *, promised: bool = True
) -> dict[str, Page]:
    """`org/repo` with `files`; with a hash each where `promised`. Their pages by name."""
    siblings = [_sibling(name, body, promised) for name, body in files.items()]
    answer = json.dumps({"id": "org/repo", "sha": COMMIT, "siblings": siblings}).encode()
    server.add("/api/models/org/repo/revision/main", Page(answer))
    pages = {name: Page(body, {"ETag": f'"{sha256(body)}"'}) for name, body in files.items()}
    for name, page in pages.items():
        server.add(f"/org/repo/resolve/{COMMIT}/{name}", page)
    return pages


def _sibling(name: str, body: bytes, promised: bool) -> dict[str, object]:
    entry: dict[str, object] = {"rfilename": name, "size": len(body), "blobId": "0" * 40}
    if promised:
        entry["lfs"] = {"sha256": sha256(body), "size": len(body), "pointerSize": 134}
    return entry

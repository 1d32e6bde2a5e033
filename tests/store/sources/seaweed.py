"""SeaweedFS as a process of the test's own: object storage that speaks S3."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

_BESIDE_PYTHON = os.path.dirname(sys.executable)
PROGRAM = shutil.which("weed", path=f"{_BESIDE_PYTHON}{os.pathsep}{os.environ.get('PATH', '')}")
KEY, SECRET = "tests", "s3cr3t-s3cr3t"
PRIVATE, PUBLIC = "private", "public"
_READY_S = 60.0

# Two people: one with keys may all, anybody may read the public bucket.
_PEOPLE = {
    "identities": [
        {
            "name": "tests",
            "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        },
        {"name": "anonymous", "actions": [f"Read:{PUBLIC}", f"List:{PUBLIC}"]},
    ]
}


@contextmanager
def run_seaweed(directory: Path) -> Iterator[str]:
    """The S3 endpoint of a fresh, empty storage."""
    assert PROGRAM is not None
    (directory / "people.json").write_text(json.dumps(_PEOPLE))
    master, volume, filer, s3 = _free_ports(4)
    command = [
        PROGRAM, "-logtostderr=true", "server", f"-dir={directory}", "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1", f"-master.port={master}", f"-volume.port={volume}",
        f"-filer.port={filer}", "-master.volumeSizeLimitMB=64", "-volume.max=20",
        "-master.telemetry=false", "-s3", f"-s3.port={s3}", "-s3.port.iceberg=0",
        "-s3.port.lance=0", f"-s3.config={directory / 'people.json'}",
    ]  # fmt: skip
    with subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "GOMAXPROCS": "2"},
    ) as process:
        try:
            _await_answer(s3, process)
            yield f"http://127.0.0.1:{s3}"
        finally:
            process.kill()  # it has nothing to save, and would take its time


def put(endpoint: str, bucket: str, objects: Mapping[str, bytes]) -> None:
    """Objects by key, into a bucket that is made as it is first written to."""
    import obstore
    from obstore.store import S3Store

    store = S3Store(
        bucket,
        endpoint=endpoint,
        access_key_id=KEY,
        secret_access_key=SECRET,
        client_options={"allow_http": True},
    )
    for key, body in objects.items():
        obstore.put(store, key, body)


def _await_answer(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _READY_S
    while True:
        assert process.poll() is None, "it ended as it began"
        assert time.monotonic() < deadline, f"port {port} never answered"
        asking = HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            asking.request("GET", "/")
            if asking.getresponse().status < 500:
                return
        except OSError:
            pass
        finally:
            asking.close()
        time.sleep(0.1)


def _free_ports(count: int) -> list[int]:
    """Ports whose neighbours 10,000 above are free too: each server's gRPC listens there."""
    found: list[int] = []
    while len(found) < count:
        with socket.socket() as one, socket.socket() as other:
            one.bind(("127.0.0.1", 0))
            port = int(one.getsockname()[1])
            try:
                other.bind(("127.0.0.1", port + 10000))
            except (OSError, OverflowError):
                continue
            if port not in found:
                found.append(port)
    return found

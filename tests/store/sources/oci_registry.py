"""Debian's docker-registry as a process of the test's own, a client that pushes, a token server."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import json
import shutil
import socket
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

PROGRAM = shutil.which("docker-registry")
USER, PASSWORD = "reader", "s3cret"
# bcrypt of the password, which is all that the registry reads in such a file.
_HTPASSWD = f"{USER}:$2b$04$abcdefghijklmnopqrstuuLZYjhNQAOdpbzt4WxWlUHjv1wsyH5DG\n"
_READY_S = 20.0

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"


@dataclass
class Registry:
    host: str
    headers: dict[str, str] = field(default_factory=dict)
    """Of whoever pushes."""

    async def push_blob(self, repository: str, body: bytes) -> str:
        digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
        async with aiohttp.ClientSession(headers=self.headers, raise_for_status=True) as session:
            url = f"http://{self.host}/v2/{repository}/blobs/uploads/"
            async with session.post(url) as begun:
                location = begun.headers["Location"]
            async with session.put(f"{location}&digest={digest}", data=io.BytesIO(body)):
                return digest

    async def push_manifest(
        self, repository: str, reference: str, document: object, kind: str = OCI_MANIFEST
    ) -> str:
        async with aiohttp.ClientSession(headers=self.headers, raise_for_status=True) as session:
            url = f"http://{self.host}/v2/{repository}/manifests/{reference}"
            body = json.dumps(document).encode()
            async with session.put(url, data=body, headers={"Content-Type": kind}) as answer:
                return answer.headers["Docker-Content-Digest"]

    async def layer(
        self, repository: str, body: bytes, kind: str, annotations: Mapping[str, str] | None = None
    ) -> dict[str, object]:
        digest = await self.push_blob(repository, body)
        described = {"mediaType": kind, "digest": digest, "size": len(body)}
        return {**described, **({"annotations": dict(annotations)} if annotations else {})}

    async def push(self, repository: str, tag: str, layers: list[dict[str, object]]) -> str:
        empty = await self.layer(repository, b"{}", "application/vnd.oci.empty.v1+json")
        document = {
            "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": empty, "layers": layers,
        }  # fmt: skip
        return await self.push_manifest(repository, tag, document)


@asynccontextmanager
async def run_registry(
    directory: Path, auth: Mapping[str, object] | None = None
) -> AsyncIterator[Registry]:
    assert PROGRAM is not None
    host = f"127.0.0.1:{_free_port()}"
    config = {
        "version": 0.1,
        "log": {"accesslog": {"disabled": True}, "level": "error"},
        "storage": {"filesystem": {"rootdirectory": str(directory / "registry")}},
        "http": {"addr": host},
        **({"auth": auth} if auth else {}),
    }
    path = directory / "registry.yml"
    path.write_text(json.dumps(config))
    process = await asyncio.create_subprocess_exec(
        PROGRAM, "serve", str(path),
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        await answering(f"http://{host}/v2/")
        yield Registry(host)
    finally:
        process.terminate()
        await process.wait()


def basic_auth(directory: Path) -> dict[str, object]:
    path = directory / "htpasswd"
    path.write_text(_HTPASSWD)
    return {"htpasswd": {"realm": "tests", "path": str(path)}}


def basic_header() -> str:
    return f"Basic {base64.b64encode(f'{USER}:{PASSWORD}'.encode()).decode()}"


async def answering(url: str) -> None:
    """Wait until something listens there."""
    deadline = time.monotonic() + _READY_S
    async with aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(url):
                    return
            except aiohttp.ClientConnectionError:
                assert time.monotonic() < deadline, f"{url} never answered"
                await asyncio.sleep(0.02)


class TokenServer:
    """What signs a registry's tokens: https://distribution.github.io/distribution/spec/auth/jwt."""

    def __init__(self, directory: Path) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._certificate = _self_signed(self._key)
        self.bundle = directory / "tokens.pem"
        self.bundle.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))
        self.asked: list[web.Request] = []

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/token", self._answer)
        return app

    def auth(self, origin: str) -> dict[str, object]:
        return {
            "token": {
                "realm": f"{origin}/token", "service": "tests", "issuer": "tests",
                "rootcertbundle": str(self.bundle),
            }
        }  # fmt: skip

    def token(self, repository: str, *actions: str) -> str:
        now = int(time.time())
        der = self._certificate.public_bytes(serialization.Encoding.DER)
        header = {"typ": "JWT", "alg": "ES256", "x5c": [base64.b64encode(der).decode()]}
        access = [{"type": "repository", "name": repository, "actions": list(actions)}]
        claims = {
            "iss": "tests", "sub": USER, "aud": "tests", "exp": now + 300, "nbf": now - 10,
            "iat": now, "jti": "1", "access": access,
        }  # fmt: skip
        text = ".".join(_base64url(json.dumps(each).encode()) for each in (header, claims))
        one, two = decode_dss_signature(self._key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{text}.{_base64url(one.to_bytes(32, 'big') + two.to_bytes(32, 'big'))}"

    async def _answer(self, request: web.Request) -> web.Response:
        self.asked.append(request)
        _, repository, _ = request.query["scope"].split(":")
        if repository.startswith("private/") and request.headers.get("Authorization") != (
            basic_header()
        ):
            raise web.HTTPUnauthorized
        return web.json_response({"token": self.token(repository, "pull"), "expires_in": 300})


def _self_signed(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tests")])
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .sign(key, hashes.SHA256())
    )


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])

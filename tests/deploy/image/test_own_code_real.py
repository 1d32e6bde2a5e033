"""A class of the user's own in an image: the same ref as on the laptop, set up before a request."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from deploy.image import built
from pilotlight.deploy.image.make import make
from pilotlight.deploy.image.request import ImageRequest
from pilotlight.deploy.image.settings import ImageOptions

pytestmark = pytest.mark.platforms

EXAMPLES = Path(__file__).parents[3] / "examples"
TAG = f"{built.REPOSITORY}/own-code:test"
REF = "python:examples/tickets/tickets.py:Tickets"
CONFIGURATION = f"models: {{tickets: {{engine: python, ref: '{REF}', min: 1}}}}\n"


def test_a_class_answers_from_the_image_without_an_engine_of_ours(tmp_path: Path) -> None:
    options = ImageOptions(
        base=built.base_image(),
        engine="none",
        builder="podman",
        tag=TAG,
        files=(f"{EXAMPLES / 'tickets'}:examples/tickets",),
    )
    request = ImageRequest(
        name="own-code",
        serve={"models": {"tickets": {"engine": "python", "ref": REF}}},
        configuration=CONFIGURATION,
        options=options,
        data_dir=built.cache() / "data",
    )
    try:
        with built.containers_conf():
            done = make(request, lambda line: None)
        assert "models" not in {layer.purpose for layer in done.layers}
        with built.container(TAG) as running:
            running.until_ready()
            asked = {"model": "tickets", "text": "my invoice shows the wrong amount"}
            answer: Any = running.request("/v1/predict", asked)
            assert json.load(answer)["team"] == "billing"
    finally:
        built.podman("rmi", "--force", TAG, check=False)

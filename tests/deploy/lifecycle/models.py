"""A user's class that fetches a file while it is set up, and never after."""

from __future__ import annotations

import urllib.request


class Fetching:
    """Its weights come from `url`: the test's own server, which counts and may keep it waiting."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.example = {"text": "hello"}

    def setup(self) -> None:
        with urllib.request.urlopen(self.url, timeout=60) as answer:
            self.weights = answer.read()

    def predict(self, request: dict) -> dict:
        return {"text": request["text"], "weights": self.weights.decode()}

"""Which team should answer a support ticket: naive Bayes over words, on the standard library."""

from __future__ import annotations

import csv
import math
import re
from collections import Counter
from pathlib import Path


class Wrong(ValueError):
    """The client's mistake: an exception with a status of 400 to 499 is answered with it."""

    status = 400
    param = "text"


class Tickets:
    def __init__(self, data: str = "tickets.csv") -> None:
        self.path = Path(__file__).with_name(data)
        self.example = {"text": "My invoice is wrong."}  # asked after setup: proof that it works

    def setup(self) -> None:
        """At load, before the first request: train on the labelled tickets."""
        with self.path.open(newline="") as rows:
            tickets = [(row["team"], words(row["text"])) for row in csv.DictReader(rows)]
        self.tickets = Counter(team for team, _ in tickets)
        self.words = {team: Counter[str]() for team in self.tickets}
        for team, text in tickets:
            self.words[team].update(text)
        self.vocabulary = len(set().union(*self.words.values()))

    def predict(self, request: dict) -> dict:
        """JSON in, JSON out."""
        text = request.get("text")
        if not isinstance(text, str) or not words(text):
            raise Wrong(f"'text' is {text!r}, expected the words of a ticket")
        scores = {team: self.score(team, words(text)) for team in self.tickets}
        whole = sum(map(math.exp, scores.values()))
        likely = {team: round(math.exp(score) / whole, 3) for team, score in scores.items()}
        return {"team": max(likely, key=likely.get), "likely": likely}

    def score(self, team: str, text: list[str]) -> float:
        seen, count = self.words[team], self.words[team].total()
        chance = math.log(self.tickets[team] / self.tickets.total())
        return chance + sum(math.log((seen[w] + 1) / (count + self.vocabulary)) for w in text)


def words(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower())

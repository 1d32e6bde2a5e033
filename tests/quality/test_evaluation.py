"""A subject against its reference, where the truth is known to the last digit."""

from __future__ import annotations

import itertools
import math

import pytest

from pilotlight.bench.quality_facts import Quality
from pilotlight.errors import BenchError
from pilotlight.quality.evaluation import Exam, Side, examine, judge

from .model import SIZE, START, Tiny, up

TEXTS = tuple(
    f"{word} and what comes after it, which is long enough to be asked about"
    for word in ("water", "stone", "wind", "light", "salt", "iron")
)
EXAM = Exam(texts=TEXTS, positions=90)


async def side(model: Tiny, name: str = "m", like: Side | None = None, exam: Exam = EXAM) -> Side:
    async with up(model) as target:
        return await examine(name, target, exam, like)


async def quality(reference: Tiny, subject: Tiny, exam: Exam = EXAM) -> Quality:
    first = await side(reference, "reference", None, exam)
    return judge(await side(subject, "subject", first, exam), first, exam.tasks)


def truth(reference: Tiny, subject: Tiny, read: Side) -> tuple[float, float, float]:
    """Agreement, KL in nats and the subject's perplexity over the whole vocabulary."""
    agreed, nats, losses = [], [], []
    for passage in read.passages:
        for at in passage.places:
            one, other = (m.logprobs(passage.tokens[:at]) for m in (reference, subject))
            agreed.append(one.index(max(one)) == other.index(max(other)))
            nats.append(sum(math.exp(p) * (p - q) for p, q in zip(one, other, strict=True)))
            losses.append(-other[passage.tokens[at]])
    places = len(agreed)
    return sum(agreed) / places, sum(nats) / places, math.exp(sum(losses) / places)


async def test_a_model_is_like_itself() -> None:
    found = await quality(Tiny(), Tiny())
    assert found.token_agreement is not None
    assert found.token_agreement.value == 1
    assert found.divergence is not None
    assert found.divergence.nats.value == pytest.approx(0, abs=1e-9)
    assert found.perplexity == found.reference_perplexity
    assert found.perplexity_ratio is not None
    assert found.perplexity_ratio.value == found.perplexity_ratio.high == 1
    assert found.notes == ()


@pytest.mark.parametrize(
    "shape",
    [
        Tiny(),
        Tiny(starts=True),
        Tiny(prompt_logprobs=True, top_most=0),
        Tiny(top_most=20),
    ],
    ids=["n_probs", "with a first token", "vLLM's", "20"],
)
async def test_figures_are_the_true_ones(shape: Tiny) -> None:
    shape = Tiny(
        starts=shape.starts, top_most=shape.top_most, prompt_logprobs=shape.prompt_logprobs
    )
    noisy = Tiny(
        noise=0.7, starts=shape.starts, top_most=shape.top_most,
        prompt_logprobs=shape.prompt_logprobs,
    )  # fmt: skip
    found = await quality(shape, noisy)
    agreed, nats, perplexity = truth(shape, noisy, await side(shape))
    assert found.token_agreement is not None
    assert found.token_agreement.value == pytest.approx(agreed)
    assert found.divergence is not None
    if found.divergence.top >= SIZE:
        assert found.divergence.nats.value == pytest.approx(nats)
        assert found.divergence.unseen == pytest.approx(0, abs=1e-9)
    else:
        assert found.divergence.top == 20
        assert 0.8 * nats < found.divergence.nats.value < nats
        assert 0 < found.divergence.unseen < 0.05
    assert found.perplexity is not None
    assert found.perplexity.value == pytest.approx(perplexity)
    assert found.reference_perplexity is not None
    assert found.perplexity_ratio is not None
    ratio = perplexity / found.reference_perplexity.value
    assert found.perplexity_ratio.value == pytest.approx(ratio)
    for figure in (
        found.token_agreement, found.divergence.nats, found.perplexity, found.perplexity_ratio,
    ):  # fmt: skip
        assert figure.low is not None
        assert figure.high is not None
        assert figure.low < figure.value < figure.high
    assert 90 <= found.positions <= 120


async def test_what_starts_a_text_is_before_every_piece() -> None:
    read = await side(Tiny(starts=True), exam=Exam(texts=("a long text " * 60,)))
    assert len(read.passages) == 3
    assert {passage.tokens[0] for passage in read.passages} == {START}
    assert all(START not in passage.tokens[1:] for passage in read.passages)


async def test_prompts_grow_from_place_to_place_so_that_they_are_cached() -> None:
    model = Tiny()
    await side(model)
    prompts = [body["prompt"] for body in model.asked if body.get("logit_bias")][1:]
    grown = sum(after[: len(before)] == before for before, after in itertools.pairwise(prompts))
    assert grown == len(prompts) - len(TEXTS)


async def test_where_a_bias_changes_what_is_told_it_is_not_used() -> None:
    noisy = Tiny(noise=0.7, biased=True)
    found = await quality(Tiny(biased=True), noisy)
    assert found.divergence is not None
    nats = truth(Tiny(), noisy, await side(Tiny()))[1]
    assert found.divergence.nats.value == pytest.approx(nats)


async def test_no_perplexity_where_only_likely_tokens_are_told() -> None:
    found = await quality(Tiny(lists=True, top_most=5), Tiny(lists=True, top_most=5, noise=1))
    assert found.perplexity is None
    assert "tells only likely tokens" in found.notes[0]
    assert found.token_agreement is not None
    assert found.divergence is not None
    assert found.divergence.top == 5


async def test_two_servers_of_different_shapes_are_compared_by_texts() -> None:
    noisy = Tiny(noise=0.7, lists=True)
    found = await quality(Tiny(), noisy)
    agreed, nats, _ = truth(Tiny(), noisy, await side(Tiny()))
    assert found.token_agreement is not None
    assert found.token_agreement.value == pytest.approx(agreed)
    assert found.divergence is not None
    assert found.divergence.nats.value == pytest.approx(nats)


async def test_other_vocabularies_are_refused() -> None:
    first = await side(Tiny(), "large")
    with pytest.raises(BenchError, match="small reads the text as other tokens than large"):
        await side(Tiny(offset=1), "small", first)


async def test_a_server_without_probabilities_is_refused() -> None:
    with pytest.raises(BenchError, match="tells no probabilities") as raised:
        await side(Tiny(top_most=0))
    assert "--task" in (raised.value.hint or "")


async def test_a_text_of_a_few_words_is_refused() -> None:
    with pytest.raises(BenchError, match="has 5 tokens, too few"):
        await side(Tiny(), exam=Exam(texts=("short",)))


async def test_few_texts_have_no_intervals() -> None:
    found = await quality(Tiny(), Tiny(noise=1), Exam(texts=TEXTS[:2]))
    assert found.token_agreement is not None
    assert found.token_agreement.low is None
    assert "no intervals" in found.notes[-1]


async def test_without_a_reference_there_is_a_perplexity() -> None:
    found = judge(await side(Tiny()), None, ())
    assert found.perplexity is not None
    assert (found.token_agreement, found.divergence, found.reference_perplexity) == (None,) * 3

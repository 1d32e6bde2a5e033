"""Prices of a run of round figures, worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from pilotlight.bench.costs import Cost, Costs, Served
from pilotlight.bench.pricing.alike import Subject
from pilotlight.bench.pricing.asked import Asked, Container, Owned
from pilotlight.bench.pricing.pricing import costs
from pilotlight.catalog import catalog
from pilotlight.errors import ConfigError
from pilotlight.meter.energy import Energy

CATALOG = catalog.load()
MONTH_S = 730 * 3600

# Half a request a second, day and night: 1,314,000 a month.
SERVED = Served(
    seconds=100,
    requests=50,
    input_tokens=300,
    output_tokens=100,
    ttft_s=0.5,
    request_s=1.5,
    at_once=0.75,
    busy_share=0.6,
    busy_spans=20,
)
ENERGY = Energy(
    seconds=100,
    output_tokens=5000,
    total_tokens=20000,
    requests=50,
    gross_j=10_000,
    source="measured-rapl",
)
LAMBDA_LIKE = Subject(vcpus=2, memory_bytes=2 * 2**30)


def priced(asked: Asked, served: Served = SERVED, energy: Energy | None = ENERGY) -> Costs:
    return costs(served, energy, asked, CATALOG)


def the(found: Costs, name: str) -> Cost:
    return next(way for way in found.ways if way.name == name)


def test_electricity_is_watts_times_tariff() -> None:
    cost = the(priced(Asked(usd_per_kwh=0.25)), "electricity")
    assert cost.usd_per_month == pytest.approx(0.1 * 730 * 0.25)
    assert cost.usd_per_request == pytest.approx(18.25 / 1_314_000)
    assert cost.usd_per_output_mtok == pytest.approx(18.25 / 131.4)
    assert cost.usd_per_total_mtok == pytest.approx(18.25 / 525.6)
    assert cost.energy_source == "measured-rapl"
    assert cost.arithmetic[0] == "100 W × 730 h × $0.25/kWh = $18.25"
    assert cost.source == "measured-rapl power; the tariff as given"


def test_joules_a_token_and_the_tariff_give_the_same() -> None:
    """The reference's own formula: J/token × tariff / 3.6e6."""
    cost = the(priced(Asked()), "electricity")
    joules = ENERGY.whole_joules_per_output_token
    assert joules == 2.0
    assert cost.usd_per_output_mtok == pytest.approx(joules * 0.14 / 3.6e6 * 1e6)
    assert "0.14" in cost.title


def test_without_a_meter_there_is_no_electricity_and_a_note() -> None:
    for energy in (None, replace(ENERGY, gross_j=None)):
        found = priced(Asked(), energy=energy)
        assert not [way for way in found.ways if way.kind == "electricity"]
        assert "no electricity is priced: nothing said what the machine draws" in found.notes


def test_a_machine_is_amortized_and_draws_its_measured_power() -> None:
    asked = Asked(usd_per_kwh=0.2, owned=Owned(capital_usd=3600, years=3))
    cost = the(priced(asked), "own-machine")
    assert cost.usd_per_month == pytest.approx(100 + 0.1 * 730 * 0.2)
    assert (cost.kind, cost.energy_source) == ("own", "measured-rapl")
    assert cost.note == ""


def test_a_machine_whose_power_nobody_knows_says_so() -> None:
    cost = the(priced(Asked(owned=Owned(capital_usd=3600, years=3)), energy=None), "own-machine")
    assert cost.usd_per_month == pytest.approx(100)
    assert cost.energy_source is None
    assert cost.note == "without power, for nobody knows what it draws"


def test_platforms_bill_by_their_own_rules() -> None:
    """Lambda each request's own time; Cloud Run by request the busy time, by instance all of it."""
    found = priced(
        Asked(
            offers=("lambda-x86-4096", "cloud-run-request-2x4", "cloud-run-instance-2x4"),
            subject=LAMBDA_LIKE,
        )
    )
    requests = SERVED.requests_per_s * MONTH_S
    by_request = requests * 1.5 * 4 * 0.0000166667 + requests / 1e6 * 0.20
    assert the(found, "lambda-x86-4096").usd_per_month == pytest.approx(by_request, rel=1e-6)
    busy_s = 0.6 * MONTH_S + 20 / 100 * MONTH_S * 0.05
    busy = busy_s * (2 * 0.000024 + 4 * 0.0000025) + requests / 1e6 * 0.40
    assert the(found, "cloud-run-request-2x4").usd_per_month == pytest.approx(busy, rel=1e-6)
    always = MONTH_S * (2 * 0.000018 + 4 * 0.000002)
    assert the(found, "cloud-run-instance-2x4").usd_per_month == pytest.approx(always, rel=1e-6)


def test_the_smallest_like_offer_of_each_platform_is_picked() -> None:
    found = priced(Asked(subject=LAMBDA_LIKE))
    names = [way.name for way in found.ways if way.kind == "platform"]
    assert "lambda-x86-4096" in names, "2.32 vCPU: the first of Lambda's with two"
    assert "cloud-run-request-2x4" in names
    assert all(2 <= CATALOG.offers[name].vcpus <= 4 for name in names), "none far too large"
    assert not [way for way in found.ways if way.kind == "own"], "only when asked for"
    each = [the(found, name).usd_per_request or 0 for name in names]
    assert each == sorted(each)


def test_a_gpu_is_compared_with_the_same_gpu() -> None:
    found = priced(Asked(subject=Subject(vcpus=4, memory_bytes=2**30, gpu="l4", gpus=1)))
    names = [way.name for way in found.ways if way.kind == "platform"]
    assert "cloud-run-l4-4x16" in names
    assert all(CATALOG.offers[name].gpu == "l4" for name in names)


def test_a_platform_of_one_request_at_once_refuses_sixteen() -> None:
    found = priced(Asked(subject=LAMBDA_LIKE), replace(SERVED, at_once=16.0))
    names = [way.name for way in found.ways]
    assert "lambda-x86-4096" not in names
    assert "cloud-run-request-2x4" in names
    assert any(
        note == "lambda-x86-4096 isn't priced: AWS Lambda, x86 gives an instance 1 request at "
        "once, not 16"
        for note in found.notes
    )


def test_too_little_memory_is_refused() -> None:
    subject = Subject(vcpus=2, memory_bytes=8 * 2**30)
    found = priced(Asked(offers=("lambda-x86-4096",), subject=subject))
    assert not [way for way in found.ways if way.kind == "platform"]
    assert "short of memory" in found.notes[0]


def test_an_endpoint_of_unknown_hardware_has_no_platform() -> None:
    found = priced(Asked())
    assert not [way for way in found.ways if way.kind == "platform"]
    assert "it isn't known what the endpoint runs on" in found.notes[0]


def test_apis_take_the_same_tokens() -> None:
    found = priced(Asked(apis=("openai/gpt-4o-mini",)))
    cost = the(found, "openai/gpt-4o-mini")
    each = (300 * 0.15 + 100 * 0.60) / 1e6
    assert cost.usd_per_request == pytest.approx(each)
    assert cost.usd_per_output_mtok == pytest.approx(each / 100 * 1e6)
    assert cost.usd_per_total_mtok == pytest.approx(each / 400 * 1e6)
    assert cost.usd_per_month == pytest.approx(each * 1_314_000)
    assert cost.arithmetic == ("300 tokens in × $0.15/M + 100 out × $0.6/M = $0.000105 a request",)
    assert cost.note.startswith("another model")
    assert cost.as_of


def test_sellers_of_the_same_model_come_without_asking() -> None:
    model = next(row.model for row in CATALOG.apis.values() if row.model)
    found = priced(Asked(model=model))
    same = [way for way in found.ways if way.note.startswith("the same model")]
    assert same
    assert all(CATALOG.apis[way.name].model == model for way in same)
    assert "openai/gpt-4o-mini" in [way.name for way in found.ways], "and those that all know"


def test_without_counted_tokens_nothing_is_priced_by_the_token() -> None:
    unknown = replace(SERVED, input_tokens=None, output_tokens=None)
    found = priced(Asked(subject=LAMBDA_LIKE), unknown)
    assert not [way for way in found.ways if way.kind == "api"]
    cost = the(found, "lambda-x86-4096")
    assert (cost.usd_per_output_mtok, cost.usd_per_total_mtok) == (None, None)
    assert cost.usd_per_request
    assert "nothing is priced by the token: the server counted none" in found.notes


def test_the_studys_own_figures_come_back() -> None:
    """7.42 total tokens/s in 6 GB at Lambda's price: $13.48 for a million, as it printed."""
    alone = replace(
        SERVED, seconds=500, requests=10, input_tokens=71, output_tokens=300, request_s=50
    )
    found = priced(Asked(study=Container(vcpus=4, memory_gib=6)), alone)
    aws, google = (way for way in found.ways if way.kind == "study")
    assert aws.usd_per_total_mtok == pytest.approx(13.48, abs=0.005)
    # 7.42, not its 7.39 tokens/s; and the sum as it should have been, 0.000111 a second.
    assert google.usd_per_total_mtok == pytest.approx(0.000111 / 7.42 * 1e6)
    assert google.arithmetic[0] == "4 vCPU × $0.000024 + 6 GB × $0.00000250 = $0.00011100/s"


def test_a_machine_beats_an_api_from_the_load_at_which_it_costs_the_same() -> None:
    asked = Asked(owned=Owned(capital_usd=3600, years=3), apis=("openai/gpt-4o-mini",))
    found = priced(asked, energy=None)
    (turn,) = found.turns
    assert (turn.one, turn.other, turn.cheaper) == ("own-machine", "openai/gpt-4o-mini", "above")
    assert turn.requests_per_month == pytest.approx(100 / 0.000105, rel=0.01)
    assert turn.text == (
        "own-machine is cheaper than openai/gpt-4o-mini from 952,000 requests a month "
        "(0.72× this load)"
    )


def test_a_machine_that_never_pays_says_so() -> None:
    asked = Asked(owned=Owned(capital_usd=36_000, years=3), apis=("openai/gpt-4o-mini",))
    (turn,) = priced(asked, energy=None).turns
    assert (turn.cheaper, turn.requests_per_month) == ("never", None)
    assert turn.text == "own-machine is never cheaper than openai/gpt-4o-mini"


def test_machines_by_the_hour_turn_too_and_functions_do_not() -> None:
    subject = Subject(vcpus=8, memory_bytes=2**30)
    found = priced(Asked(subject=subject, apis=("openai/gpt-4o",)))
    fixed = {turn.one for turn in found.turns}
    kinds = {CATALOG.platforms[CATALOG.offers[name].platform].billing.kind for name in fixed}
    assert kinds <= {"machine", "owned"}
    assert fixed


@pytest.mark.parametrize(
    "asked", [Asked(offers=("no-such",)), Asked(apis=("no-such/one",))], ids=["offer", "api"]
)
def test_a_name_that_is_not_there_is_refused(asked: Asked) -> None:
    with pytest.raises(ConfigError, match="no-such"):
        priced(asked)


def test_it_goes_through_json() -> None:
    found = priced(Asked(subject=LAMBDA_LIKE, owned=Owned(capital_usd=1, years=1)))
    assert msgspec.json.decode(msgspec.json.encode(found), type=Costs) == found

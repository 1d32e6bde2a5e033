"""One file that needs nothing else, and shows what a report holds and nothing that it doesn't."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotlight.bench import report as bench_report
from pilotlight.bench.load import Load
from pilotlight.bench.markdown import markdown
from pilotlight.bench.page.page import page
from pilotlight.bench.report import Report
from pilotlight.bench.summarize import summarize
from pilotlight.bench.summary import summary

from . import samples
from .elements import Page
from .goldens import REPORTS

LOAD = Load(kind="closed", concurrency=1, requests=1)


def shown(*reports: Report) -> Page:
    return Page(page(reports))


@pytest.mark.parametrize("name", REPORTS)
def test_a_page_asks_for_nothing(name: str) -> None:
    html = page(REPORTS[name]())
    assert not re.search(r"<script|<link|<img|<iframe|@import|url\(|@font-face", html)
    tree = Page(html)
    addressed = {"src", "href", "srcset", "data", "action"}
    assert not [each for each in tree.elements if addressed & set(each.attributes)]


@pytest.mark.parametrize("name", REPORTS)
def test_every_chart_says_what_it_shows(name: str) -> None:
    for chart in Page(page(REPORTS[name]())).all("svg"):
        hidden = chart.attributes.get("aria-hidden") == "true"
        assert hidden or (chart.attributes["role"] == "img" and chart.attributes["aria-label"])


def test_a_whole_report_answers_every_question() -> None:
    assert shown(samples.sweep()).headings() == [
        "At 4 at once", "Throughput against latency", "Tokens per second", "Distributions",
        "Energy", "Cost", "Quality beside speed and cost", "Predicted against measured",
        "Timeline", "Cold starts", "Every stage", "By kind of request, and run by run",
        "How it was measured",
    ]  # fmt: skip


def test_what_nobody_measured_has_no_heading() -> None:
    assert shown(*samples.elsewhere()).headings() == ["At 8 at once", "How it was measured"]


def test_the_service_levels_line_crosses_throughput_and_latency() -> None:
    tree = shown(samples.sweep())
    words = [each.text for each in tree.all("text") if each.attributes.get("class") == "limit"]
    assert words.count("SLO chat: 200 ms") == 1
    assert any(each.startswith("SLO chat: 50 ms") for each in words)


def test_reports_are_drawn_at_a_percentile_that_all_have() -> None:
    captions = shown(samples.sweep(), *samples.elsewhere()).captions()
    assert "TTFT p99 against output tokens/s" in captions
    assert "TTFT p95 against output tokens/s" in shown(samples.sweep()).captions()


def test_without_a_service_level_there_is_no_line() -> None:
    report = replace(samples.sweep(), slo=None, predicted=None)
    assert not [each for each in shown(report).drawn("limit") if each.tag == "line"]


def test_boxes_are_by_engine_and_quantization() -> None:
    report = samples.sweep()
    q8 = replace(report, subject=replace(report.subject, name="same", quantization="Q8_0"))
    q4 = replace(report, subject=replace(report.subject, name="same", quantization="Q4_1"))
    ollama = replace(q4, subject=replace(q4.subject, engine="ollama"))
    label = 'aria-label="Of one answer: what one user sees"'
    chart = page((ollama, q8, q4)).split(label)[1].split("</svg>")[0]
    assert re.findall(r'<text class="name"[^>]*>([^<]*)<', chart) == [
        "same, llamacpp, Q4_1", "same, llamacpp, Q8_0", "same, ollama, Q4_1",
    ]  # fmt: skip


def test_an_apis_price_stands_beside_and_is_drawn_as_nobodys_own() -> None:
    tree = shown(*samples.rivals())
    hollow = [each.text for each in tree.drawn("hollow")]
    assert hollow == ["openai gpt-4o-mini, dollars: 0.87"]


def test_estimated_joules_are_drawn_hollow_and_said() -> None:
    report = samples.sweep()
    energy = report.stage.energy
    assert energy is not None
    stage = replace(report.stage, energy=replace(energy, source="estimated-tdp"))
    tree = shown(replace(report, stages=(stage,), chosen=0))
    assert any(each.text.endswith(" J, estimated-tdp") for each in tree.all("text"))
    assert any("an estimate" in each.text for each in tree.all("li"))
    assert len(tree.drawn("hollow")) == 3  # beyond idling, idling, and the API's price


def test_no_difference_is_called_so() -> None:
    report = replace(samples.sweep(), stages=(samples.stage(samples.FAST, 4),), chosen=0)
    tree = shown(report, replace(report, subject=bench_report.Tested(name="its twin")))
    figures = [each.text for each in tree.all("text") if each.attributes.get("class") == "figure"]
    assert any(re.fullmatch(r"1× \(.*\) no difference", words) for words in figures)
    assert not any(words.endswith(("better", "worse")) for words in figures)


def test_other_loads_cant_be_compared_and_that_is_said() -> None:
    one = replace(samples.sweep(), stages=(samples.stage(samples.FAST, 1),), chosen=0)
    other = replace(
        one, stages=(samples.stage(samples.FAST, 16),), subject=bench_report.Tested(name="other")
    )
    words = [each.text for each in shown(one, other).all("li")]
    assert any("other can't be compared" in each for each in words)


def test_the_timeline_shows_cold_requests_errors_and_what_is_left_out() -> None:
    tree = shown(samples.troubled())
    (cold,) = tree.drawn("cold")
    assert re.fullmatch(r"requests waited for the load, 2\.\d+ s", cold.text)
    assert len(tree.drawn("error-mark")) == 11
    assert tree.drawn("apart")


def test_what_makes_a_report_doubtful_stands_before_its_figures() -> None:
    html = page((samples.troubled(),))
    assert html.index("the generator was the limit") < html.index("<h2>")


def test_predicted_and_measured_stand_together() -> None:
    tree = shown(samples.sweep())
    rows = [each.text for each in tree.all("tr")]
    assert any(re.match(r"TTFT, ms110 \(80 to 150\)1\d\d \(", words) for words in rows)


def test_a_run_without_an_answer_is_shown_as_one() -> None:
    empty = summarize([samples.Played(records=())], LOAD, samples.CHAT, name="1 at once")
    report = replace(samples.troubled(), stages=(empty,))
    assert shown(report).headings() == ["At 1 at once", "Timeline", "How it was measured"]
    assert "At 1 at once" in markdown([report])
    assert "At 1 at once, 0 requests in 1 run" in summary([report])


def test_kinds_of_requests_and_runs_stand_apart() -> None:
    stage = samples.stage(samples.FAST, 4, runs=2)
    rows = [
        each.text for each in shown(replace(samples.sweep(), stages=(stage,), chosen=0)).all("tr")
    ]
    rates = "".join(f"{rate:.0f}" for rate in stage.by_run["output_tokens_per_s"] if rate)
    assert f"output tokens/s{rates}" in rows
    assert {"long", "short"} <= {re.sub(r"\d.*", "", words) for words in rows}


def test_more_reports_than_colours_say_how_many_curves_are_left_out() -> None:
    reports = samples.many()
    assert "2 more are in the tables, not in the curves." in page(reports)
    assert len({each.text for each in shown(*reports).all("summary")}) >= len(reports)


@settings(max_examples=10, deadline=None)
@given(name=st.text(max_size=30), engine=st.text(max_size=10), note=st.text(max_size=30))
def test_no_name_breaks_the_page(name: str, engine: str, note: str) -> None:
    subject = bench_report.Tested(name=name, engine=engine, options={name: note})
    tree = shown(replace(samples.troubled(), subject=subject, notes=(note,)))
    assert {each.tag for each in tree.elements} <= _TAGS


_TAGS = {
    "html", "head", "meta", "title", "style", "body", "main", "section", "h1", "h2", "p", "ul",
    "li", "dl", "div", "dt", "dd", "b", "small", "details", "summary", "table", "caption",
    "thead", "tbody", "tr", "th", "td", "figure", "figcaption", "svg", "text", "line", "rect",
    "polyline", "path", "footer",
}  # fmt: skip

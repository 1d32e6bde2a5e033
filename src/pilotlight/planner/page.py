"""An answer as one HTML file that needs nothing else: no script, no font, no address."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape

from pilotlight.planner.asked_text import asked_lines
from pilotlight.planner.explain import Explanation
from pilotlight.planner.figures import dollars
from pilotlight.planner.listing import distinct, rows
from pilotlight.planner.picture import picture
from pilotlight.planner.plan import Answer

SHOWN = 150
_STYLE = """
:root{color-scheme:light dark;--ink:#1b1f24;--paper:#fff;--dim:#667;--rule:#d8dce2;--mark:#c2410c}
@media(prefers-color-scheme:dark){:root{--ink:#e6e8eb;--paper:#14171a;--dim:#9aa3ad;--rule:#333a42;
--mark:#fb923c}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);
max-width:72rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2.2rem}
.scroll{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:.3rem .8rem .3rem 0;border-bottom:1px solid var(--rule);
vertical-align:top}th{color:var(--dim);font-weight:500}td.nowrap{white-space:nowrap}
svg{max-width:100%;height:auto}svg text{font:11px system-ui,sans-serif;fill:var(--dim)}
.grid{stroke:var(--rule)}.plan{fill:var(--dim);opacity:.55}.best{fill:var(--mark)}
.front{fill:none;stroke:var(--mark);stroke-width:1.5}footer{color:var(--dim);margin-top:3rem}
dt{color:var(--dim)}dd{margin:0 0 .4rem}
""".replace("\n", "")


def page(answer: Answer, explanations: Sequence[Explanation] = ()) -> str:
    """`explanations` are of the first plans, in order."""
    title = f"Plan for {_models(answer)}"
    body = [
        f"<h1>{escape(title)}</h1>",
        _definitions(asked_lines(answer.asked)),
        *_plans(answer),
        *_section("What nobody beats in both cost and latency", picture(answer)),
        *(part for each in explanations for part in _explained(each)),
        *_section("Turned down", _rejected(answer)),
        *_section("Advice", _advice(answer)),
        *_section("Constants", _definitions(answer.constants.items())),
        _foot(answer),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body>{''.join(body)}</body></html>\n"
    )


def _models(answer: Answer) -> str:
    plans = answer.plans or answer.nearest
    return ", ".join(dict.fromkeys(plan.deployment.model for plan in plans)) or "nothing"


def _section(title: str, content: str) -> Iterator[str]:
    if content:
        yield f"<h2>{escape(title)}</h2>{content}"


def _plans(answer: Answer) -> Iterator[str]:
    if answer.plans:
        shown = distinct(answer.plans, SHOWN)
        title = f"Plans: the best of each hardware and platform, of {len(answer.plans):,}"
        yield from _section(title, _table(*rows(shown)))
        return
    yield "<h2>No plan does what is asked</h2>"
    if answer.nearest:
        header, cells = rows(answer.nearest)
        missed = [
            (*line, "; ".join(plan.misses))
            for line, plan in zip(cells, answer.nearest, strict=True)
        ]
        yield from _section("What comes nearest", _table((*header, "MISSES"), missed))


def _table(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    body = "".join(
        "<tr>" + "".join(f'<td class="nowrap">{escape(cell)}</td>' for cell in line) + "</tr>"
        for line in lines
    )
    return (
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _definitions(pairs: Iterable[tuple[str, str]]) -> str:
    entries = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in pairs)
    return f"<dl>{entries}</dl>" if entries else ""


def _explained(explanation: Explanation) -> Iterator[str]:
    for section in explanation.sections:
        yield f"<h2>{escape(section.title)}</h2>{_definitions(section.lines)}"


def _rejected(answer: Answer) -> str:
    if not answer.rejections:
        return ""
    lines = [(each.family, each.reason, str(each.candidates)) for each in answer.rejections]
    return _table(("FAMILY", "REASON", "LOOKED AT"), lines)


def _advice(answer: Answer) -> str:
    items = "".join(
        f"<li>{escape(each.text)}<br><small>{escape(each.evidence)}</small></li>"
        for each in answer.advice
    )
    return f"<ul>{items}</ul>" if items else ""


def _foot(answer: Answer) -> str:
    dated = f"; the oldest price or fact is of {answer.facts_as_of}" if answer.facts_as_of else ""
    cheapest = (
        f"; from {dollars(answer.plans[0].money.usd_per_month)} a month" if answer.plans else ""
    )
    return (
        f"<footer>Predicted by pilotlight plan from {answer.looked_at:,} candidates"
        f"{escape(cheapest)}{escape(dated)}. Measure before you rely on it.</footer>"
    )

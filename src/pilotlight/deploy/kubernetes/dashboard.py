"""The Grafana dashboard: the questions that docs/metrics.md answers, a row for each."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_OF = '{namespace=~"$namespace",model=~"$model"}'
_ALL = '{namespace=~"$namespace"}'
WIDTH, HEIGHT = 8, 7


@dataclass(frozen=True, slots=True)
class Panel:
    title: str
    unit: str
    """In Grafana's words."""

    queries: Mapping[str, str]
    """Expression by legend."""


def _quantiles(metric: str) -> dict[str, str]:
    rate = f"sum by (le) (rate({metric}_bucket{_OF}[$__rate_interval]))"
    return {f"p{share}": f"histogram_quantile({share / 100}, {rate})" for share in (50, 95, 99)}


def _rate(metric: str, of: str, by: str) -> str:
    return f"sum by ({by}) (rate({metric}{of}[$__rate_interval]))"


ROWS: Mapping[str, Sequence[Panel]] = {
    "What users feel": (
        Panel("Time to the first token", "s", _quantiles("pilotlight_ttft_seconds")),
        Panel("Between tokens", "s", _quantiles("pilotlight_itl_seconds")),
        Panel("Waiting for a pod", "s", _quantiles("pilotlight_queue_seconds")),
    ),
    "Load": (
        Panel("Requests", "reqps", {"{{model}}": _rate("pilotlight_requests_total", _OF, "model")}),
        Panel(
            "Failed on our side",
            "percentunit",
            {
                "share": "sum(rate(pilotlight_requests_total"
                '{namespace=~"$namespace",model=~"$model",status=~"5.."}[$__rate_interval])) '
                f"/ sum(rate(pilotlight_requests_total{_OF}[$__rate_interval]))"
            },
        ),
        Panel(
            "Tokens",
            "short",
            {"{{model}} {{kind}}": _rate("pilotlight_tokens_total", _OF, "model, kind")},
        ),
    ),
    "Pods": (
        Panel(
            "Engines by state",
            "short",
            {"{{model}} {{state}}": f"sum by (model, state) (pilotlight_replicas{_OF}) > 0"},
        ),
        Panel(
            "Waiting and at work",
            "short",
            {
                "{{model}} waiting": f"sum by (model) (pilotlight_queued{_OF})",
                "{{model}} at work": f"sum by (model) (pilotlight_in_flight{_OF})",
            },
        ),
        Panel(
            "Cold starts",
            "short",
            {
                "{{model}} {{rung}} {{outcome}}": "sum by (model, rung, outcome) "
                f"(increase(pilotlight_cold_starts_total{_OF}[1h]))"
            },
        ),
    ),
    "Money and energy": (
        Panel(
            "Dollars an hour, by key",
            "currencyUSD",
            {"{{key}}": f"sum by (key) (rate(pilotlight_spent_usd_total{_OF}[1h])) * 3600"},
        ),
        Panel(
            "Tokens by key",
            "short",
            {"{{key}}": f"sum by (key) (rate(pilotlight_spent_tokens_total{_OF}[1h]))"},
        ),
        Panel(
            "Where a cold start's time goes",
            "s",
            {
                "{{phase}}": "histogram_quantile(0.5, sum by (phase, le) "
                f"(increase(pilotlight_cold_start_phase_seconds_bucket{_OF}[1d])))"
            },
        ),
    ),
}


def dashboard(name: str, namespace: str) -> dict[str, Any]:
    return {
        "title": f"Pilotlight: {name}",
        # The same on every machine and at every rendering, so that links to it last.
        "uid": hashlib.sha256(f"pilotlight/{namespace}/{name}".encode()).hexdigest()[:16],
        "schemaVersion": 39,
        "tags": ["pilotlight"],
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": _variables(namespace)},
        "panels": _panels(),
    }


def _variables(namespace: str) -> list[dict[str, Any]]:
    source = {"type": "prometheus", "uid": "${datasource}"}
    return [
        {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Source"},
        _query("namespace", "label_values(pilotlight_replicas, namespace)", source)
        | {"current": {"text": namespace, "value": namespace}},
        _query("model", f"label_values(pilotlight_replicas{_ALL}, model)", source)
        | {"includeAll": True, "allValue": ".*", "current": {"text": "All", "value": "$__all"}},
    ]


def _query(name: str, query: str, source: dict[str, str]) -> dict[str, Any]:
    return {"name": name, "type": "query", "datasource": source, "query": query, "refresh": 2}


def _panels() -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    for index, (title, panels) in enumerate(ROWS.items()):
        top = index * (HEIGHT + 1)
        place = {"h": 1, "w": 3 * WIDTH, "x": 0, "y": top}
        made.append({"id": len(made) + 1, "type": "row", "title": title, "gridPos": place})
        for column, panel in enumerate(panels):
            place = {"h": HEIGHT, "w": WIDTH, "x": column * WIDTH, "y": top + 1}
            made.append(_panel(len(made) + 1, panel, place))
    return made


def _panel(id: int, panel: Panel, place: dict[str, int]) -> dict[str, Any]:
    source = {"type": "prometheus", "uid": "${datasource}"}
    return {
        "id": id,
        "type": "timeseries",
        "title": panel.title,
        "gridPos": place,
        "datasource": source,
        "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + index), "expr": query, "legendFormat": legend}
            for index, (legend, query) in enumerate(panel.queries.items())
        ],
    }

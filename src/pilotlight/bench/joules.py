"""The energy of a stage: its runs' answers on the meter's clock."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pilotlight.bench.numbers import Window
from pilotlight.bench.run import Run
from pilotlight.meter.energy import Energy
from pilotlight.meter.idle import Idle
from pilotlight.meter.measuring import energy
from pilotlight.meter.series import Series
from pilotlight.meter.windows import Answer


def energy_of(
    runs: Sequence[Run], windows: Sequence[Window], series: Series, idle: Idle | None = None
) -> Energy | None:
    """In each run's window: what lies between them is neither's. None without a window.

    All answers count with the tokens that came inside, warm-up and cold ones too: what they took
    can't be told apart. So do those that ended in an error, as far as the server counted.
    """
    spans = [
        (run.started_s + window.start_s, run.started_s + window.end_s)
        for run, window in zip(runs, windows, strict=True)
        if window.end_s > window.start_s
    ]
    if not spans:
        return None
    return energy(series, spans, list(_answers(runs)), idle)


def _answers(runs: Sequence[Run]) -> Iterator[Answer]:
    for run in runs:
        for record in run.records:
            first_s = record.ended_s if record.first_s is None else record.first_s
            yield Answer(
                begin_s=run.started_s + record.sent_s,
                first_s=run.started_s + first_s,
                last_s=run.started_s + (first_s if record.last_s is None else record.last_s),
                input_tokens=record.input_tokens or 0,
                output_tokens=record.output_tokens or 0,
            )

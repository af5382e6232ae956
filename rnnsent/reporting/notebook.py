"""Results as notebooks and `print` show them, made of the pages and tables of the commands."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from markupsafe import Markup

from rnnsent.evaluation.compare import RunComparison
from rnnsent.inference.trace import Trace
from rnnsent.reporting import trace_views
from rnnsent.reporting.comparison_page import comparison_page
from rnnsent.reporting.comparison_tables import comparison_lines
from rnnsent.reporting.report import Report, evaluation_facts
from rnnsent.reporting.run_page import evaluation_page
from rnnsent.reporting.tables import EvaluationView, evaluation_lines, record_notes
from rnnsent.runs.schemas import Evaluation

HEIGHT = 600  # of a page in a notebook, in pixels
FLIPS = 3  # texts that a comparison names, as `rnnsent compare`


def html(result: object) -> str:
    """Return the page of a result in a frame, so that its style and that of the notebook do not meet."""
    frame = '<iframe srcdoc="{}" title="rnnsent" style="width: 100%; height: {}px; border: 0"></iframe>'
    return str(Markup(frame).format(PAGES[type(result)](result), HEIGHT))


def text(result: object) -> str:
    """Return a result as its command prints it."""
    return TEXTS[type(result)](result)


def _evaluation_text(record: Evaluation) -> str:
    title = f"{record.split}, {record.texts:,} texts"
    return "\n".join(evaluation_lines(EvaluationView(title, record_notes(record), record, errors=[])))


def _trace_text(trace: Trace) -> str:
    from rich.console import Console

    stream = io.StringIO()
    trace_views.show(trace, Console(file=stream, width=trace_views.MAX_WIDTH, color_system=None, force_jupyter=False))
    return stream.getvalue().rstrip()


PAGES: dict[type[Any], Callable[[Any], str]] = {
    Evaluation: evaluation_page,
    Report: lambda report: report.page,
    RunComparison: lambda comparison: comparison_page(evaluation_facts(comparison.runs), comparison),
    Trace: trace_views.page,
}
TEXTS: dict[type[Any], Callable[[Any], str]] = {
    Evaluation: _evaluation_text,
    Report: repr,
    RunComparison: lambda comparison: "\n".join(comparison_lines(comparison, FLIPS)),
    Trace: _trace_text,
}

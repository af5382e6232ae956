"""What a study leaves: tables, Optuna's plots, the best config, and the result in lines and in JSON."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

from rnnsent.evaluation.plots import default_settings, write_plot
from rnnsent.files import disk_errors, json_line, table_writer, write_atomic
from rnnsent.runs.directory import CONFIG, Run
from rnnsent.runs.schemas import to_dict
from rnnsent.training import seeds
from rnnsent.tuning.folder import RESULT
from rnnsent.tuning.runs import best_value
from rnnsent.tuning.selection import Candidate, Difference, Selection
from rnnsent.tuning.study import ERROR, Study

BEST_CONFIG = "best.yaml"
TABLE = "trials.csv"
SHOWN_TRIALS = 4  # with their parameters in 80 columns
WIDTH = 10  # of a column
ALPHA = 0.05


def write_results(selection: Selection) -> str:
    """Write all into the study, which is then finished; return the line of JSON."""
    study, line = selection.study, _json(selection)
    _write_table(study)
    _draw_plots(study)
    with disk_errors(study.path):
        write_atomic(study.path / BEST_CONFIG, selection.run.read(CONFIG))
        write_atomic(study.path / RESULT, f"{line}\n")
    return line


def _write_table(study: Study) -> None:
    """Write trials.csv: a row for each trial, a column for each parameter."""
    buffer = io.StringIO()
    writer = table_writer(buffer)
    writer.writerow(["trial", "state", study.monitor, "epochs", "seconds", *study.space, "error"])
    for trial in study.trials:
        seconds = None if trial.duration is None else round(trial.duration.total_seconds(), 3)
        parameters = [trial.params.get(key) for key in study.space]
        error = trial.user_attrs.get(ERROR)
        state = trial.state.name.lower()
        writer.writerow([trial.number, state, trial.value, trial.last_step, seconds, *parameters, error])
    with disk_errors(study.path):
        write_atomic(study.path / TABLE, buffer.getvalue())


def _trial_lines(study: Study) -> list[str]:
    """Return the best trials side by side, a line for each parameter."""
    trials = study.ranking()[:SHOWN_TRIALS]
    rows: list[tuple[str, list[Any]]] = [("trial", [trial.number for trial in trials])]
    rows += [(study.monitor, [trial.value for trial in trials])]
    rows += [(key, [trial.params.get(key) for trial in trials]) for key in study.space]
    width = max(len(name) for name, _ in rows)
    return [f"  {name:<{width}}" + "".join(f"{_cell(value):>{WIDTH}}" for value in values) for name, values in rows]


def _cell(value: Any) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return f" {text}" if len(text) < WIDTH else f" {text[: WIDTH - 2]}…"


def _draw_plots(study: Study) -> None:
    """Draw Optuna's plots; what cannot be drawn, such as the importances of one trial, is logged."""
    with default_settings({"text.parse_math": True}), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna calls its plots experimental
        from matplotlib import pyplot
        from optuna.visualization import matplotlib as plots

        pyplot.switch_backend("agg")  # whatever a notebook has chosen
        functions: dict[str, Callable[..., Any]] = {
            "history": plots.plot_optimization_history,
            "importance": plots.plot_param_importances,  # by PED-ANOVA, which needs no scikit-learn
            "parallel_coordinate": plots.plot_parallel_coordinate,
        }
        for name, function in functions.items():
            draw = partial(function, study.study, target_name=study.monitor)
            write_plot(Run(study.path), f"{name}.png", partial(_png, draw))
            pyplot.close("all")


def _png(draw: Callable[[], Any]) -> bytes:
    figure, buffer = draw().figure, io.BytesIO()
    figure.set_size_inches(12, 6)
    figure.savefig(buffer, format="png", dpi=120, bbox_inches="tight")
    return buffer.getvalue()


def summary_lines(selection: Selection) -> list[str]:
    """Return the best trials, the best one with each seed, and whether it differs from the second."""
    study, (best, *_) = selection.study, selection.candidates
    lines = [f"{study.path}: {len(study.trials):,} trials by {study.monitor}", *_trial_lines(study), ""]
    lines += [f"trial {best.trial.number} with each seed:", *seeds.table(best.runs, "validation"), ""]
    if selection.difference is not None:
        lines += [f"{study.monitor} over the seeds: {', '.join(map(_spread, selection.candidates))}"]
        lines += [*_verdict(selection.difference), ""]
    return [*lines, f"best config: {study.path / BEST_CONFIG}", f"best run: {selection.run}"]


def _spread(candidate: Candidate) -> str:
    sd = "" if candidate.spread.sd is None else f" ± {candidate.spread.sd:.4f}"
    return f"trial {candidate.trial.number} {candidate.spread.mean:.4f}{sd}"


def _verdict(difference: Difference) -> list[str]:
    value, low, high = (100 * (number or 0.0) for number in vars(difference.accuracy).values())
    found = "the best differs from the second" if difference.p_value < ALPHA else "the best may be no better"
    return [
        f"{found}: accuracy {value:+.2f} points [{low:+.2f}, {high:+.2f}], p = {difference.p_value:.2g},",
        f"  on the same {difference.texts:,} validation texts, by which both were chosen",
    ]


def _json(selection: Selection) -> str:
    study, difference = selection.study, selection.difference
    candidates = [
        {
            "trial": candidate.trial.number,
            "value": candidate.trial.value,
            "parameters": candidate.trial.params,
            "runs": {str(run): best_value(run, study.monitor) for run in candidate.runs},
            **vars(candidate.spread),
        }
        for candidate in selection.candidates
    ]
    values = {
        "study": str(study.path),
        "monitor": study.monitor,
        "trials": len(study.trials),
        "best": candidates[0],
        "second": candidates[1] if difference is not None else None,
        "difference": None if difference is None else {**to_dict(difference), "differs": difference.p_value < ALPHA},
        "run": str(selection.run),
        "config": str(study.path / BEST_CONFIG),
        "fallback_used": selection.run.fallback_used,
    }
    return json_line(values)

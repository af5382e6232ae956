"""What a study leaves: tables, Optuna's plots, the best config, and the result in lines and in JSON."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from rnnsent.evaluation.plots import default_settings, write_plot
from rnnsent.files import disk_errors, json_line, table_writer, write_atomic
from rnnsent.runs.directory import CONFIG, Run
from rnnsent.runs.schemas import to_dict
from rnnsent.training import seeds
from rnnsent.tuning.folder import RESULT
from rnnsent.tuning.runs import best_value
from rnnsent.tuning.study import ERROR, Study

if TYPE_CHECKING:
    from rnnsent.tuning.selection import Selection

BEST_CONFIG = "best.yaml"
TABLE = "trials.csv"
SHOWN_TRIALS = 4  # with their parameters in 80 columns
WIDTH = 10  # of a column
ALPHA = 0.05


def write_results(selection: Selection) -> None:
    """Write table, plots, best config and the line of JSON into the study, which is then finished."""
    study = selection.study
    _draw_plots(study)
    with disk_errors(study.path):
        write_atomic(study.path / TABLE, _table(study))
        write_atomic(study.path / BEST_CONFIG, selection.run.read(CONFIG))
        write_atomic(study.path / RESULT, f"{_json(selection)}\n")


def _table(study: Study) -> str:
    """Return trials.csv: a row for each trial, a column for each parameter."""
    buffer = io.StringIO()
    writer = table_writer(buffer)
    writer.writerow(["trial", "state", study.monitor, "epochs", "seconds", *study.space, "error"])
    for trial in study.trials:
        seconds = None if trial.duration is None else round(trial.duration.total_seconds(), 3)
        parameters = [trial.params.get(key) for key in study.space]
        cells = [trial.number, trial.state.name.lower(), trial.value, trial.last_step, seconds, *parameters]
        writer.writerow([*cells, trial.user_attrs.get(ERROR)])
    return buffer.getvalue()


def _trial_lines(study: Study) -> list[str]:
    """Return the best trials side by side, a line for each parameter."""
    trials = study.ranking()[:SHOWN_TRIALS]
    rows: list[tuple[str, list[Any]]] = [("trial", [trial.number for trial in trials])]
    rows += [(study.monitor, [trial.value for trial in trials])]
    rows += [(key, [trial.params.get(key) for trial in trials]) for key in study.space]
    width = max(len(name) for name, _ in rows)
    return [f"  {name:<{width}}" + "".join(f"{_cell(value):>{WIDTH}}" for value in values) for name, values in rows]


def _cell(value: Any) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else re.sub(r'[{}"]', "", str(value))
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
    study, (best, *_), difference = selection.study, selection.candidates, selection.difference
    lines = [f"{study.path}: {len(study.trials):,} trials by {study.monitor}", *_trial_lines(study), ""]
    lines += [f"trial {best.trial.number} with each seed:", *seeds.table(best.runs, "validation"), ""]
    if difference is not None:
        value, low, high = (100 * (number or 0.0) for number in vars(difference.accuracy).values())
        found = "the best differs from the second" if difference.p_value < ALPHA else "the best may be no better"
        spreads = ((each.trial.number, each.spread.mean, each.spread.sd) for each in selection.candidates)
        means = [f"trial {number} {mean:.4f}" + (f" ± {sd:.4f}" if sd else "") for number, mean, sd in spreads]
        lines += [
            f"{study.monitor} over the seeds: {', '.join(means)}",
            f"{found}: accuracy {value:+.2f} points [{low:+.2f}, {high:+.2f}], p = {difference.p_value:.2g},",
            f"  on the same {difference.texts:,} validation texts, by which both were chosen",
            "",
        ]
    return [*lines, f"best config: {study.path / BEST_CONFIG}", f"best run: {selection.run}"]


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

"""The Python façade: `rnnsent.train`, `rnnsent.evaluate`, `rnnsent.compare`, `rnnsent.report`, `rnnsent.suspects`."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnsent.config.loader import load_config
from rnnsent.config.sections import Config, data_settings
from rnnsent.data.rows import find_rows
from rnnsent.runs.directory import DATA, Run
from rnnsent.runs.registry import open_run
from rnnsent.runs.schemas import Evaluation
from rnnsent.training import experiment, recipe
from rnnsent.training.initial_run import named_config

if TYPE_CHECKING:
    from rnnsent.evaluation.compare import RunComparison
    from rnnsent.evaluation.suspects import Suspects
    from rnnsent.reporting.report import Report


def train(
    config: str | Path | Config | None = None,
    settings: Mapping[str, Any] | None = None,
    *,
    data: Any = None,
    initial_run: str | Path | Run | None = None,
    run_dir: str | Path | None = None,
    force: bool = False,
    callbacks: Sequence[Any] = (),
    verbose: bool = True,
) -> Run:
    """Train what a config describes and return the finished run, as `rnnsent train` does.

    Args:
        config: the path of a YAML file, the name of a shipped config such as "lstm", or a `Config`; None: that of
            `initial_run`, or else a recipe for the table of `data`.
        settings: keys of the config by their dotted names, such as `{"training.epochs": 3}`; not for a `Config`.
        data: a file or folder of texts, or "imdb" or "sample", as `--data` on the command line; or a pandas DataFrame,
            whose columns are found as those of a table, or a list of (text, label). Its texts, labels, splits and
            groups are written to `data.jsonl` in the run, so that the run can be evaluated and resumed; whoever has
            the run can read them. Rows without a label or text (None, NaN) are left out and counted. Errors name a
            row by its position, from 0.
        initial_run: a run whose weights training begins with, as `--from` on the command line.
        run_dir: where the run goes; None chooses `runs/NAME-DATE-N`.
        force: replace the run in `run_dir`.
        callbacks: Keras callbacks; of an ensemble they follow each network.
        verbose: show on stderr what is used and how each epoch went, unless the logger "rnnsent" has a handler.

    Returns:
        The run, for `rnnsent.load`; its `metrics` are those of validation.

    Raises:
        RnnsentError: whatever is wrong with config, data, device or disk.
        TypeError: if `data` is something else, or `config`, `initial_run` and `data` are None.

    Example:
        >>> run = rnnsent.train(data="reviews.csv")
        >>> rnnsent.load(run).predict(["a fine film"])[0].label
        >>> rnnsent.train("lstm", data=list(zip(texts, labels)))
        >>> rnnsent.train(data="new.csv", initial_run=run)
    """
    own = config is None and initial_run is None
    if own and data is None:
        raise TypeError("a config, an initial_run or data are needed")
    rows = None if data is None or isinstance(data, str | Path) else find_rows(data)
    initial = None if initial_run is None else Path(str(initial_run))
    name = "config"
    if isinstance(config, Config):
        if settings or data is not None:
            raise TypeError("settings and data are for a config by name or path; a Config has its own")
        if initial is not None:
            config = replace(config, training=replace(config.training, initial_run=str(initial)))
    else:
        named = {} if data is None else data_settings(str(data) if rows is None else DATA)
        overrides = dict(settings or {}) | {f"data.{key}": value for key, value in named.items()}
        config, name = named_config(recipe.NAME if own else None if config is None else str(config), overrides, initial)
    given = dict(settings or {}) if own else None
    request = experiment.Request(name, callbacks=lambda _: callbacks, rows=rows, given=given)
    with logging_to_stderr(verbose):
        return experiment.train(config, request, run_dir=None if run_dir is None else Path(run_dir), force=force)


def evaluate(run: str | Path | Run, split: str = "test") -> Evaluation:
    """Evaluate a finished run on its test or validation texts, as `rnnsent eval` does.

    Returns:
        Metrics with 95 % intervals, confusion matrix, slices; a notebook shows them as tables, as does `print`.

    Raises:
        RnnsentError: if the run is unfinished or was changed, or its data are not there.
    """
    from rnnsent.evaluation import evaluate

    result = evaluate.evaluate(_opened(run), split)
    result.write()
    return result.record


def suspects(
    data: str | Path | Sequence[str | Path] | None = None,
    settings: Mapping[str, Any] | None = None,
    *,
    run: str | Path | Run | None = None,
) -> Suspects:
    """Find labels that are probably wrong, as `rnnsent data suspects` does.

    Args:
        data: files that are read as one table, a folder of texts, or "imdb" or "sample"; None: the data of `run`.
        settings: keys of the config by their dotted names, such as `{"data.label_column": "stars"}`.
        run: whose probabilities are used, for texts that it was not trained on; None: those of n-grams, out of fold.

    Returns:
        `rows`, the most suspicious first; `share`, the estimated share of wrong labels; `pairs()`; `write(path)`.

    Raises:
        RnnsentError: if cleanlab is not installed, or the data cannot be read.
        TypeError: if `data` is something else, `data` and `run` are None, or there are settings without data.

    Example:
        >>> found = rnnsent.suspects("reviews.csv")
        >>> found.rows[0].row, found.rows[0].label, found.rows[0].suggested_label
        >>> found.write("suspects.csv")
    """
    from rnnsent.evaluation.suspects import find_suspects

    if data is None and (run is None or settings):
        raise TypeError("data is needed" if run is None else "settings are for data; a run has its own")
    config = None
    if data is not None:
        if not isinstance(data, str | Path | list | tuple):
            raise TypeError(f"data must be a path or a list of paths, not {type(data).__name__}: write it to a file")
        sources = [data] if isinstance(data, str | Path) else data
        named = {f"data.{key}": value for key, value in data_settings(*map(str, sources)).items()}
        config = load_config("lstm", {**named, **(settings or {}), "data.fallback": None}).data
    return find_suspects(config, None if run is None else _opened(run))


def compare(
    first: str | Path | Run, other: str | Path | Run, *others: str | Path | Run, split: str = "test"
) -> RunComparison:
    """Test whether runs differ from the first on the same texts, as `rnnsent compare` does.

    Runs that were not evaluated on `split` yet are evaluated now.

    Returns:
        A comparison for each run except the first; a notebook shows them as a page, `print` as tables.

    Raises:
        RnnsentError: as `evaluate`; or if the runs have other texts in the split.

    Example:
        >>> result = rnnsent.compare("runs/lstm-2026-11-30-1", "runs/gru-2026-11-30-1").comparisons[0]
        >>> result.significant, result.differences["accuracy"]
    """
    from rnnsent.evaluation.compare import compare_runs
    from rnnsent.evaluation.evaluate import evaluation_of

    return compare_runs([evaluation_of(_opened(run), split) for run in (first, other, *others)])


def report(run: str | Path | Run, *others: str | Path | Run, split: str = "test") -> Report:
    """Return the page about a run, or that of several, as `rnnsent report` writes it.

    Runs that were not evaluated on `split` yet are evaluated now.

    Returns:
        The page, which a notebook shows; `write(path)` writes it.

    Raises:
        RnnsentError: as `compare`.
    """
    from rnnsent.reporting.report import report

    return report([_opened(each) for each in (run, *others)], split)


def _opened(run: str | Path | Run) -> Run:
    return run if isinstance(run, Run) else open_run(Path(run))


@contextmanager
def logging_to_stderr(verbose: bool) -> Iterator[None]:
    """Log what is used and how each epoch went to stderr, if `verbose` and the logger "rnnsent" has no handler."""
    logger = logging.getLogger("rnnsent")
    if not verbose or logger.hasHandlers():
        yield
        return
    handler, level = logging.StreamHandler(sys.stderr), logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)

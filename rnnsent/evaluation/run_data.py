"""The reviews that a finished run is judged on: those that it held back, and no others."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rnnsent.config import Config, DataConfig
from rnnsent.config.loader import load_config
from rnnsent.data.dataset import Dataset
from rnnsent.data.sources import load_dataset
from rnnsent.errors import DataError
from rnnsent.runs import artifacts as stored
from rnnsent.runs import directory as runs
from rnnsent.runs.directory import RunDirectory
from rnnsent.runs.run_facts import stopped


def own_reviews(
    run: RunDirectory, data: Mapping[str, str | None] | None, tell: Callable[[str], None]
) -> tuple[Config, dict[str, Any], Dataset]:
    """Return config, metrics and reviews of a finished run.

    Args:
        run: a finished one.
        data: `source` and `path` of the reviews, where they are no longer where the run's config says.
        tell: told if the run was stopped early.

    Raises:
        RunError: if it is unfinished or was changed.
        DataError: if its reviews cannot be had any more, or these are others.
    """
    run.verify()
    config = load_config(str(run.file(runs.CONFIG)))
    recorded = stored.load_metrics(run, config)
    if why := stopped(recorded):
        tell(f"{run}: {why}")
    # No fallback: a run is judged on the reviews that it was trained for, or not at all.
    asked = DataConfig.from_dict(config.data.to_dict() | {"fallback": None} | dict(data or {}))
    try:
        dataset = load_dataset(asked)
    except DataError as error:
        if error.fact is None:
            raise
        raise DataError(
            f"{error.fact}\n  These are not the reviews that {run} was trained on and held its others back from"
            f"{_on_others(run, asked.path)}"
        ) from None
    _require_same_data(run, recorded, dataset)
    return config, recorded, dataset


def _require_same_data(run: RunDirectory, recorded: dict[str, Any], dataset: Dataset) -> None:
    trained, found = recorded.get("data", {}).get("sha256"), dataset.provenance["sha256"]
    if trained != found:
        where = dataset.provenance.get("file", dataset.source)
        raise DataError(
            f"{where}: these are not the reviews that {run} was trained on and held its others back from (SHA-256 "
            f"{str(found)[:12]}…, not {str(trained)[:12]}…); name those with --data PATH"
            f"{_on_others(run, str(where)) if dataset.source == 'texts' else ''}"
        )


def _on_others(run: RunDirectory, path: str | None) -> str:
    """Return how a run is judged on texts that are not its own, such as those at `path`."""
    file = shlex.quote(path) if path is not None and Path(path).is_file() else "FILE"
    return (
        f".\n  To judge it on other texts, whose labels are in a column LABEL:\n"
        f"    rnnsent predict {run.address} --input {file} --keep LABEL --output answers.csv\n"
        "    rnnsent eval --predictions answers.csv --label-column LABEL"
    )

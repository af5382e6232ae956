"""MLflow: a run of the experiment `rnnsent`, in the store that MLflow chooses or $MLFLOW_TRACKING_URI names.

By default that is a database in the current folder, `mlflow.db`, with the files in `mlruns/`; `mlflow ui`, started
there, shows it. Nothing is sent anywhere unless the variable names a server.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from rnnsent import runs
from rnnsent.observers import EpochFacts, Observer
from rnnsent.trackers.tracker import Beginning, Ending, Network, Status, Tracker, flattened, without_passwords

if TYPE_CHECKING:
    import keras
    from mlflow.entities import Metric, Param

EXPERIMENT = "rnnsent"
FILES = (runs.CONFIG, runs.METRICS, runs.SUMMARY)
STATUS: dict[Status, str] = {"finished": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}

# No word to MLflow's makers, no lines on stderr, and no minutes of waiting for a server that has gone.
QUIETLY = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "CRITICAL",  # what fails is raised as well
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}


def tracker() -> Tracker:
    """Return the tracker."""
    return Mlflow()


class Mlflow(Tracker):
    """Writes through MLflow's client, so that a run that a notebook has open stays as it is."""

    def begin(self, beginning: Beginning) -> str:
        """Open a run with the config as its parameters."""
        for name, value in QUIETLY.items():
            os.environ.setdefault(name, value)
        from mlflow.tracking import MlflowClient

        self._run = beginning.run
        self._client = MlflowClient()
        found = self._client.get_experiment_by_name(EXPERIMENT)
        experiment = found.experiment_id if found is not None else self._client.create_experiment(EXPERIMENT)
        tags = {"data_sha256": beginning.data.get("sha256"), "data_source": beginning.data.get("source")}
        tags |= {"rnnsent_version": beginning.environment["packages"]["rnnsent"]}
        named = {name: str(value) for name, value in tags.items() if value is not None}
        run = self._client.create_run(experiment, run_name=beginning.run.path.resolve().name, tags=named)
        self._id = run.info.run_id
        self._log_params(flattened(beginning.config))
        return f"experiment {EXPERIMENT}, run {self._id} in {without_passwords(self._client.tracking_uri)}"

    def follow(self, network: Network) -> Observer:
        """Return what writes the curves of a network."""
        return _Network(self, network)

    def end(self, ending: Ending) -> None:
        """Write the final metrics and the files, and close the run."""
        try:
            self.log_metrics(ending.validation(), 0)
            self._client.set_tag(self._id, "status", ending.status)
            for name in FILES if ending.metrics is not None else ():
                self._client.log_artifact(self._id, str(self._run.file(name)))
        finally:
            self._client.set_terminated(self._id, STATUS[ending.status])

    def log_metrics(self, values: Mapping[str, float], step: int) -> None:
        """Write metrics of one step."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self._log(metrics=[Metric(_key(name), value, now, step) for name, value in values.items()])

    def _log_params(self, values: Mapping[str, str]) -> None:
        from mlflow.entities import Param
        from mlflow.utils.validation import MAX_PARAM_VAL_LENGTH, MAX_PARAMS_TAGS_PER_BATCH

        params = [Param(_key(name), value[:MAX_PARAM_VAL_LENGTH]) for name, value in values.items()]
        for start in range(0, len(params), MAX_PARAMS_TAGS_PER_BATCH):
            self._log(params=params[start : start + MAX_PARAMS_TAGS_PER_BATCH])

    def _log(self, metrics: Iterable[Metric] = (), params: Iterable[Param] = ()) -> None:
        self._client.log_batch(self._id, metrics=list(metrics), params=list(params))


class _Network(Observer):
    """Writes the epochs of one network."""

    def __init__(self, tracker: Mlflow, network: Network) -> None:
        self._tracker, self._network = tracker, network

    def on_epoch(self, facts: EpochFacts, best: bool, model: keras.Model) -> None:
        """Write what an epoch did."""
        self._tracker.log_metrics(self._network.named(facts), facts.epoch)


def _key(name: str) -> str:
    """Return a name as MLflow takes it: letters, digits and few signs, not too long."""
    from mlflow.utils.validation import MAX_ENTITY_KEY_LENGTH

    return re.sub(r"[^\w\-. /]", "_", name)[:MAX_ENTITY_KEY_LENGTH]

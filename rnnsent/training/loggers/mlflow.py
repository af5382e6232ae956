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

from rnnsent.runs import directory as runs
from rnnsent.training.loggers.tracker import Beginning, Ending, Network, Status, Tracker, flattened, without_passwords
from rnnsent.training.observers import EpochFacts, Observer

if TYPE_CHECKING:
    import keras
    from mlflow.entities import Metric, Param

EXPERIMENT = "rnnsent"
FILES = (runs.CONFIG, runs.METRICS, runs.SUMMARY)
STATUS: dict[Status, str] = {"finished": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}

NOT_THERE = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")  # the latter: no id of this store's form

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
        self.id = self._reopened(beginning) or self._opened(beginning)
        return f"experiment {EXPERIMENT}, run {self.id} in {without_passwords(self._client.tracking_uri)}"

    def _reopened(self, beginning: Beginning) -> str | None:
        """Let the run of a training that goes on go on; return its id, None where the store has no such run."""
        from mlflow.exceptions import MlflowException

        if beginning.id is None:
            return None
        try:
            run = self._client.get_run(beginning.id)
        except MlflowException as error:
            if error.error_code not in NOT_THERE:
                raise
            return None
        if run.info.lifecycle_stage != "active":  # somebody threw it away; nothing can be written to it
            return None
        self.id = run.info.run_id
        self._client.update_run(self.id, status="RUNNING")
        config = {_key(name): value[: _longest()] for name, value in flattened(beginning.config).items()}
        self._log_params({name: value for name, value in config.items() if name not in run.data.params})
        for name, value in config.items():
            if run.data.params.get(name, value) != value:  # a parameter cannot be written twice
                self._client.set_tag(self.id, f"changed.{name}", value)
        return str(self.id)

    def _opened(self, beginning: Beginning) -> str:
        found = self._client.get_experiment_by_name(EXPERIMENT)
        experiment = found.experiment_id if found is not None else self._client.create_experiment(EXPERIMENT)
        tags = {"data_sha256": beginning.data.get("sha256"), "data_source": beginning.data.get("source")}
        tags |= {"rnnsent_version": beginning.environment["packages"]["rnnsent"]}
        named = {name: str(value) for name, value in tags.items() if value is not None}
        run = self._client.create_run(experiment, run_name=beginning.run.path.resolve().name, tags=named)
        self.id = str(run.info.run_id)
        self._log_params(flattened(beginning.config))
        return self.id

    def follow(self, network: Network) -> Observer:
        """Return what writes the curves of a network."""
        return _Network(self, network)

    def end(self, ending: Ending) -> None:
        """Write the final metrics and the files, and close the run."""
        try:
            self.log_metrics(ending.validation(), 0)
            self._client.set_tag(self.id, "status", ending.status)
            for name in FILES if ending.metrics is not None else ():
                self._client.log_artifact(self.id, str(self._run.file(name)))
        finally:
            self._client.set_terminated(self.id, STATUS[ending.status])

    def log_metrics(self, values: Mapping[str, float], step: int) -> None:
        """Write metrics of one step."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self._log(metrics=[Metric(_key(name), value, now, step) for name, value in values.items()])

    def steps(self, name: str) -> set[int]:
        """Return the steps of a metric that the store has."""
        return {point.step for point in self._client.get_metric_history(self.id, _key(name))}

    def _log_params(self, values: Mapping[str, str]) -> None:
        from mlflow.entities import Param
        from mlflow.utils.validation import MAX_PARAMS_TAGS_PER_BATCH

        params = [Param(_key(name), value[: _longest()]) for name, value in values.items()]
        for start in range(0, len(params), MAX_PARAMS_TAGS_PER_BATCH):
            self._log(params=params[start : start + MAX_PARAMS_TAGS_PER_BATCH])

    def _log(self, metrics: Iterable[Metric] = (), params: Iterable[Param] = ()) -> None:
        self._client.log_batch(self.id, metrics=list(metrics), params=list(params))


class _Network(Observer):
    """Writes the epochs of one network."""

    def __init__(self, tracker: Mlflow, network: Network) -> None:
        self._tracker, self._network = tracker, network
        self._written: set[int] | None = None

    def on_epoch(self, facts: EpochFacts, best: bool, model: keras.Model) -> None:
        """Write what an epoch did, once: one that was over before a kill may be trained again, to the same values."""
        values = self._network.named(facts)
        if self._written is None:
            self._written = self._tracker.steps(list(values)[-1])
        if facts.epoch not in self._written:
            self._tracker.log_metrics(values, facts.epoch)


def _longest() -> int:
    """Return how many characters of a value MLflow takes."""
    from mlflow.utils.validation import MAX_PARAM_VAL_LENGTH

    return int(MAX_PARAM_VAL_LENGTH)


def _key(name: str) -> str:
    """Return a name as MLflow takes it: letters, digits and few signs, not too long."""
    from mlflow.utils.validation import MAX_ENTITY_KEY_LENGTH

    return re.sub(r"[^\w\-. /]", "_", name)[:MAX_ENTITY_KEY_LENGTH]

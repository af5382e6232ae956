"""Experiment trackers as Keras callbacks: TensorBoard, MLflow and Weights & Biases.

Nothing is sent to a network unless the user's environment says so: $MLFLOW_TRACKING_URI, $WANDB_MODE, $WANDB_API_KEY.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import keras

from rnnsent.config.sections import Config
from rnnsent.errors import Interrupted
from rnnsent.runs.schemas import flattened
from rnnsent.signals import DeferredSignals

logger = logging.getLogger(__name__)

T = TypeVar("T")
Status = Literal["finished", "stopped", "failed"]

PROJECT = "rnnsent"  # of W&B; the experiment of MLflow
RUN_TAG = "rnnsent_run"  # MLflow chooses the ids of its runs itself

# Defaults, set before the libraries are imported: no usage reports, no log lines about a new database, no minutes of
# retries when a server is gone.
ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "CRITICAL",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "WANDB_ERROR_REPORTING": "false",
}


def tracker_callbacks(
    names: Sequence[str], run_path: Path, config: Config, *, run_id: str, run_name: str
) -> list[keras.callbacks.Callback]:
    """Open a run in each tracker, or continue the one that an interrupted training has opened.

    In `model.fit`, the callbacks come after the one that completes the logs of an epoch. None of them ever raises.

    Args:
        names: of the trackers; their libraries are installed.
        run_path: directory of the run; TensorBoard and W&B write into its `logs/`.
        config: logged as parameters.
        run_id: identifies the training; the same id continues the same run of a tracker.
        run_name: shown by the trackers.
    """
    if names:
        os.environ.update(ENVIRONMENT | os.environ)
    run = TrackedRun(run_path, run_id, run_name, flattened(config.to_dict()))
    with DeferredSignals():
        return [TrackerCallback(name, run) for name in names]


def finish_trackers(
    callbacks: Sequence[keras.callbacks.Callback],
    metrics: Mapping[str, Any] | None = None,
    error: BaseException | None = None,
) -> None:
    """Log the metrics of the best epoch and close the runs, unless they are closed already.

    Args:
        callbacks: from `tracker_callbacks`.
        metrics: of the best epoch, as in history.csv; logged under dotted names such as `best.val_accuracy`.
        error: what ended the training early.
    """
    stopped = isinstance(error, KeyboardInterrupt | Interrupted)
    status: Status = "finished" if error is None else "stopped" if stopped else "failed"
    values = flattened({"best": metrics or {}})
    numbers = {name: float(value) for name, value in values.items() if isinstance(value, int | float)}
    with DeferredSignals():
        for callback in callbacks:
            callback.finish(numbers, status)


@dataclass(frozen=True)
class TrackedRun:
    """What a tracker is told of a run."""

    path: Path
    id: str
    name: str
    parameters: dict[str, object]


@dataclass(frozen=True)
class Tracker:
    """An open run of a tracker, and where the user finds it."""

    location: str
    callback: keras.callbacks.Callback
    log_summary: Callable[[dict[str, float]], object]
    close: Callable[[Status], object]


class TrackerCallback(keras.callbacks.Callback):  # type: ignore[misc]
    """Forward the hooks of Keras to a tracker until it raises; then log one warning and drop the tracker."""

    def __init__(self, name: str, run: TrackedRun) -> None:
        super().__init__()
        self._name = name
        self._tracker = self._call(TRACKERS[name], run)
        if self._tracker is not None:
            logger.info("%s: %s", name, self._tracker.location)

    def _call(self, function: Callable[..., T], *arguments: Any, **named: Any) -> T | None:
        try:
            with redirect_stdout(sys.stderr):  # stdout is for results
                return function(*arguments, **named)
        except Exception as error:
            self._tracker = None
            message = re.sub(r"//[^/\s]*@", "//", f"{type(error).__name__}: {error}")  # no passwords of a URI
            message = textwrap.shorten(message, 300, placeholder=" …")
            logger.warning("%s failed and is left out from now on; the training continues: %s", self._name, message)
            return None

    def forward(self, hook: str, *arguments: Any, **named: Any) -> None:
        """Call a hook of the tracker's own callback."""
        if self._tracker is not None:
            self._call(getattr(self._tracker.callback, hook), *arguments, **named)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Forward the epoch, counted from 1 as in history.csv."""
        self.forward("on_epoch_end", epoch + 1, logs)

    def finish(self, metrics: dict[str, float], status: Status) -> None:
        """Log the final metrics and close the run."""
        if self._tracker is not None:
            self._call(self._tracker.log_summary, metrics)
        if self._tracker is not None:
            self._call(self._tracker.close, status)
        self._tracker = None


def _forwarded(hook: str) -> Callable[..., None]:
    return lambda self, *arguments, **named: self.forward(hook, *arguments, **named)


for _hook in dir(keras.callbacks.Callback):
    if _hook.startswith(("on_", "set_")) and _hook not in vars(TrackerCallback):
        setattr(TrackerCallback, _hook, _forwarded(_hook))


def _open_tensorboard(run: TrackedRun) -> Tracker:
    """Write event files into the `logs/` of the run."""
    import tensorflow as tf

    folder = run.path / "logs" / "tensorboard"
    writer = tf.summary.create_file_writer(str(folder))

    class TensorBoard(keras.callbacks.TensorBoard):  # type: ignore[misc]
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            """Write the epoch at once: a training that is killed and resumed does not log it again."""
            super().on_epoch_end(epoch, logs)
            for writer in self._writers.values():
                writer.flush()

    callback = TensorBoard(folder, write_graph=False)  # Keras 3 has no graph to write

    def log_summary(metrics: dict[str, float]) -> None:
        with writer.as_default(step=0):
            for name, value in metrics.items():
                tf.summary.scalar(name, value)

    def close(status: Status) -> None:
        callback.on_train_end()  # Keras leaves it out when a training is interrupted; closing twice does nothing
        writer.close()

    with writer.as_default(step=0):  # indented: Markdown shows it as it is
        tf.summary.text("config", "\n".join(f"    {name}: {value}" for name, value in run.parameters.items()))
    return Tracker(f"tensorboard --logdir {run.path / 'logs'}", callback, log_summary, close)


def _open_mlflow(run: TrackedRun) -> Tracker:
    """Open a run of the experiment `rnnsent` in the store that $MLFLOW_TRACKING_URI names or MLflow uses by default.

    `mlflow.keras.MlflowCallback` is not used: it swallows its errors, so that each epoch would try and warn again; it
    logs the validation metrics twice, once without their epoch; and the optimizer settings that it logs as parameters
    must not change when a training is resumed.
    """
    import mlflow

    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name(PROJECT)
    experiment_id = client.create_experiment(PROJECT) if experiment is None else experiment.experiment_id
    previous = client.search_runs([experiment_id], f"tags.{RUN_TAG} = '{run.id}'")
    if previous:
        id = previous[0].info.run_id
        client.update_run(id, status="RUNNING")
    else:
        id = client.create_run(experiment_id, run_name=run.name, tags={RUN_TAG: run.id}).info.run_id

    def log(metrics: Mapping[str, float], step: int | None = None) -> None:
        mlflow.log_metrics(_valid_names(metrics), step=step, run_id=id)

    def close(status: Status) -> None:
        client.set_terminated(id, {"finished": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}[status])

    if not previous:  # a parameter cannot be changed
        mlflow.log_params(_valid_names(run.parameters), run_id=id)
    callback = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: log(logs, epoch))
    return Tracker(f"experiment {PROJECT}, run {id}", callback, log, close)


def _open_wandb(run: TrackedRun) -> Tracker:
    """Open a run of the project `rnnsent`, offline in the `logs/` of the run unless the environment says otherwise."""
    import wandb
    from wandb.integration.keras import WandbMetricsLogger

    class MetricsLogger(WandbMetricsLogger):  # type: ignore[misc]
        def _get_lr(self) -> None:
            """Leave the learning rate to the logs: W&B fails to read that of a schedule on JAX."""

    online = bool(os.environ.get("WANDB_MODE") or os.environ.get("WANDB_API_KEY"))
    folder = run.path / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    wandb_run = wandb.init(
        project=PROJECT,
        id=run.id.replace("/", "-"),
        resume="allow",
        name=run.name,
        dir=str(folder),
        mode=None if online else "offline",
        config=run.parameters,
        settings=wandb.Settings(silent=True, console="off", symlink=False, disable_git=True, disable_code=True),
    )

    def close(status: Status) -> None:
        wandb_run.finish(exit_code={"finished": 0, "stopped": 130, "failed": 1}[status])
        wandb.teardown()  # from here on nothing is written into the folder

    location = str(wandb_run.url) if online else f"wandb sync {Path(wandb_run.dir).parent}"
    return Tracker(location, MetricsLogger(), wandb_run.summary.update, close)


TRACKERS = {"tensorboard": _open_tensorboard, "mlflow": _open_mlflow, "wandb": _open_wandb}


def _valid_names(values: Mapping[str, T]) -> dict[str, T]:
    """Return the values under names that MLflow accepts: a label may hold any character."""
    return {re.sub(r"[^\w\-. /]", "_", name): value for name, value in values.items()}

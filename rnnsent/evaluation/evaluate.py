"""The evaluation of a finished run on one of its splits: computed, then written beside the run."""

from __future__ import annotations

import io
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from rnnsent.config.sections import DataConfig
from rnnsent.errors import RunError
from rnnsent.evaluation import plots
from rnnsent.evaluation.metrics import (
    coverage,
    metrics_of,
    part_accuracies,
    reliability_points,
    score,
    threshold_tables,
)
from rnnsent.evaluation.predictions import EvaluatedRun, Predictions, read_evaluation
from rnnsent.evaluation.run_data import Source, load_run_data, log_warnings
from rnnsent.evaluation.slices import Slice, accuracies, slices_of
from rnnsent.files import table_writer
from rnnsent.inference.predictor import load_calibration, load_run_predictor, validation_parts
from rnnsent.inference.thresholds import numbered
from rnnsent.runs.directory import Run, evaluation_name
from rnnsent.runs.schemas import Evaluation, Origin

logger = logging.getLogger(__name__)

MAX_ERRORS = 20
PLOTTED_SHARES = tuple(np.linspace(0.05, 1, 96).tolist())  # of the coverage curve


@dataclass(frozen=True)
class Options:
    """Where the texts of runs are, if not where the config says; backend and device as for `load_predictor`.

    With `thresholds`, {label: threshold}, labels are decided by calibrated probabilities, of validation texts, too.
    """

    source: Source | None = None
    backend: str = "auto"
    device: str = "auto"
    thresholds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class PredictionError:
    """A wrong prediction."""

    index: int  # of the text in its split, from 0, as in the predictions file
    # the real label, the predicted one and its probability; several labels are joined
    label: str
    predicted: str
    probability: float
    # where it is in its file, and its words as the network reads them; empty if unknown
    place: str
    text: str


@dataclass(frozen=True)
class Result(EvaluatedRun):
    """An evaluation that was just made: lines of the texts in their file, if known, and the most confident errors."""

    lines: list[int] | None = field(repr=False)
    errors: list[PredictionError]
    own_labels: bool = True  # see `RunData`

    def write(self) -> None:
        """Write record, predictions and plots into evaluations/; nothing else of the run changes.

        Raises:
            RunError: if the disk is full or may not be written to.
        """
        split, data, predictions = self.record.split, self.run.config.data, self.predictions
        # Before the record, so that there is none without its predictions.
        self.run.write(evaluation_name(split, "predictions", ".csv"), predictions.to_csv(data, self.lines))
        if self.record.confusion:
            self.run.write(evaluation_name(split, "confusion", ".csv"), self._confusion_csv(data.label_names))
        self.run.write_evaluation("", self.record)
        title = f"{self.run}: {split}"
        points = reliability_points(predictions.confidence, predictions.right)
        name = evaluation_name(split, "reliability", ".png")
        plots.write_plot(self.run, name, lambda: plots.reliability(points, title))
        rows = coverage(predictions.right, predictions.confidence, PLOTTED_SHARES)
        name = evaluation_name(split, "coverage", ".png")
        plots.write_plot(self.run, name, lambda: plots.coverage_curve(rows, title))

    def _confusion_csv(self, names: Sequence[str]) -> str:
        buffer = io.StringIO()
        rows = ([name, *row] for name, row in zip(names, self.record.confusion, strict=True))
        table_writer(buffer).writerows([["label", *(f"predicted {name}" for name in names)], *rows])
        return buffer.getvalue()


def evaluate(run: Run, split: str = "test", options: Options = Options()) -> Result:
    """Evaluate a finished run on its own texts.

    Args:
        run: a finished one.
        split: "test" or "validation". The calibration was fitted on the validation texts, so these are scored without.
        options: where the texts are, what computes, and what decides.

    Raises:
        RunError: if the run is unfinished or one of its files was changed.
        DataError: if its texts are not available any more.
    """
    data = load_run_data(run, options.source)
    origin = data.origin(split)
    thresholds = numbered(options.thresholds, run.config.data)
    calibrated = split != "validation" or bool(thresholds)
    predictor = load_run_predictor(run, backend=options.backend, device=options.device, calibrated=calibrated)
    logger.info("backend: %s", predictor)
    log_warnings(data, split)
    texts, labels = data.cut(split), run.config.data
    start_time = time.perf_counter()
    parts = validation_parts(run, predictor, texts) if split == "validation" else predictor.parts(texts)
    probabilities = predictor.calibration(predictor.mixed(parts))
    seconds = time.perf_counter() - start_time
    predictions = Predictions.of(texts.labels, probabilities, labels.targets, predictor.calibration.thresholds)
    by_threshold = predictions if calibrated else predictions.calibrated(load_calibration(run))
    predictions = predictions.decided(thresholds) if thresholds else predictions
    slices = slices_of(data.texts(split), data.dataset.vocabulary, [run.config.data], data.stars(split))
    record = evaluation_record(origin, predictions, labels.label_names, slices=slices, seconds=seconds)
    record = replace(record, thresholds=threshold_tables(by_threshold, labels.label_names))
    if len(parts) > 1 and not thresholds:
        record = replace(record, parts=part_accuracies(predictions, parts, predictor.calibration.thresholds))
    decode = data.dataset.vocabulary.decode
    errors = most_confident_errors(
        predictions, labels, lambda index: data.place(split, index), lambda index: decode(texts.sequence(index))
    )
    return Result(run, record, predictions, data.lines(split), errors, data.own_labels)


def evaluation_record(
    origin: Origin,
    predictions: Predictions,
    names: Sequence[str],
    *,
    slices: Sequence[Slice] = (),
    seconds: float = 0.0,
    labels_only: bool = False,
) -> Evaluation:
    """Return the record of an evaluation: of texts with `names` of labels, whose predictions took `seconds`.

    Args:
        labels_only: whether only predicted labels are known.
    """
    scores = score(predictions, labels_only=labels_only)
    return Evaluation(
        **vars(origin),
        seconds=round(seconds, 3),
        metrics=scores.metrics,
        confusion=scores.confusion,
        labels=dict(zip(names, scores.labels, strict=True)),
        slices=accuracies(slices, predictions.right),
        coverage=[] if labels_only else coverage(predictions.right, predictions.confidence),
        thresholds={} if labels_only else threshold_tables(predictions, names),
    )


def evaluation_of(run: Run, split: str, source: Source | None = None) -> EvaluatedRun:
    """Return the evaluation of a run: the one that was written, or else a new one, which is written now.

    Arguments and errors are those of `evaluate`.
    """
    run.verify()
    evaluation = read_evaluation(run, split)
    if evaluation is not None and metrics_of(run.config.data.targets).keys() <= evaluation.record.metrics.keys():
        return evaluation
    reason = "not evaluated" if evaluation is None else "not all metrics of this version were computed"
    logger.info("%s: %s on the %s texts yet; evaluating it now", run, reason, split)
    result = evaluate(run, split, Options(source))
    try:
        result.write()
    except RunError as error:  # such as a folder that may only be read
        logger.warning("the evaluation of %s was not written: %s", run, error)
    return result


def most_confident_errors(
    predictions: Predictions,
    data: DataConfig,
    place: Callable[[int], str],
    text: Callable[[int], str] = lambda index: "",
) -> list[PredictionError]:
    """Return the wrong predictions with the highest confidence; `data` names the labels."""
    cells = list(predictions.cells(data))
    errors = np.flatnonzero(~predictions.right)
    order = np.argsort(-predictions.confidence[errors], kind="stable")[:MAX_ERRORS]
    return [
        PredictionError(
            index=index,
            label=cells[index][0],
            predicted=cells[index][1],
            probability=float(predictions.confidence[index]),
            place=place(index),
            text=text(index),
        )
        for index in errors[order].tolist()
    ]

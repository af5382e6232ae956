"""The evaluation of a finished run on one of its splits: computed, then written beside the run."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from rnnsent.errors import RunError
from rnnsent.evaluation import plots
from rnnsent.evaluation.coverage import coverage
from rnnsent.evaluation.error_analysis import PredictionError, most_confident_errors
from rnnsent.evaluation.metrics import Sample, score
from rnnsent.evaluation.predictions import Predictions, read_csv
from rnnsent.evaluation.run_data import Source, load_run_data, log_warnings
from rnnsent.evaluation.slices import Slice, accuracies, slices_of
from rnnsent.inference.predictor import load_run_predictor
from rnnsent.runs.directory import Run, evaluation_name
from rnnsent.runs.schemas import Evaluation, Origin

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options:
    """How runs are evaluated.

    Attributes:
        source: where their texts are, if they are no longer where the config says.
        backend, device: as for `load_predictor`.
    """

    source: Source | None = None
    backend: str = "auto"
    device: str = "auto"


@dataclass(frozen=True)
class Result:
    """The evaluation of a run with what it was computed from.

    Attributes:
        run: which.
        record: what evaluations/SPLIT.json says.
        predictions: for the texts of the split.
        lines: of the texts in their file, if known.
        errors: the most confident ones.
    """

    run: Run
    record: Evaluation
    predictions: Predictions
    lines: list[int] | None = field(repr=False)
    errors: list[PredictionError]

    def write(self) -> None:
        """Write record, predictions and plots into evaluations/; nothing else of the run changes.

        Raises:
            RunError: if the disk is full or may not be written to.
        """
        split, names = self.record.split, self.run.config.data.label_names
        # The record last: it vouches for the predictions.
        self.run.write(evaluation_name(split, "predictions", ".csv"), self.predictions.to_csv(names, self.lines))
        self._write_plot("reliability", plots.reliability)
        self._write_plot("coverage", plots.coverage_curve)
        self.run.write_evaluation("", self.record)

    def _write_plot(self, kind: str, draw: Callable[[Predictions, str], bytes]) -> None:
        name = evaluation_name(self.record.split, kind, ".png")
        try:
            content = draw(self.predictions, f"{self.run}: {self.record.split}")
        except Exception as error:  # of matplotlib or its fonts: figures are worth more than a plot
            logger.warning("%s was not drawn: %s: %s", name, type(error).__name__, error)
        else:
            self.run.write(name, content)


def evaluate(run: Run, split: str = "test", options: Options = Options()) -> Result:
    """Evaluate a finished run on its own texts.

    Args:
        run: a finished one.
        split: "test" or "validation".
        options: where the texts are, and what computes.

    Raises:
        RunError: if the run is unfinished or one of its files was changed.
        DataError: if its texts are not available any more.
    """
    data = load_run_data(run, options.source)
    origin = data.origin(split)
    # Temperature and threshold were fitted on the validation texts, and are not scored on them.
    calibrated = split != "validation"
    predictor = load_run_predictor(run, backend=options.backend, device=options.device, calibrated=calibrated)
    logger.info("backend: %s", predictor)
    log_warnings(data, split)
    texts, names = data.cut(split), run.config.data.label_names
    started = time.perf_counter()
    probabilities = predictor(texts)
    seconds = time.perf_counter() - started
    predictions = Predictions.of(texts.labels, probabilities)
    slices = slices_of(data.texts(split), data.dataset.vocabulary, [run.config.data], data.stars(split))
    record = evaluation_record(origin, predictions, names, slices=slices, seconds=seconds)
    errors = most_confident_errors(
        predictions, names, lambda index: data.place(split, index), lambda index: data.words(split, index)
    )
    return Result(run, record, predictions, data.lines(split), errors)


def evaluation_record(
    origin: Origin,
    predictions: Predictions,
    names: Sequence[str],
    *,
    slices: Sequence[Slice] = (),
    seconds: float = 0.0,
    labels_only: bool = False,
) -> Evaluation:
    """Return the record of an evaluation.

    Args:
        origin: of the texts.
        predictions: for them.
        names: of the labels.
        slices: of the texts.
        seconds: that predicting took.
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
    )


def evaluation_of(run: Run, split: str, source: Source | None = None) -> tuple[Evaluation, Predictions]:
    """Return the evaluation of a run: the one that was written, or else a new one, which is written now.

    Args:
        run: a finished one.
        split: "test" or "validation".
        source: where the texts are, if they are no longer where the config says.

    Raises:
        RunError, DataError: as `evaluate`.
    """
    run.verify()
    written = _written(run, split)
    if written is not None:
        return written
    logger.info("%s: not evaluated on the %s texts yet; evaluating it now", run, split)
    result = evaluate(run, split, Options(source))
    try:
        result.write()
    except RunError as error:  # such as a folder that may only be read
        logger.warning("the evaluation of %s was not written: %s", run, error)
    return result.record, result.predictions


def _written(run: Run, split: str) -> tuple[Evaluation, Predictions] | None:
    """Return the evaluation of this very run that was written, if its predictions are there and agree with it."""
    record = run.evaluation(split, Evaluation)
    if record is None:
        return None
    try:
        predictions = read_csv(run.file(evaluation_name(split, "predictions", ".csv")), run.config.data.label_names)
    except RunError:
        return None
    return (record, predictions) if Sample(predictions).confusion.tolist() == record.confusion else None

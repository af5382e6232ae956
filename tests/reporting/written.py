"""Runs that were never trained: their files are written by hand, so that tests of reports take no training."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rnnsent.config.loader import dump_config, parse_config
from rnnsent.data.vocabulary import Vocabulary
from rnnsent.evaluation.metrics import coverage, score
from rnnsent.evaluation.predictions import Predictions
from rnnsent.inference.calibration import Calibration
from rnnsent.runs import directory, schemas
from rnnsent.runs.directory import Run, arrays_bytes, evaluation_name
from rnnsent.runs.schemas import Estimate, SliceAccuracy

HOSTILE = ("<script>alert(1)</script>", 'a "quoted" & $x^{2$ one', "__naïve \u202eback|`x`")
CONFIG = """\
data: {{source: texts, path: texts.csv, labels: {labels}, num_words: 50, maxlen: 30}}
model: {{embedding_dim: 8, recurrent: [{{cell: gru, units: {units}, bidirectional: true}}]}}
"""
TEXTS = 90


def write_run(
    path: Path,
    labels: tuple[str, ...] = ("negative", "positive"),
    *,
    seed: int = 0,
    sha256: str = "0" * 64,
    texts_sha256: str = "1" * 64,
) -> Run:
    """Write a finished run that was evaluated on its test texts, with hashes of its data file and of these texts."""
    quoted = "[" + ", ".join(f"'{label}'" for label in labels) + "]"
    config = parse_config(CONFIG.format(labels=quoted, units=4 + seed), "config.yaml")
    run = Run(path)
    counts = {split: dict.fromkeys(labels, TEXTS // len(labels)) for split in ("train", "validation", "test")}
    estimate = Estimate(0.75, 0.7, 0.8)
    for name, record in {
        directory.SETTINGS: config,
        directory.ENVIRONMENT: schemas.Environment(
            python="3.11.7",
            packages={"rnnsent": "0.1.0", "keras": "3.15.1"},
            platform="Linux",
            processor="a processor",
            cores=2,
            device=schemas.DeviceInfo("cpu"),
            backend="tensorflow",
            threads=2,
            seed=seed,
            git_commit=None,
            command=["/bin/rnnsent", "train", "--config", "a b.yaml"],
        ),
        directory.CALIBRATION: Calibration(
            temperature=1.5, threshold=0.5, texts=TEXTS, log_loss_before=0.5, log_loss_after=0.4
        ),
        directory.METRICS: schemas.TrainingMetrics(
            data=schemas.DataInfo(
                source="texts",
                fallback_used=False,
                sha256=sha256,
                file="/home/me/my `texts`|1.csv",
                format="csv",
                counts=counts,
                unknown_share=0.123,
                truncated_share=0.456,
            ),
            engine={"0:gru": schemas.LayerEngine("native", "the fastest")},
            epochs=3,
            best_epoch=2,
            interrupted=False,
            validation_texts=TEXTS,
            validation={"accuracy": estimate, "mcc": estimate, "f1": Estimate(None), "brier": estimate},
            seconds=12.0,
            peak_memory_mb=900.0,
            parameters=1234,
        ),
    }.items():
        run.write_record(name, record)
    run.write(directory.CONFIG, dump_config(config))
    run.write(directory.VOCABULARY, Vocabulary.build(["one two three"]).to_json())
    run.write(directory.SUMMARY, "embedding (Embedding)\n")
    run.write(directory.WEIGHTS, arrays_bytes({"embedding/embeddings": np.zeros((3, 8), np.float32)}))
    rows = [f"{n},1.0,0.{9 - n},0.{5 + n},0.{8 - n},0.7{n},0.001,1000.0,{4.0 * n},1.0,2.0" for n in (1, 2, 3)]
    head = "epoch,seconds,loss,accuracy,val_loss,val_accuracy,learning_rate,tokens_per_second,elapsed"
    run.write(directory.HISTORY, "\n".join([f"{head},gradient_norm,largest_gradient_norm", *rows]) + "\n")
    run.finish()
    evaluate_run(run, "test", seed, texts_sha256)
    return Run(path)


def origin(run: Run, split: str, data: str = "1" * 64) -> dict[str, object]:
    """Return what the files of evaluations begin with."""
    date = "2026-11-30T12:00:00Z"
    return {"run": run.sha256, "data": data, "date": date, "command": [], "split": split, "texts": TEXTS}


def evaluate_run(run: Run, split: str, seed: int = 0, data: str = "1" * 64) -> None:
    """Write an evaluation with random predictions that are mostly right."""
    labels = run.config.data.label_names
    rng = np.random.default_rng(seed)
    real = np.arange(TEXTS) % len(labels)
    probabilities = rng.dirichlet(np.ones(len(labels)), TEXTS) * 0.6 + 0.4 * np.eye(len(labels))[real]
    predictions = Predictions.of(real, np.round(probabilities, 4) / np.round(probabilities, 4).sum(1, keepdims=True))
    scores = score(predictions, resamples=100)
    slices = [("tiny", 5, (0.6, 0.23, 0.88)), ("weak", 900, (0.7, 0.67, 0.73)), ("strong", 900, (0.9, 0.88, 0.92))]
    run.write_evaluation(
        "",
        schemas.Evaluation(
            **origin(run, split, data),  # type: ignore[arg-type]
            seconds=0.5,
            metrics=scores.metrics,
            confusion=scores.confusion,
            labels=dict(zip(labels, scores.labels, strict=True)),
            slices=[
                SliceAccuracy(group="length", name=name, texts=texts, accuracy=Estimate(*ends))
                for name, texts, ends in slices
            ],
            coverage=coverage(predictions.right, predictions.confidence),
        ),
    )
    lines = list(range(2, TEXTS + 2))
    run.write(evaluation_name(split, "predictions", ".csv"), predictions.to_csv(run.config.data, lines))


def write_baseline(run: Run, accuracy: float) -> None:
    """Write the evaluation of a baseline with this accuracy."""
    metrics = {"accuracy": Estimate(accuracy, accuracy - 0.02, accuracy + 0.02)}
    record = schemas.BaselineEvaluation(**origin(run, "test"), seconds=3.0, metrics=metrics, strength=1.0, ngrams=9)  # type: ignore[arg-type]
    run.write_evaluation("baseline", record)


def write_robustness(run: Run, name: str, accuracy: Estimate) -> None:
    """Write a row of robustness."""
    rows = [SliceAccuracy(group="written for it", name=name, texts=64, accuracy=accuracy)]
    run.write_evaluation("robustness", schemas.RobustnessEvaluation(**origin(run, "test"), rows=rows))  # type: ignore[arg-type]

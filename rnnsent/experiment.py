"""The story of one experiment: config → data → model → training → run directory."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rnnsent import environment, probes, run_root, runs
from rnnsent.config import Config
from rnnsent.configfile import dump_config, load_config
from rnnsent.conflicts import training_rules
from rnnsent.data.dataset import Dataset, Partition, partition
from rnnsent.data.download import Progress
from rnnsent.data.sources import load_dataset
from rnnsent.data.statistics import embedding_rows
from rnnsent.engine.device import Device, start
from rnnsent.engine.paths import NATIVE, choose, describe
from rnnsent.errors import ConfigError, Interrupted, Problem
from rnnsent.interruption import HeldSignals
from rnnsent.judgment import evaluate
from rnnsent.prediction import load_predictor
from rnnsent.ratios import out_of_fold
from rnnsent.runs import RunDirectory, json_text
from rnnsent.yamldoc import dotted

logger = logging.getLogger(__name__)

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Trained:
    """A finished training: where it is, and what metrics.json says."""

    run: RunDirectory
    metrics: dict[str, Any] = field(repr=False)


def train(
    config: Config,
    name: str,
    *,
    run_dir: Path | None = None,
    force: bool = False,
    tell: Tell = lambda line: None,
    observers: Sequence[Any] = (),
    progress: Progress | None = None,
) -> Trained:
    """Train what `config` describes and leave a complete run directory.

    Args:
        config: the experiment.
        name: names the run directory where `run_dir` does not.
        run_dir: where the run goes; None chooses `runs/NAME-DATE-N`.
        force: replace the run in `run_dir`.
        tell: told, in lines for people, what is being used and why.
        observers: `training.Observer`s that follow along.
        progress: follows a download.

    Raises:
        RnnsentError: whatever is wrong with config, data, device or disk.
        Interrupted: after Ctrl-C; the best epoch so far has been kept.
    """
    _require_trainable(config)
    run = run_root.create_run(name, run_dir, force=force)
    try:
        return _train_into(run, config, name, tell, observers, progress)
    except BaseException:
        # A folder without a single finished epoch is of no use to anybody.
        if not run.file(runs.WEIGHTS).exists():
            run.discard()
        elif not run.finished:
            logger.warning("%s", run.unfinished())
        raise


def _train_into(
    run: RunDirectory, config: Config, name: str, tell: Tell, observers: Sequence[Any], progress: Progress | None
) -> Trained:
    started = time.perf_counter()
    dataset = load_dataset(config.data, progress=progress)
    resolved = _resolved(config, dataset)
    parts = partition(dataset, resolved.data)
    rows = embedding_rows(dataset, config.data.num_words)
    train, validation, ratios = parts.train, parts.validation, None
    if resolved.model.ngrams is not None:
        labels, seed = len(parts.label_names), config.training.seed
        ratios, train = out_of_fold(train, labels, resolved.model.ngrams, seed)
        validation = ratios.onto(validation)
    tell(describe_data(dataset, parts))
    # A signal inside the import of TensorFlow, or the building of a graph, could be lost or take the process down.
    with HeldSignals("stopping as soon as Keras has started; once more stops at once"):
        device = start(config.training.device)
        tell(f"device: {device}")
        paths = choose(resolved, device)
        tell(describe(paths))

        # Keras is imported from here on: after the data were parsed, so that their memory can be used again.
        from rnnsent.keeper import Keeper
        from rnnsent.models import model_for, summary_text, weights_of
        from rnnsent.training import fit

        model = model_for(
            resolved,
            num_words=rows,
            precision=config.training.precision,
            seed=config.training.seed,
            native=[layer.path == NATIVE for layer in paths],
        )
        plain = model_for(resolved, num_words=rows)
        run.write(runs.CONFIG, dump_config(resolved))
        run.write(runs.VOCABULARY, parts.vocabulary.to_json())
        if ratios is not None:
            run.write(runs.NGRAMS, ratios.to_npz())
        run.write(runs.ENVIRONMENT, json_text(environment.describe(device, config.training.seed)))
        run.write(runs.SUMMARY, summary_text(plain))
    tell(f"run: {run}")

    keeper = Keeper(run, plain, title=name)
    stopped: Interrupted | None = None
    try:
        fit(
            model,
            _batches(train, resolved, device, shuffle=True),
            _batches(validation, resolved, device, shuffle=False),
            config.training,
            label_names=parts.label_names,
            observers=[keeper, *observers],
        )
    except (KeyboardInterrupt, Interrupted) as interruption:
        stopped = keeper.close_early(interruption)

    with HeldSignals("the run is being completed, in seconds; once more leaves it unfinished") as signals:
        probabilities = load_predictor(resolved, weights_of(plain), ratios)(parts.validation)
        facts = {
            "data": _data_facts(dataset, config),
            "engine": {layer.layer: {"path": layer.path, "because": layer.because} for layer in paths},
            "epochs": len(keeper.history),
            "best_epoch": keeper.best_epoch,
            "interrupted": stopped is not None,
            "validation": evaluate(parts.validation.labels, probabilities).to_dict(),
            "test": None,
            "baseline": None,
            "seconds": round(time.perf_counter() - started, 3),
            "peak_memory_mb": round(environment.peak_memory_mb(), 1),
            "parameters": int(model.count_params()),
        }
        run.write(runs.METRICS, json_text(facts))
        run.write(runs.PROBES, json_text(probes.written(resolved, parts.vocabulary, weights_of(plain), ratios)))
        run.finish()
        run_root.mark_latest(run)
        if stopped is not None:
            signals.forget()  # it asked for what is happening anyway
    if stopped is not None:
        raise stopped
    return Trained(run, facts)


@dataclass(frozen=True)
class Summary:
    """The layers of a model."""

    text: str  # Keras' own table
    layers: list[dict[str, Any]]  # name, type, output_shape (None: any), parameters
    parameters: int


def summarize(config: Config) -> Summary:
    """Return the layers of the model that `config` describes.

    The data are only loaded where they decide the size of the embedding, or of the output.
    """
    rows = config.data.num_words
    if rows is None or config.data.source == "texts":
        dataset = load_dataset(config.data)
        config = _resolved(config, dataset)
        rows = embedding_rows(dataset, config.data.num_words)
    start("cpu")

    from rnnsent.models import layer_facts, model_for, summary_text

    model = model_for(config, num_words=rows)
    return Summary(summary_text(model), layer_facts(model), int(model.count_params()))


def summarize_run(run: RunDirectory) -> Summary:
    """Return the layers of the model of a finished run.

    Raises:
        RunError: if the run is unfinished or one of its files was changed.
    """
    run.verify()
    start("cpu")

    from rnnsent.models import layer_facts, rebuild_model

    model = rebuild_model(load_config(str(run.file(runs.CONFIG))), runs.load_weights(run))
    text = run.file(runs.SUMMARY).read_text(encoding="utf-8")
    return Summary(text, layer_facts(model), int(model.count_params()))


def describe_data(dataset: Dataset, parts: Partition) -> str:
    """Return one line about the reviews in use."""
    counts = f"{len(parts.train):,} to train on, {len(parts.validation):,} to validate, {len(parts.test):,} to test"
    file = dataset.provenance.get("file")
    rebuilt = "" if dataset.provenance.get("official_file", True) else ", not Keras' own file"
    return f"data: {dataset.source}, {counts}" + (f" ({file}{rebuilt})" if file else "")


def _batches(split: Any, config: Config, device: Device, *, shuffle: bool) -> Any:
    from rnnsent.batches import Batches

    # XLA, which JAX always goes through, compiles anew for every shape it sees.
    return Batches.from_config(split, config, shuffle=shuffle, multiple=1 if device.backend == "tensorflow" else 50)


def _require_trainable(config: Config) -> None:
    problems = [Problem("", dotted(path), rule, json.dumps(given)) for path, rule, given in training_rules(config)]
    if problems:
        raise ConfigError(problems)


def _resolved(config: Config, dataset: Dataset) -> Config:
    """Return the config with what was really used: the fallback instead of what could not be had."""
    changes: dict[str, Any] = {}
    if dataset.source == "texts":
        changes = {"labels": list(dataset.label_names)}
        for key in ("text_column", "label_column", "split_column", "group_column"):
            changes[key] = getattr(config.data, key) or dataset.provenance.get(key.replace("_", " "))
    if dataset.source != config.data.source:
        changes = {"source": dataset.source, "path": None, "fallback": None}
    elif config.data.path is not None:
        # Absolute: the run may be read from another folder.
        for key in ("path", "test_path"):
            if getattr(config.data, key) is not None:
                changes[key] = str(Path(getattr(config.data, key)).resolve())
    return config.model_copy(update={"data": config.data.model_copy(update=changes)})


def _data_facts(dataset: Dataset, config: Config) -> dict[str, Any]:
    fallback = dataset.source != config.data.source
    return {"source": dataset.source, "fallback_used": fallback, "sha256": None} | dataset.provenance

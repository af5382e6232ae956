"""What is known when training is over: calibration, metrics, model card; then the manifest."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from rnnsent.config import Config
from rnnsent.config.loader import dump_config
from rnnsent.evaluation import evaluate as judgment
from rnnsent.inference.predictor import load_predictor
from rnnsent.reporting import model_card
from rnnsent.runs import artifacts as stored
from rnnsent.runs import directory as runs
from rnnsent.runs.directory import RunDirectory, json_text
from rnnsent.training import checkpoint as checkpoints
from rnnsent.training import environment
from rnnsent.training.features import Prepared
from rnnsent.training.loggers.following import Trackers
from rnnsent.training.trainer import Network

Tell = Callable[[str], None]


def completed(
    run: RunDirectory,
    config: Config,
    reviews: Prepared,
    networks: Sequence[Network],
    begun_with: dict[str, Any],
    started: float,
    tell: Tell,
    trackers: Trackers,
    *,
    interrupted: bool,
) -> dict[str, Any]:
    """Write what is known when training is over, and the manifest; return what metrics.json says.

    `begun_with` is what networks began with, vectors and a language model, for metrics.json.
    """
    asked = len(config.members)
    config, parameters = _as_trained(run, config, networks)
    weights = stored.read_weights(run, run.trained)
    predictor = load_predictor(config, weights, reviews.ratios, device=networks[0].device.name)
    validation = reviews.parts.validation
    if config.training.calibrate:
        predictor, calibrated = judgment.calibrated(predictor, validation)
        run.write(runs.CALIBRATION, json_text(calibrated))
        tell(f"calibration: {predictor.calibration}")
    facts = _course(config, reviews, networks, interrupted) | {
        "validation_reviews": len(validation),
        "validation": judgment.evaluate(validation.labels, predictor(validation)).to_dict(),
        "test": None,
        "baseline": None,
        "seconds": round(time.perf_counter() - started, 3),
        "peak_memory_mb": round(environment.peak_memory_mb(), 1),
        "parameters": parameters,
    }
    if config.ensemble is not None:
        facts["networks_asked_for"] = asked
        facts["networks"] = [network.course() for network in networks]
    facts |= begun_with
    _write_metrics(run, facts, trackers)
    if run.file(runs.MODEL_CARD).exists():  # somebody completed that of a training which now went on
        tell(model_card.stays(run))
    else:
        run.write(runs.MODEL_CARD, model_card.of_run(run, config, facts))
    if not interrupted:
        taught = range(1, config.training.teaching_networks + 1)
        for each in [*(network.keeper.run for network in networks), *map(run.teacher, taught)]:
            checkpoints.keep_newest(each)
    run.finish()
    return facts


def _as_trained(run: RunDirectory, config: Config, networks: Sequence[Network]) -> tuple[Config, int]:
    """Write config and summary as they are of what was trained; return the config, and how many parameters it has."""
    from rnnsent.models.summary import of_models

    if config.ensemble is not None and len(networks) < len(config.members):
        config = replace(config, ensemble=config.ensemble[: len(networks)])
        run.write(runs.CONFIG, dump_config(config))
    summary = of_models([network.plain for network in networks])
    if config.ensemble is not None:
        run.write(runs.SUMMARY, summary.text)
    return config, summary.parameters


def _course(config: Config, reviews: Prepared, networks: Sequence[Network], interrupted: bool) -> dict[str, Any]:
    """Return what metrics.json says of how it was trained, and on what."""
    first = networks[0]
    engine: dict[str, dict[str, str]] = {}
    for number, network in enumerate(networks, start=1):
        of = "" if config.ensemble is None else f"network {number}, "
        engine |= {f"{of}{layer}": path for layer, path in network.course()["engine"].items()}
    return {
        "data": reviews.facts,
        "engine": engine,
        "epochs": sum(len(network.keeper.history) for network in networks),
        "best_epoch": first.keeper.best_epoch if config.ensemble is None else None,
        "interrupted": interrupted,
    }


def _write_metrics(run: RunDirectory, facts: dict[str, Any], trackers: Trackers) -> None:
    """Write metrics.json, let the trackers end, and note which of them failed, be it at the very end."""
    facts |= {"trackers": trackers.facts} if trackers.facts else {}
    run.write(runs.METRICS, json_text(facts))
    trackers.end("stopped" if facts["interrupted"] else "finished", facts)
    if facts.get("trackers", {}) != trackers.facts:
        facts["trackers"] = trackers.facts
        run.write(runs.METRICS, json_text(facts))

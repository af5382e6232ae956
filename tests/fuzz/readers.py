"""The readers that are fed with damaged and forged files: what each reads, and how files for it come to be."""

from __future__ import annotations

import gzip
import io
import random
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rnnsent.training.observers import EpochFacts

from rnnsent.cli.commands import summary
from rnnsent.config.loader import dump_config, load_config, parse_config
from rnnsent.config.yaml_reader import dump
from rnnsent.data.folders import aclimdb_source
from rnnsent.data.imdb import read_npz
from rnnsent.data.tables import Columns, ReadOptions, open_table, table_source
from rnnsent.data.vocabulary import Vocabulary
from rnnsent.errors import count
from rnnsent.evaluation.compare import read_predictions as own_predictions
from rnnsent.evaluation.external_predictions import read_predictions
from rnnsent.inference.calibration import NONE, Calibration
from rnnsent.inference.predictor import load_ngram_weights
from rnnsent.inference.verify import verify, written
from rnnsent.models import embeddings as vectors
from rnnsent.models.network import weight_shapes
from rnnsent.reporting import about, model_card
from rnnsent.reporting import report as single
from rnnsent.reporting.facts import Facts
from rnnsent.reporting.model_card import RunFacts
from rnnsent.runs import artifacts as stored
from rnnsent.runs import sealed
from rnnsent.runs.directory import RunDirectory
from rnnsent.runs.schemas import Before
from rnnsent.training import checkpoint as checkpoints
from rnnsent.training import fingerprint as origin
from rnnsent.training.seeds import Plan, begin
from tests.fuzz import seeds
from tests.fuzz.mutation import changed_tree

HARMLESS = {"\n", "\u00a0", "\u200c", "\u200d"}  # what does not steer a terminal, though it is not seen
ENCODINGS = (None, None, None, "utf-8", "utf-16", "cp1252", "latin-1", "utf-7", "idna", "shift_jis")


@dataclass(frozen=True)
class Reader:
    """One way into the program.

    Attributes:
        file: the name of what is read, in an empty folder.
        whole: valid contents.
        forge: makes contents of odd structure.
        read: reads it; what it raises must be for people.
    """

    file: str
    whole: list[bytes]
    forge: seeds.Forge
    read: Callable[[Path], object]


def _checkpoint(path: Path) -> object:
    """Read a checkpoint, and do with its numbers what a training does that goes on."""
    found = checkpoints.read(RunDirectory(path.parent.parent), "checkpoints/epoch-0001.npz")
    history = [EpochFacts(**facts) for facts in found.facts["history"]]
    numbers = [value for epoch in history for value in asdict(epoch).values()]
    return np.array([*numbers, found.facts["elapsed"], found.facts["seconds"]], np.float64), found.curve()


def _trees(tree: Any, written: Callable[[Any], bytes] = seeds.as_json) -> seeds.Forge:
    return lambda odd, rng: written(changed_tree(tree, odd, rng))


def _yaml(tree: Any) -> bytes:
    try:
        return dump(tree).encode("utf-8", "surrogatepass")
    except Exception:  # not everything has a form in YAML; JSON is one nearly always
        return seeds.as_json(tree)


def _config(path: Path) -> object:
    return dump_config(load_config(str(path)))


def _imdb(path: Path) -> object:
    return read_npz(path, ("x_train", "y_train"))


def _table(path: Path) -> object:
    """Read a table in one of several ways, by chance that its contents decide."""
    chance = random.Random(path.read_bytes())
    table = open_table(path, ReadOptions(encoding=chance.choice(ENCODINGS), quotes=chance.random() < 0.8))
    if chance.random() < 0.2:
        return read_predictions(path, label_column="label", probability_column="text")
    return list(
        table_source([table], Columns("text", "label", "split" if chance.random() < 0.3 else None)).records(None)
    )


def _probes(path: Path) -> object:
    run = RunDirectory(path.parent)
    run.file("config.yaml").write_text(PROBED_CONFIG)
    run.file("vocabulary.json").write_text(PROBED_VOCABULARY.to_json())
    run.file("weights.npz").write_bytes(seeds.npz(PROBED_WEIGHTS))
    run.finish()
    return verify(run, ("numpy",))


def _plan(path: Path) -> object:
    begin(path.parent, Plan(("--config", "gru"), (0, 1), False, {"training": {"epochs": 2}, "data": 1}), force=False)
    return Plan.read(path.parent)


def _manifest(path: Path) -> object:
    run = RunDirectory(path.parent)
    run.manifest()
    if path.stat().st_size % 2:  # either would hide the other
        return stored.load_weights(run)
    run.verify()
    return None


def _ratios(path: Path) -> object:
    run = RunDirectory(path.parent)
    run.file("manifest.json").write_bytes(seeds.manifest({"ngrams.npz": []}))
    return load_ngram_weights(run)


def _calibration(path: Path) -> object:
    return Calibration.from_dict(RunDirectory(path.parent).read_json(path.name), str(path))


PROBED_CONFIG = "data: {source: sample, num_words: 7}\nmodel: {embedding_dim: 2, recurrent: [{cell: gru, units: 2}]}\n"
PROBED_VOCABULARY = Vocabulary(("film", "good", "bad"), 7)
_SHAPES = weight_shapes(parse_config(PROBED_CONFIG, "config.yaml"), 7)
PROBED_WEIGHTS = {name: np.full(shape, 0.1, np.float32) for name, shape in _SHAPES.items()}
OF_A_RUN = parse_config(
    "data: {source: sample}\nmodel: {recurrent: [{cell: gru}]}\nensemble: [{}, {}]\n", "config.yaml"
)


def told(run: RunDirectory, metrics: dict[str, Any], environment: dict[str, Any]) -> object:
    """Make of a run's records what people read of them: its card, and of a report all that is not drawn."""
    card = model_card.render(RunFacts("run", "run", OF_A_RUN, metrics, environment, 9, {"weights.npz": 9}))
    labels, probabilities = np.array([0, 1, 1]), np.array([[0.4, 0.6], [0.2, 0.8], [0.7, 0.3]])
    for split in model_card.SPLITS:
        if metrics.get(split):
            predicted = probabilities.argmax(axis=1)
            said = (labels, predicted, probabilities)
            facts = Facts(run, "run", split, OF_A_RUN, metrics, environment, (), *said, NONE, (), {}, {})
            blocks = (single.headline, single.confusion, about.task, about.reproduction)
            assert [list(block(facts)) for block in blocks] and about.notes(facts) is not None
    return card


def _metrics(path: Path) -> object:
    run = RunDirectory(path.parent)
    return told(run, stored.load_metrics(run, OF_A_RUN), seeds.ENVIRONMENT)


def _environment(path: Path) -> object:
    run = RunDirectory(path.parent)
    return told(run, seeds.METRICS, stored.load_environment(run))


def _origin(path: Path) -> object:
    run = RunDirectory(path.parent)
    run.file("config.yaml").write_text(dump_config(OF_A_RUN))
    then = origin.read(run)
    assert then is not None
    config = origin.config_of(run, {})
    now = {**ORIGIN, "config": config.to_dict()}
    gone_on = origin.with_changes(now, then, origin.require_same(run, then, now, allowed=True).values())
    origin.write(run, gone_on)
    return gone_on


def _language_model(path: Path) -> object:
    run = RunDirectory(path.parent)
    found = sealed.read(run, path.name, Before)
    return told(run, {**seeds.METRICS, "language_model": found}, seeds.ENVIRONMENT)


def _predictions(path: Path) -> object:
    return own_predictions(stored.read_text(path), ("negative", "positive"), str(path))


def _summary(path: Path) -> object:
    run = RunDirectory(path.parent)
    run.finish()
    command = summary.command.callback
    assert command is not None
    with redirect_stdout(io.StringIO()) as shown:
        command(run.path, None, (), None, None, None, False)
    odd = {char for char in shown.getvalue() if not char.isprintable()} - HARMLESS
    assert not odd, f"shows {sorted(odd)!a}"
    return shown


def _killed(path: Path) -> object:
    """Read the history of a training that was killed, which left no checkpoint."""
    run = RunDirectory(path.parent)
    epochs = run.epochs_in()
    assert epochs == max(0, len(io.BytesIO(path.read_bytes()).readlines()) - 1), "epochs may be trained over"
    told = run.unfinished()
    assert (f"{count(epochs, 'whole epoch')} kept" in told) == (epochs > 0), told
    assert all(char.isprintable() or char == "\n" for char in told), f"tells {told!a}"
    return checkpoints.newest(run)


def _vectors(path: Path) -> object:
    return vectors.load(path, Vocabulary(("film", "good", "bad")), 7, 3, 0)


ORIGIN = {
    "name": "gru", "training": "ab12", "command": ["rnnsent", "train"], "config": OF_A_RUN.to_dict(),
    "data": {"train": "00ff", "validation": "ff00"}, "versions": {"python": "3.11.7", "code": None},
    "machine": {"processor": "x", "device": "cpu", "backend": "tensorflow", "threads": 2, "engine": {"1": "0:gru"}},
    "changes": ["config.training.epochs: 1 → 2"],
}  # fmt: skip
PROBES = written(parse_config(PROBED_CONFIG, "config.yaml"), PROBED_VOCABULARY, PROBED_WEIGHTS)

READERS = {
    "config": Reader("config.yaml", [*seeds.CONFIGS, _yaml(seeds.CONFIG)], _trees(seeds.CONFIG, _yaml), _config),
    "imdb.npz": Reader("imdb.npz", [seeds.imdb([[1, 2, 3], [4, 500], []])], seeds.forged_imdb, _imdb),
    "weights.npz": Reader("weights.npz", [seeds.npz(seeds.WEIGHTS)], seeds.forged_npz, stored.read_arrays),
    "ngrams.npz": Reader("ngrams.npz", [seeds.npz(seeds.RATIOS)], seeds.forged_npz, _ratios),
    "checkpoint": Reader(
        "checkpoints/epoch-0001.npz",
        [seeds.checkpoint(seeds.FACTS)],
        _trees(seeds.FACTS, seeds.checkpoint),
        _checkpoint,
    ),
    "csv": Reader("t.csv", [seeds.csv(seeds.ROWS), seeds.csv(seeds.ROWS, ";")], _trees(seeds.ROWS, seeds.csv), _table),
    "csv.gz": Reader(
        "t.csv.gz",
        [gzip.compress(seeds.csv(seeds.ROWS))],
        lambda odd, rng: gzip.compress(seeds.csv(changed_tree(seeds.ROWS, odd, rng)), 1),
        _table,
    ),
    "jsonl": Reader("t.jsonl", [seeds.jsonl(seeds.ROWS)], _trees(seeds.ROWS, seeds.jsonl), _table),
    "tar": Reader("t.tar.gz", [seeds.tar([], None)], seeds.tar, lambda path: list(aclimdb_source(path).records(None))),
    "vocabulary": Reader(
        "vocabulary.json",
        [seeds.as_json(seeds.VOCABULARY)],
        _trees(seeds.VOCABULARY),
        lambda path: Vocabulary.load(path),
    ),
    "word index": Reader(
        "index.json",
        [seeds.as_json(seeds.INDEX)],
        _trees(seeds.INDEX),
        lambda path: Vocabulary.from_word_index(path, 10),
    ),
    "manifest": Reader("manifest.json", [seeds.manifest(seeds.FILES)], _trees(seeds.FILES, seeds.manifest), _manifest),
    "calibration": Reader(
        "calibration.json", [seeds.as_json(seeds.CALIBRATION)], _trees(seeds.CALIBRATION), _calibration
    ),
    "metrics": Reader("metrics.json", [seeds.as_json(seeds.METRICS)], _trees(seeds.METRICS), _metrics),
    "environment": Reader(
        "environment.json", [seeds.as_json(seeds.ENVIRONMENT)], _trees(seeds.ENVIRONMENT), _environment
    ),
    "origin": Reader("origin.json", [seeds.sealed_json(ORIGIN)], _trees(ORIGIN, seeds.sealed_json), _origin),
    "language model": Reader(
        "language_model.json",
        [seeds.sealed_json(seeds.LANGUAGE_MODEL)],
        _trees(seeds.LANGUAGE_MODEL, seeds.sealed_json),
        _language_model,
    ),
    "history": Reader(
        "history.csv",
        [seeds.rows(seeds.EPOCHS)],
        _trees(seeds.EPOCHS, seeds.rows),
        lambda path: stored.load_history(RunDirectory(path.parent), path.name),
    ),
    "killed": Reader("history.csv", [seeds.rows(seeds.EPOCHS[:1])], _trees(seeds.EPOCHS, seeds.rows), _killed),
    "summary": Reader("summary.txt", [seeds.SUMMARY], seeds.forged_summary, _summary),
    "predictions": Reader(
        "predictions-test.csv",
        [seeds.rows(seeds.PREDICTIONS)],
        _trees(seeds.PREDICTIONS, seeds.rows),
        _predictions,
    ),
    "probes": Reader("probes.json", [seeds.as_json(PROBES)], _trees(PROBES), _probes),
    "seeds": Reader("seeds.json", [seeds.as_json(seeds.PLAN)], _trees(seeds.PLAN), _plan),
    "vectors": Reader("v.txt", seeds.VECTORS, seeds.forged_vectors, _vectors),
}

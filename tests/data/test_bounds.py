"""What a config of a stranger may ask for: refused before memory is taken for it."""

from __future__ import annotations

import resource
import shutil
from pathlib import Path

import numpy as np
import pytest

from rnnsent.cli.options import overrides
from rnnsent.config.loader import parse_config
from rnnsent.config.sections import Config
from rnnsent.data import batching as batches
from rnnsent.data.batching import Batches
from rnnsent.data.dataset import Split
from rnnsent.errors import ConfigError, DataError, RunError
from rnnsent.inference import predictor as prediction
from rnnsent.inference.classifier import load
from rnnsent.inference.predictor import load_predictor
from rnnsent.models.builder import build_model, rebuild_model
from rnnsent.models.weights import weight_shapes
from rnnsent.runs.directory import RunDirectory
from tests.conftest import rnnsent

NETWORK = "model: {recurrent: [{cell: gru}]}\n"


@pytest.mark.parametrize(
    ("key", "value", "rule"),
    [
        ("data.maxlen", "10000000000", "must be at most 131072"),
        ("data.num_words", "1000000000", "must be at most 10000000"),
        ("model.embedding_dim", "1000000", "must be at most 16384"),
        ("model.recurrent.0.units", "1000000", "must be at most 16384"),
        ("model.recurrent", "[" + "{cell: gru}," * 65 + "]", "must have at most 64 items"),
        ("model.dense", "[" + "{units: 1}," * 65 + "]", "must have at most 64 items"),
        ("model.dense", "[{units: 1000000}]", "must be at most 16384"),
        ("model.language_model", "{batch_size: 10000000}", "must be at most 1048576"),
        ("model.language_model", "{samples: 10000000}", "must be at most 65536"),
        ("model.vectors", "{word2vec: {window: 1000000000000}}", "must be at most 1000"),
        ("model.ngrams", "{folds: 1000000000000}", "must be at most 1000"),
        ("model.ngrams", "{strength: 1.0e300}", "must be at most 1000000"),
        ("training.class_weights", "{negative: 1.0e300, positive: 1.0}", "at most 1e30"),
        ("training.schedule", "{kind: exponential, final_fraction: 1.0e-320}", "must be at least 1e-09"),
        ("training.epochs", "1000000000000", "must be at most 1000000"),
        ("training.batch_size", "10000000", "must be at most 1048576"),
        ("ensemble", "[" + "{}," * 65 + "]", "must have at most 64 items"),
        ("ensemble", "[{embedding_dim: 1000000}, {}]", "must be at most 16384"),
    ],
)
def test_a_config_has_bounds_and_the_message_names_them(key: str, value: str, rule: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse_config(NETWORK, "c.yaml", overrides([f"{key}={value}"]))
    found = str(raised.value)
    assert key in found and rule in found


def config_of(*settings: str) -> Config:
    return parse_config(NETWORK, "c.yaml", overrides(settings))


def weights_for(config: Config, num_words: int = 20) -> dict[str, np.ndarray]:
    return {name: np.full(shape, 0.1, np.float32) for name, shape in weight_shapes(config, num_words).items()}


@pytest.mark.parametrize(
    "claim", ["model.recurrent.0.units=10000", "model.embedding_dim=16384", "model.dense=[{units: 16384}]"]
)
def test_a_network_that_its_weights_are_not_of_is_not_built(claim: str) -> None:
    weights = weights_for(config_of())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(RunError, match="the weights do not belong to this config"):
        rebuild_model(config_of(claim), weights)
    with pytest.raises(RunError, match="the weights do not belong to this config"):
        load_predictor(config_of(claim), weights, backend="keras", device="cpu")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kilobytes; it claims up to 1.2 GB


def test_a_network_that_no_run_can_hold_is_not_built() -> None:
    config = config_of("model.recurrent=[" + "{cell: lstm, units: 16384}," * 9 + "]")
    with pytest.raises(ConfigError, match=r"model: is a network of [0-9,]+ bytes, and a run holds at most 8,589"):
        build_model(config, 20)


def forged(sample_run: Path, **settings: object) -> Path:
    """Return a run whose config says something else, and whose manifest vouches for it."""
    shutil.copytree(sample_run, "run")
    text = Path("run/config.yaml").read_text()
    for key, value in settings.items():
        (line,) = (line for line in text.splitlines() if line.strip().startswith(f"{key}:"))
        text = text.replace(line, f"{line.partition(':')[0]}: {value}")
    Path("run/config.yaml").write_text(text)
    RunDirectory(Path("run")).finish()
    return Path("run")


def test_a_run_that_pads_without_end_is_refused(sample_run: Path) -> None:
    run = forged(sample_run, padding="notebook", maxlen=10_000_000_000)
    result = rnnsent("predict", str(run), "a good film")
    assert result.exit_code == 1 and "Traceback" not in result.stderr
    assert "data.maxlen: must be at most 131072, not 10000000000" in result.stderr


def test_the_longest_padding_takes_bounded_memory(sample_run: Path) -> None:
    run = forged(sample_run, padding="notebook", maxlen=2**17)
    classifier = load(run)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    answers = classifier.predict(["a good film"] * 5)
    assert len({answer.probability for answer in answers}) == 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # kilobytes


def test_batches_are_as_small_as_memory_asks_and_answers_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    config = config_of("training.engine=auto")
    predictor = load_predictor(config, weights_for(config), backend="numpy")
    rng = np.random.default_rng(0)
    reviews = [rng.integers(1, 20, length).tolist() for length in rng.integers(1, 30, 50)]
    split = Split.from_sequences(reviews, np.zeros(50, np.int64))
    whole = predictor(split)
    sizes: list[int] = []
    plain = Batches.batch

    def counted(self: Batches, index: np.ndarray, epoch: int = 0) -> batches.Batch:
        sizes.append(len(index))
        return plain(self, index, epoch)

    monkeypatch.setattr(Batches, "batch", counted)
    monkeypatch.setattr(prediction, "MAX_BYTES", 4 * 96 * 60)
    np.testing.assert_allclose(predictor(split), whole, atol=1e-6)
    assert sum(sizes) == 50 and max(sizes) < 40 and len(sizes) > 5


def test_a_batch_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "MAX_BYTES", 4 * 100)
    split = Split.from_sequences([[1, 2, 3]] * 4, np.zeros(4, np.int64))
    index = np.arange(4)
    assert Batches(split, 4, fixed_length=25).batch(index)[0][0].shape == (4, 25)
    with pytest.raises(DataError, match=r"4 texts padded to 26 words are more than a batch may hold, 400 bytes"):
        Batches(split, 4, fixed_length=26).batch(index)

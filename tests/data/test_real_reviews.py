"""The command line on the 25,000 + 25,000 real reviews, where they are at hand."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from rnnsent.cli.options import overrides
from rnnsent.config.loader import load_config
from rnnsent.data.batching import Batches
from rnnsent.data.dataset import Split, split_dataset
from rnnsent.data.sources import load_dataset
from rnnsent.inference.predictor import load_predictor
from rnnsent.models.builder import build_model
from rnnsent.runs.registry import open_run
from rnnsent.training.fit import compile_model
from tests.conftest import rnnsent

pytestmark = pytest.mark.slow  # tens of thousands of reviews


@pytest.fixture(autouse=True)
def data(real_imdb: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNSENT_DATA", str(real_imdb))


def test_data_info_agrees_with_what_is_known_of_the_reviews() -> None:
    result = rnnsent("data", "info", "--json")
    assert result.exit_code == 0, result.stderr
    facts = json.loads(result.stdout)
    # 30,000 are as many as the lstm config keeps.
    assert (facts["source"], facts["vocabulary"], facts["embedding_rows"]) == ("imdb", 88_584, 30_000)
    for name, mean in (("train", 238.71), ("test", 230.80)):
        split = facts["splits"][name]
        assert split["reviews"] == 25_000
        assert split["labels"] == {"negative": 12_500, "positive": 12_500}
        assert split["mean_length"] == pytest.approx(mean, abs=0.005)
        assert sum(count for _, _, count in split["histogram"]) == 25_000
        # As one matrix of 500 columns more than half is padding; batches of similar length hold next to none.
        assert 0.5 < split["padding_share_unbucketed"] < 0.6
        assert split["padding_share"] < 0.03


@pytest.mark.parametrize("cell", ["lstm", "gru"])  # a SimpleRNN's training blows any rounding up, in stock Keras too
def test_the_notebooks_training_follows_the_losses_of_stock_keras(cell: str) -> None:
    config = load_config(f"notebook/{cell}", {"training.epochs": 1, "training.batch_size": 64})
    train = split_dataset(load_dataset(config.data), config.data).train.take(slice(50 * 64))
    batches = Batches.from_config(train, config, shuffle=True)
    losses = []
    for native in (True, False):
        model = build_model(config, config.data.num_words or 0, seed=0, native=[native])
        compile_model(model, config.training, 2, len(batches))
        losses.append([float(model.train_on_batch(ids[0], labels)[0]) for ids, labels in batches.epoch(0)])
    assert len(losses[0]) == 50
    np.testing.assert_allclose(losses[0], losses[1], rtol=0, atol=1e-4)


def test_the_last_thirty_words_beat_chance_and_all_backends_agree() -> None:
    arguments = ["train", "--config", "simple_rnn", "--run-dir", "run", "--epochs", "1", "--json"]
    settings = ["data.maxlen=30", "training.learning_rate=5e-3", "training.batch_size=256"]
    result = rnnsent(*arguments, *(part for setting in settings for part in ("--set", setting)))
    assert result.exit_code == 0, result.stderr
    metrics = json.loads(result.stdout)
    assert metrics["data"]["source"] == "imdb"
    assert metrics["validation"]["accuracy"]["low"] > 0.65
    judged = rnnsent("eval", "--json")
    assert judged.exit_code == 0, judged.stderr
    assert json.loads(judged.stdout)["n"] == 25_000
    run = open_run(Path("run"))
    config, weights = run.config, run.weights()
    reviews = split_dataset(load_dataset(config.data), config.data).test.take(slice(1000))
    native, numpy, keras = (
        load_predictor(config, weights, backend=backend)(reviews) for backend in ("native", "numpy", "keras")
    )
    np.testing.assert_allclose(native, keras, rtol=0, atol=1e-5)
    np.testing.assert_allclose(numpy, keras, rtol=0, atol=1e-5)
    assert json.loads(judged.stdout)["metrics"]["accuracy"]["low"] > 0.65


def test_the_original_texts_are_encoded_as_the_arrays_are(real_imdb: Path) -> None:
    """All 50,000: by the IMDB rules and its index they are the sequences of imdb.npz, label by label."""
    archive = real_imdb / "aclImdb_v1.tar.gz"
    if not archive.is_file():
        pytest.skip(f"{archive} is not there")
    settings = ["source=texts", f"path={archive}", "fallback=null", "tokenizer=imdb", "vocabulary=imdb"]
    texts = load_dataset(load_config("lstm", overrides([f"data.{setting}" for setting in settings])).data)
    arrays = load_dataset(load_config("notebook/lstm", {"data.fallback": None}).data)
    assert texts.validation is not None
    assert _by_label(texts.train, texts.validation) == _by_label(arrays.train)
    assert _by_label(texts.rows.take(texts.indices["test"])) == _by_label(arrays.rows.take(arrays.indices["test"]))
    assert texts.label_names == arrays.label_names


def _by_label(*splits: Split) -> Counter[tuple[int, bytes]]:
    return Counter(
        (int(split.labels[index]), split.sequence(index).tobytes()) for split in splits for index in range(len(split))
    )

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from rnnsent.config import Config
from rnnsent.configfile import parse_config
from rnnsent.data.split import Split
from rnnsent.errors import RunError
from rnnsent.models import weights_of
from rnnsent.prediction import model_for, predict, rebuild_model
from tests.conftest import TINY_CONFIG


def config(*settings: str) -> Config:
    text = TINY_CONFIG.replace("CELL", "simple_rnn")
    return parse_config(text, "tiny", [("--set", setting) for setting in settings])


@pytest.fixture
def split() -> Split:
    """Reviews of lengths that no sort leaves in place."""
    rng = np.random.default_rng(0)
    return Split.from_sequences([rng.integers(4, 60, rng.integers(1, 30)).tolist() for _ in range(300)], [0, 1] * 150)


@pytest.mark.parametrize(
    "settings",
    [
        [],
        ["training.bucketing=false"],
        ["data.padding=pre", "model.pooling=max"],
        ["data.padding=notebook"],
    ],
    ids=["bucketed", "in order", "padded before", "notebook"],
)
def test_probabilities_come_in_the_order_of_the_reviews(settings: list[str], split: Split) -> None:
    chosen = config(*settings)
    model = model_for(chosen, num_words=60, seed=0)
    found = predict(model, split, chosen)
    rows = split.padded(np.arange(len(split)), 30, "post" if chosen.data.padding == "post" else "pre")
    expected = keras.ops.convert_to_numpy(model(rows))[:, 0]
    assert found.dtype == np.float32 and found.std() > 0.01
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_a_rebuilt_model_predicts_the_same(split: Split) -> None:
    chosen = config("training.precision=mixed_bfloat16", "model.pooling=mean_max")
    trained = model_for(chosen, num_words=60, seed=3)
    rebuilt = rebuild_model(chosen, weights_of(trained))
    np.testing.assert_array_equal(predict(rebuilt, split, chosen), predict(trained, split, chosen))


def test_weights_of_another_config_are_refused() -> None:
    weights = weights_of(model_for(config(), num_words=60))
    with pytest.raises(RunError, match="the weights do not belong to this config: simple_rnn"):
        rebuild_model(config("model.recurrent=[{cell: simple_rnn, units: 9}]"), weights)
    with pytest.raises(RunError, match="differ in embedding/embeddings"):
        rebuild_model(config(), {name: value for name, value in weights.items() if name != "embedding/embeddings"})


def test_the_embedding_has_as_many_rows_as_the_weights(tmp_path: Path) -> None:
    model = rebuild_model(config(), weights_of(model_for(config(), num_words=77)))
    assert model.get_layer("embedding").input_dim == 77

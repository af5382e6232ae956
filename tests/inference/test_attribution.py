"""Integrated gradients against networks whose contributions can be written down, and against their own axioms."""

from __future__ import annotations

import numpy as np
import pytest

from rnnsent.inference.attribution import integrated_gradients
from rnnsent.inference.trace import trace
from rnnsent.models.network import Network
from tests.traced import Answering, random_network

TEXT = "the good film zz dull great bad"


def logit(network: Answering, ids: np.ndarray, label: int) -> float:
    found = np.asarray(network.answer(ids), np.float64)
    return float(np.log(found[label]) - np.log(np.delete(found, label).sum()))


@pytest.mark.parametrize(
    ("model", "data", "labels"),
    [
        ("recurrent: [{cell: gru, units: 4}]", "", 2),
        ("recurrent: [{cell: lstm, units: 3, bidirectional: true}], pooling: attention", "", 2),
        ("recurrent: [{cell: simple_rnn, units: 3}, {cell: lstm, units: 3}], pooling: mean_max, dropout: 0.5", "", 2),
        ("recurrent: [{cell: gru, units: 3, reset_after: false}], dense: [{units: 4, activation: gelu}]", "", 2),
        ("recurrent: [{cell: lstm, units: 3}]", ", padding: notebook", 2),
        ("recurrent: [{cell: gru, units: 3}], pooling: max", "", 3),
    ],
)
def test_contributions_add_up(model: str, data: str, labels: int) -> None:
    network = random_network(model, data, labels=labels, seed=3)
    found = trace(network, TEXT, method="both")
    label = list(network.label_names).index(found.label)
    ids = network.encode(TEXT).ids
    unknown = np.where(ids == 1, ids, 2).astype(np.int32)
    difference = logit(network, ids, label) - logit(network, unknown, label)  # by NumPy
    total = found.contributions("integrated_gradients").sum()
    assert total == pytest.approx(difference, rel=0.01, abs=2e-3)
    facts = found.integrated_gradients
    assert facts is not None
    assert facts["gap"] == pytest.approx(total - difference, abs=1e-3)
    assert facts["logit"] == pytest.approx(logit(network, ids, label), abs=1e-4)
    assert found.words[3].contributions["integrated_gradients"] == 0  # the unknown word is its own baseline
    assert found.methods == ("occlusion", "integrated_gradients")
    assert f"{facts['steps']} steps" in found.completeness


@pytest.mark.parametrize("label", [0, 1])
def test_a_linear_network_has_its_weights_as_contributions(label: int) -> None:
    layer = "{cell: simple_rnn, units: 3, activation: linear}"
    network = random_network(f"recurrent: [{layer}], pooling: mean")
    weights = dict(network.predictor.weights)
    name = "simple_rnn/simple_rnn_cell"
    weights[f"{name}/recurrent_kernel"] = np.zeros((3, 3), np.float32)
    ids = network.encode(TEXT).ids
    found = integrated_gradients(network.with_weights(weights), ids, label, slice(1, None))
    values = weights["embedding/embeddings"] @ weights[f"{name}/kernel"] @ weights["output/kernel"][:, 0]
    expected = (values[ids[1:]] - values[2]) / len(ids) * (1 if label else -1)
    np.testing.assert_allclose(found.contributions, expected, atol=1e-5)
    assert found.complete and found.steps == 32


def test_against_slopes_measured_in_numpy() -> None:
    network = random_network("recurrent: [{cell: gru, units: 4}]", seed=5)
    ids = network.encode("good dull").ids
    found = integrated_gradients(network, ids, 1, slice(1, None))
    table = network.predictor.weights["embedding/embeddings"].astype(np.float64)
    base, target = np.repeat(table[2:3], 2, axis=0), table[ids[1:]]

    def log_odds(vectors: np.ndarray) -> float:
        """Answer to a text of two words with these vectors, which stand in rows of their own."""
        rows = np.concatenate([table[:4], vectors]).astype(np.float32)
        moved = Network(network.config, {**network.predictor.weights, "embedding/embeddings": rows}, native=False)
        p = float(moved.probabilities(np.array([[1, 4, 5]], np.int32))[0])
        return float(np.log(p) - np.log1p(-p))

    # Moving one word a little along its way, wherever the others are: the contribution without any gradient.
    small, expected = 0.02, np.zeros(2)
    for alpha in (np.arange(40) + 0.5) / 40:
        for word in (0, 1):
            there = base + alpha * (target - base)
            step = np.zeros_like(there)
            step[word] = small * (target - base)[word]
            expected[word] += (log_odds(there + step) - log_odds(there - step)) / (2 * small) / 40
    np.testing.assert_allclose(found.contributions, expected, atol=5e-3)


def test_steps_are_doubled_until_they_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    network = random_network("recurrent: [{cell: gru, units: 4}]", seed=7)
    weights = {name: 4 * value for name, value in network.predictor.weights.items()}  # steep: two steps are not enough
    ids = network.encode(TEXT).ids
    monkeypatch.setattr("rnnsent.inference.attribution.STEPS", 2)
    found = integrated_gradients(network.with_weights(weights), ids, 1, slice(1, None))
    assert found.steps > 2 and found.complete
    monkeypatch.setattr("rnnsent.inference.attribution.MAX_STEPS", 2)
    stopped = integrated_gradients(network.with_weights(weights), ids, 1, slice(1, None))
    assert stopped.steps == 2 and not stopped.complete

from __future__ import annotations

import json

import numpy as np
import pytest

from rnnsent.config.cells import CELLS
from rnnsent.errors import DataError
from rnnsent.inference import trace as tracing
from rnnsent.inference.trace import percent, trace
from rnnsent.models import numpy_layers as reference
from tests.traced import Answering, additive, random_network, scripted, sigmoid

VALUES = {"good": 1.5, "great": 2.0, "bad": -1.0, "dull": -2.5, "the": 0.1, "?": -0.25}


@pytest.mark.parametrize(("text", "sign"), [("the good film zz bad great", 1), ("the dull film zz bad good", -1)])
def test_occlusion_finds_what_each_word_adds(text: str, sign: int) -> None:
    found = trace(additive(VALUES, bias=0.3), text)
    expected = [sign * VALUES.get(word if word != "zz" else "?", 0.0) for word in text.split()]
    assert found.label == ("positive" if sign == 1 else "negative")
    np.testing.assert_allclose(found.contributions(), expected, atol=1e-5)
    total = 0.3 + sign * sum(expected)
    assert found.probability == pytest.approx(sigmoid(total)[sign == 1], abs=1e-6)
    assert [word.known for word in found.words] == [word != "zz" for word in text.split()]


def test_probabilities_after_each_word_and_before_any() -> None:
    found = trace(additive(VALUES, bias=0.3), "dull the great")
    logits = [0.3, -2.2, -2.1, -0.1]
    expected = [sigmoid(logit) for logit in logits]
    assert found.start == {"negative": pytest.approx(expected[0][0]), "positive": pytest.approx(expected[0][1])}
    assert [word.probabilities["positive"] for word in found.words] == pytest.approx([p for _, p in expected[1:]])
    assert [word.probability for word in found.words] == pytest.approx([p for p, _ in expected[1:]])
    assert [word.label for word in found.words] == ["negative"] * 3


def test_three_labels_show_the_one_that_is_predicted_in_the_end() -> None:
    rows = {4: (0, 0, 0), 5: (0, 0, 2.5), 6: (2, 0, 0), 7: (0, 0.5, 0), 8: (0, 1, 1.5), 9: (1.5, 0, 0), 2: (0, 0, 0)}

    def answer(ids: np.ndarray) -> list[float]:
        powers = np.exp(np.sum([rows[id_] for id_ in ids.tolist() if id_ != 1], axis=0) + np.zeros(3))
        return (powers / powers.sum()).tolist()  # type: ignore[no-any-return]

    found = trace(Answering(answer, ("low", "middle", "high")), "bad film good great")
    assert found.label == "high"
    assert [word.label for word in found.words] == ["low", "low", "high", "high"]
    total = np.array([2, 1.5, 4])
    for word, row in zip(found.words, [(2, 0, 0), (0, 0.5, 0), (0, 0, 2.5), (0, 1, 1.5)], strict=True):
        rest = total - row
        expected = total[2] - np.log(np.exp(total[:2]).sum()) - (rest[2] - np.log(np.exp(rest[:2]).sum()))
        assert word.contributions["occlusion"] == pytest.approx(expected, abs=1e-5)
        assert sum(word.probabilities.values()) == pytest.approx(1)
        assert word.probability == word.probabilities["high"]
    assert found.turn == 3


@pytest.mark.parametrize("cell", ["simple_rnn", "lstm", "gru"])
def test_as_it_reads_is_the_head_on_each_state(cell: str) -> None:
    network = random_network(f"recurrent: [{{cell: {cell}, units: 4}}], dense: [{{units: 3}}]")
    text = "the good film zz dull great bad"
    weights = network.predictor.weights
    vectors = reference.embedding(network.encode(text).ids[None], weights["embedding/embeddings"])
    names = ("kernel", "recurrent_kernel", "bias")
    cell_weights = reference.RecurrentWeights(*(weights[f"{cell}/{cell}_cell/{name}"] for name in names))
    states = reference.recurrent(CELLS[cell], vectors, cell_weights, return_sequences=True)[0]
    hidden = reference.dense(states, weights["dense_0/kernel"], weights["dense_0/bias"], activation="relu")
    expected = reference.dense(hidden, weights["output/kernel"], weights["output/bias"], activation="sigmoid")[:, 0]
    found = trace(network, text)
    after = [found.start["positive"], *(word.probabilities["positive"] for word in found.words)]
    np.testing.assert_allclose(after, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("model", "data"),
    [
        ("recurrent: [{cell: gru, bidirectional: true}]", ""),
        ("recurrent: [{cell: gru}], pooling: mean_max", ""),
        ("recurrent: [{cell: lstm, bidirectional: true}], pooling: attention", ""),
        ("recurrent: [{cell: simple_rnn}]", ", padding: notebook"),
    ],
)
def test_other_networks_answer_to_the_text_so_far(model: str, data: str) -> None:
    network = random_network(model, data)
    text = "the good film zz dull"
    for number, word in enumerate(trace(network, text).words, start=1):
        alone = trace(network, " ".join(text.split()[:number]))
        assert word.probabilities == pytest.approx(alone.probabilities, abs=1e-6)


@pytest.mark.parametrize(
    ("probabilities", "settled", "turn", "summary"),
    [
        ([0.6, 0.7, 0.9], 0, None, "positive from the start on"),
        ([0.1, 0.6, 0.9], 1, None, "positive from the start on"),  # no word had been read
        ([0.4, 0.45, 0.6, 0.9], 2, 2, "turned at 'b' (word 2): 45 % → 60 % positive"),
        ([0.5, 0.8, 0.2, 0.3, 0.74, 0.9], 4, 4, "turned at 'd' (word 4): 30 % → 74 % positive"),
        ([0.5, 0.9, 0.1, 0.2], 2, 2, "turned at 'b' (word 2): 10 % → 90 % negative"),
    ],
)
def test_where_the_prediction_turned(probabilities: list[float], settled: int, turn: int | None, summary: str) -> None:
    found = trace(scripted(probabilities), " ".join("abcdefgh"[: len(probabilities) - 1]))
    assert (found.settled, found.turn) == (settled, turn)
    assert found.summary.replace("\u00a0", " ") == summary


def test_the_strongest_words_for_and_against() -> None:
    found = trace(additive(VALUES, bias=1), "good bad the great dull great film good good")
    assert [position for position, _, _ in found.strongest(1)] == [4, 6, 1, 8, 9]
    assert [(word.word, round(value, 3)) for _, word, value in found.strongest(-1)] == [("dull", -2.5), ("bad", -1.0)]


def test_a_text_that_lost_its_beginning_has_no_start_token() -> None:
    network = additive(VALUES, maxlen=3)
    found = trace(network, "dull dull good the great")
    assert (found.truncated, [word.word for word in found.words]) == (2, ["good", "the", "great"])
    np.testing.assert_allclose(found.contributions(), [1.5, 0.1, 2.0], atol=1e-5)
    assert found.start["positive"] == pytest.approx(0.5)  # the answer to an empty text
    assert found.notes() == ["2 words cut off by data.maxlen; 3 were read"]
    alone = trace(additive(VALUES, maxlen=1), "dull great")
    assert [word.contributions["occlusion"] for word in alone.words] == pytest.approx([2.0], abs=1e-5)


def test_notes_name_what_is_doubtful() -> None:
    network = additive(VALUES)
    assert trace(network, "the good film").notes() == []
    assert trace(network, "the zz film 7 8 7").notes() == [
        "1 of 3 words unknown to the network",
        "2 words not in the vocabulary, ignored: '7', '8'",
    ]
    assert trace(network, "zz yy").notes() == [
        "none of the words is known to the network: the answer says nothing about them"
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the text has no words"),
        ("  ", "the text has no words"),
        ("12 13", "none of the 2 words of the text is in the vocabulary"),
        ("good " * 10_001, "the text has 10,001 words; at most 10,000 can be traced"),
    ],
)
def test_texts_that_cannot_be_traced(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        trace(additive(VALUES), text)


def test_no_such_method() -> None:
    with pytest.raises(ValueError, match="must be one of occlusion, integrated-gradients, both, not 'gradients'"):
        trace(additive(VALUES), "good", method="gradients")


def test_few_sequences_are_held_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "CHUNK_TOKENS", 50)
    network = additive(VALUES)
    chunked = trace(network, "good bad " * 15)
    for lengths in network.asked:
        assert len(lengths) * max(lengths) <= 50
    assert sum(map(len, network.asked)) == 31 + 30
    monkeypatch.undo()
    assert chunked == trace(network, "good bad " * 15)
    assert len(network.asked[-1]) == 30  # in one go again


def test_certain_networks_stay_finite() -> None:
    found = trace(Answering(lambda ids: (0.0, 1.0)), "good bad")
    assert np.isfinite(found.contributions()).all()


@pytest.mark.parametrize(
    ("probability", "text"),
    [
        (0.0042, "0.4 %"),
        (0.01, "1 %"),
        (0.5, "50 %"),
        (0.99, "99 %"),
        (0.998, "99.8 %"),
        (1.0, "99.9 %"),
        (0.0, "0.1 %"),
    ],
)
def test_percent(probability: float, text: str) -> None:
    assert percent(probability).replace("\u00a0", " ") == text


def test_json_has_everything() -> None:
    found = trace(additive(VALUES, bias=-0.1), "dull bad 5 great good zz great")
    values = json.loads(json.dumps(found.to_dict()))
    assert set(values) == {
        *("label", "probability", "probabilities", "start", "words", "settled", "turn", "methods"),
        *("integrated_gradients", "truncated", "ignored", "predicted", "summary", "strongest", "notes"),
    }
    assert values["label"] == "positive" and values["probabilities"]["positive"] == values["probability"]
    assert set(values["words"][0]) == {"word", "known", "label", "probability", "probabilities", "contributions"}
    assert set(values["words"][0]["contributions"]) == {"occlusion"} == set(values["methods"])
    assert values["turn"] == values["settled"] == 6
    assert values["ignored"] == ["5"] and values["integrated_gradients"] is None
    assert values["strongest"]["for"][0] == {"position": 3, "word": "great", "contribution": pytest.approx(2, abs=1e-5)}

"""The few lines that people in notebooks write."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import pytest

import rnnsent
from rnnsent.config.loader import load_config
from rnnsent.errors import ConfigError

SETTINGS = {"data.source": "sample", "data.num_words": 300, "data.maxlen": 40, "training.epochs": 1}


def test_train_load_predict_trace_evaluate(capsys: pytest.CaptureFixture[str]) -> None:
    steps: list[int] = []
    callback = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: steps.append(batch))
    run = rnnsent.train("gru", SETTINGS, run_dir="run", callbacks=[callback])
    assert run.metrics.epochs == 1 and run.finished and steps
    assert capsys.readouterr().out == ""
    classifier = rnnsent.load(run)
    answer = classifier.predict(["the film is good"])[0]
    assert answer.label in classifier.label_names
    trace = classifier.trace("the film is good")
    assert trace.label == answer.label and json.dumps(trace.to_dict())
    with pytest.raises(TypeError, match=r"put one into a list"):
        classifier.predict("one text")
    evaluation = rnnsent.evaluate("run")
    assert evaluation.texts == 2000 and evaluation == run.evaluation("test", type(evaluation))


def test_config_can_be_made_in_python() -> None:
    config = load_config("gru", SETTINGS)
    run = rnnsent.train(config, verbose=False)
    assert run.path.parent == Path("runs") and run.config == config
    with pytest.raises(TypeError, match="a Config has its own"):
        rnnsent.train(config, {"training.epochs": 2})


def test_wrong_settings_are_named() -> None:
    with pytest.raises(ConfigError, match=r"training\.epoch: unknown key"):
        rnnsent.train("gru", {"training.epoch": 2})
    with pytest.raises(ConfigError, match=r"must be true to train"):
        rnnsent.train("gru", {"model.head": False})

"""TensorBoard: event files in the run's `logs/`, with curves, graph, config, and the words for the projector."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnsent.config.loader import dump_config
from rnnsent.data.vocabulary import FIRST_WORD
from rnnsent.files import write_atomic
from rnnsent.models.weights import EMBEDDINGS
from rnnsent.runs import directory as runs
from rnnsent.training.loggers.tracker import Beginning, Ending, Network, Tracker
from rnnsent.training.observers import EpochFacts, Observer, StepFacts, StepLoss

if TYPE_CHECKING:
    import keras

FOLDER = f"{runs.LOGS}/tensorboard"
MOST_WORDS = 10_000  # the projector draws them in a browser


def tracker() -> Tracker:
    """Return the tracker."""
    return TensorBoard()


class TensorBoard(Tracker):
    """Writes with TensorFlow's own writer; of a training that goes on everything anew, from its checkpoint."""

    def __init__(self) -> None:
        self._networks: list[_Network] = []

    def begin(self, beginning: Beginning) -> str:
        """Open the folder, and write the config as text."""
        self._root = beginning.run.file(FOLDER)
        self._writer = _writer(self._root)
        self._text("config", dump_config(beginning.config))
        return f"tensorboard --logdir {beginning.run.file(runs.LOGS)}"

    def follow(self, network: Network) -> Observer:
        """Write the graph of a network; return what writes its curves."""
        self._networks.append(_Network(self._root / network.place, network))
        return self._networks[-1]

    def end(self, ending: Ending) -> None:
        """Write the word vectors of the best epochs, and how it ended."""
        for network in self._networks:
            network.close()
        self._text("ended", json.dumps({"status": ending.status, **ending.validation()}, indent=1))
        self._writer.close()

    def _text(self, name: str, text: str) -> None:
        import tensorflow as tf

        with self._writer.as_default(step=0):
            tf.summary.text(name, re.sub("^", "    ", text, flags=re.MULTILINE))  # in Markdown: as it stands
        self._writer.flush()


class _Network(Observer):
    """Curves of one network: `train` and `validation` are runs to TensorBoard, so that it draws both into one plot."""

    def __init__(self, folder: Path, network: Network) -> None:
        self._folder, self._network = folder, network
        self._train, self._validation = _writer(folder / "train"), _writer(folder / "validation")
        self._trained = False
        import tensorflow as tf

        graph = _graph(network.plain)
        if graph is not None:
            with self._train.as_default():
                tf.summary.graph(graph)

    def on_past(self, history: Sequence[EpochFacts], curve: Sequence[StepLoss]) -> None:
        """Write the curve anew up to where training goes on."""
        for point in curve:
            self._point(point)

    def on_step(self, facts: StepFacts) -> None:
        """Write the loss of the epoch so far, at the points of the curve, for who looks at it meanwhile."""
        if facts.point is not None:
            self._point(facts.point)
            self._train.flush()

    def _point(self, point: StepLoss) -> None:
        _scalars(self._train, point.place, {"step/loss": point.loss})

    def on_epoch(self, facts: EpochFacts, best: bool, model: keras.Model) -> None:
        """Write what an epoch did."""
        names = ("loss", "accuracy", "learning_rate", "tokens_per_second", "gradient_norm", "largest_gradient_norm")
        _scalars(self._train, facts.epoch, {name: getattr(facts, name) for name in names})
        _scalars(self._validation, facts.epoch, {"loss": facts.val_loss, "accuracy": facts.val_accuracy})
        for writer in (self._train, self._validation):
            writer.flush()
        self._trained = True

    def close(self) -> None:
        """Write the word vectors of the best epoch, if there was one, and close."""
        if self._trained:
            self._project()
        for writer in (self._train, self._validation):
            writer.close()

    def _project(self) -> None:
        """Write what the embedding projector reads: vectors, words, and a file that names both."""
        import numpy as np
        from google.protobuf import text_format
        from tensorboard.plugins import projector

        from rnnsent.models.weights import weights_of

        table = weights_of(self._network.plain)[EMBEDDINGS][FIRST_WORD:]
        words = self._network.vocabulary.words[: min(len(table), MOST_WORDS)]  # the most frequent ones come first
        if not words:
            return
        lines = [re.sub(r"[\t\r\n]", " ", word).encode("utf-8", "replace") + b"\n" for word in words]
        write_atomic(self._folder / "train" / "words.tsv", b"".join(lines))
        rows = "".join("\t".join(f"{value:.6g}" for value in row) + "\n" for row in np.asarray(table[: len(words)]))
        write_atomic(self._folder / "train" / "vectors.tsv", rows)
        config = projector.ProjectorConfig()
        config.embeddings.add(
            tensor_name="words",
            tensor_shape=[len(words), table.shape[1]],
            tensor_path="vectors.tsv",
            metadata_path="words.tsv",
        )
        # As the projector's own function would, which writes through a link.
        write_atomic(self._folder / "train" / "projector_config.pbtxt", text_format.MessageToString(config))


def _writer(folder: Path) -> Any:
    import tensorflow as tf

    return tf.summary.create_file_writer(str(folder))


def _scalars(writer: Any, step: int, values: dict[str, float]) -> None:
    import tensorflow as tf

    with writer.as_default(step=step):
        for name, value in values.items():
            tf.summary.scalar(name, value)


def _graph(model: keras.Model) -> Any:
    """Return the graph of a network, None under another backend than TensorFlow."""
    import keras
    import tensorflow as tf

    if keras.backend.backend() != "tensorflow":
        return None
    specs = [tf.TensorSpec(each.shape, each.dtype, each.name) for each in model.inputs]
    traced = tf.function(
        lambda *given: model(list(given) if len(given) > 1 else given[0], training=False), autograph=False
    )
    return traced.get_concrete_function(*specs).graph

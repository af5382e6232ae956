"""TensorBoard: event files in the run's `logs/`, with curves, graph, config, and the words for the projector."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnsent import runs
from rnnsent.configfile import dump_config
from rnnsent.files import write_atomic
from rnnsent.inference import EMBEDDINGS
from rnnsent.observers import EpochFacts, Observer, StepFacts
from rnnsent.trackers.events import Earlier
from rnnsent.trackers.tracker import Beginning, Ending, Network, Tracker
from rnnsent.vocabulary import FIRST_WORD

if TYPE_CHECKING:
    import keras

FOLDER = f"{runs.LOGS}/tensorboard"
STEP_LOSS = "step/loss"
STEPS_AN_EPOCH = 100  # as many points a curve needs, whatever the size of the data
MOST_WORDS = 10_000  # the projector draws them in a browser


def tracker() -> Tracker:
    """Return the tracker."""
    return TensorBoard()


class TensorBoard(Tracker):
    """Writes with TensorFlow's own writer. A training that goes on keeps its curves, each point once."""

    def __init__(self) -> None:
        self._networks: list[_Network] = []

    def begin(self, beginning: Beginning) -> str:
        """Open the folder, and write the config as text."""
        self._root = beginning.run.file(FOLDER)
        Earlier(self._root).forget()  # the texts of the training that was stopped
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
        self._earlier = {part: Earlier(folder / part) for part in ("train", "validation")}
        self._had = {part: earlier.steps("loss") for part, earlier in self._earlier.items()}  # epochs
        self._stepped = self._trained = False
        has_graph = self._earlier["train"].has_graph
        self._writers = {part: _writer(folder / part) for part in self._earlier}
        graph = None if has_graph else _graph(network.plain)
        if graph is not None:
            import tensorflow as tf

            with self._writers["train"].as_default():
                tf.summary.graph(graph)

    def on_step(self, facts: StepFacts) -> None:
        """Write the loss of the epoch so far, about a hundred times an epoch."""
        step = (facts.epoch - 1) * facts.steps + facts.step
        if not self._stepped:
            self._go_on_from(facts.epoch, step)
        if facts.step % max(facts.steps // STEPS_AN_EPOCH, 1) == 0:
            self._write("train", step, {STEP_LOSS: facts.loss})

    def _go_on_from(self, epoch: int, step: int) -> None:
        """Take out what an earlier training wrote from here on: it is trained again."""
        self._stepped = True
        for part, earlier in self._earlier.items():
            earlier.keep(lambda tag, at: at < (step if tag == STEP_LOSS else epoch))
            self._had[part] = {each for each in self._had[part] if each < epoch}

    def on_epoch(self, facts: EpochFacts, best: bool, model: keras.Model) -> None:
        """Write what an epoch did, unless it is there from before the training was stopped."""
        names = ("loss", "accuracy", "learning_rate", "tokens_per_second", "gradient_norm", "largest_gradient_norm")
        curves = {
            "train": {name: getattr(facts, name) for name in names},
            "validation": {"loss": facts.val_loss, "accuracy": facts.val_accuracy},
        }
        for part, values in curves.items():
            if facts.epoch not in self._had[part]:
                self._write(part, facts.epoch, values)
        self._trained = True

    def _write(self, part: str, step: int, values: dict[str, float]) -> None:
        """Write points, and let the operating system have them: a kill may come at any time."""
        import tensorflow as tf

        with self._writers[part].as_default(step=step):
            for name, value in values.items():
                tf.summary.scalar(name, value)
        self._writers[part].flush()

    def close(self) -> None:
        """Write the word vectors of the best epoch, if there was one, and close."""
        if self._trained:
            self._project()
        for writer in self._writers.values():
            writer.close()

    def _project(self) -> None:
        """Write what the embedding projector reads: vectors, words, and a file that names both."""
        import numpy as np
        from tensorboard.plugins import projector

        from rnnsent.models import weights_of

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
        projector.visualize_embeddings(str(self._folder / "train"), config)


def _writer(folder: Path) -> Any:
    import tensorflow as tf

    return tf.summary.create_file_writer(str(folder))


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

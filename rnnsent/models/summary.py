"""The layers of a model, of a config or of a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rnnsent.config import Config
from rnnsent.config.loader import load_config
from rnnsent.data.sources import load_dataset
from rnnsent.data.statistics import embedding_rows
from rnnsent.engine.device import start
from rnnsent.inference.predictor import member_weights
from rnnsent.runs import artifacts as stored
from rnnsent.runs import directory as runs
from rnnsent.runs.directory import RunDirectory
from rnnsent.training.features import resolve


@dataclass(frozen=True)
class Summary:
    """The layers of a model, or of each network of an ensemble.

    Attributes:
        text: Keras' own table, or tables.
        networks: of each network its layers: name, type, output_shape (None: any), parameters.
        sizes: of each network its parameters.
    """

    text: str
    networks: list[list[dict[str, Any]]]
    sizes: list[int]

    @property
    def parameters(self) -> int:
        """Of all networks together."""
        return sum(self.sizes)

    def to_dict(self) -> dict[str, Any]:
        """Return layers and parameters for JSON; of an ensemble those of each network."""
        each = [{"layers": layers, "parameters": size} for layers, size in zip(self.networks, self.sizes, strict=True)]
        return each[0] if len(each) == 1 else {"networks": each, "parameters": self.parameters}


def summarize(config: Config) -> Summary:
    """Return the layers of the model that `config` describes.

    The data are only loaded where they decide the size of the embedding, or of the output.
    """
    rows = config.data.num_words
    if rows is None or config.data.source == "texts":
        dataset = load_dataset(config.data)
        config = resolve(config, dataset)
        rows = embedding_rows(dataset, config.data.num_words)
    start("cpu")

    from rnnsent.models.builder import model_for

    return of_models([model_for(member, num_words=rows) for member in config.members])


def summarize_run(run: RunDirectory) -> Summary:
    """Return the layers of the model of a finished run.

    Raises:
        RunError: if the run is unfinished or one of its files was changed.
    """
    run.verify()
    start("cpu")

    from rnnsent.models.builder import rebuild_model

    config, weights = load_config(str(run.file(runs.CONFIG))), stored.load_weights(run)
    alone = config.ensemble is None
    return of_models(
        [
            rebuild_model(member, weights if alone else member_weights(weights, number))
            for number, member in enumerate(config.members, start=1)
        ]
    )


def of_models(models: list[Any]) -> Summary:
    """Return the layers of one network, or of all of an ensemble."""
    from rnnsent.models.builder import layer_facts, summary_text

    tables = [summary_text(model) for model in models]
    if len(models) > 1:
        tables = [f"network {number} of {len(models)}\n{table}" for number, table in enumerate(tables, start=1)]
    sizes = [int(model.count_params()) for model in models]
    return Summary("\n".join(tables), [layer_facts(model) for model in models], sizes)

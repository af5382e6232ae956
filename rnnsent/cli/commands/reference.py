"""`rnnsent reference`: the notebook's toy RNN, one forward pass in plain NumPy."""

from __future__ import annotations

import json
from typing import Any

import click

from rnnsent.cli.options import Command
from rnnsent.errors import RnnsentError

SIZE = click.IntRange(min=1)
SEED = click.IntRange(min=0)


@click.command(name="reference", cls=Command)
@click.option("--timesteps", type=SIZE, default=100, metavar="N", help="Length of the sequence.  [default: 100]")
@click.option("--input-features", type=SIZE, default=32, metavar="N", help="Size of an input.  [default: 32]")
@click.option("--output-features", type=SIZE, default=64, metavar="N", help="Size of the state.  [default: 64]")
@click.option("--seed", type=SEED, default=0, metavar="N", help="Seed of inputs and weights.  [default: 0]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(timesteps: int, input_features: int, output_features: int, seed: int, as_json: bool) -> None:
    """Run the notebook's toy RNN in NumPy and show its shapes.

    One sequence, random inputs and weights, a state that starts at zero and
    the step output_t = tanh(W x_t + U state_t + bias).
    """
    try:
        result = toy_pass(timesteps, input_features, output_features, seed)
    except (MemoryError, ValueError) as error:  # NumPy's two ways to refuse an array that is too large
        raise RnnsentError(f"these sizes do not fit into memory: {error}") from error
    click.echo(json.dumps(result) if as_json else _render(result))


def toy_pass(timesteps: int, input_features: int, output_features: int, seed: int) -> dict[str, Any]:
    """Run the pass: the shapes under the notebook's names, the shape it got by concatenating, and the final state."""
    import numpy as np

    from rnnsent.models.numpy_layers import Array, simple_rnn_pass

    rng = np.random.default_rng(seed)
    arrays: dict[str, Array] = {
        "input_sequence": rng.random((timesteps, input_features)),
        "W": rng.random((output_features, input_features)),
        "U": rng.random((output_features, output_features)),
        "bias": rng.random(output_features),
    }
    outputs = simple_rnn_pass(*arrays.values())
    arrays |= {"state_t": outputs[-1], "final_output_sequence": outputs}
    return {
        "seed": seed,
        "shapes": {name: list(array.shape) for name, array in arrays.items()},
        "concatenated_shape": list(np.concatenate(list(outputs)).shape),
        "final_state": outputs[-1].tolist(),
    }


def _render(result: dict[str, Any]) -> str:
    shapes = {name: str(tuple(shape)) for name, shape in result["shapes"].items()}
    state = result["final_state"]
    first = "  ".join(f"{value:.6f}" for value in state[:5])
    lines = [
        f"output_t = tanh(W x_t + U state_t + bias), state at first 0 (seed {result['seed']})",
        "",
        *(f"  {name:<22} {shape}" for name, shape in shapes.items()),
        "",
        f"final state: {first}{'  …' if len(state) > 5 else ''}",
        "",
        "Concatenated as in the notebook, the outputs have one dimension; stacked, two:",
        f"  np.concatenate(outputs)  {tuple(result['concatenated_shape'])}",
        f"  np.stack(outputs)        {shapes['final_output_sequence']}",
        "U multiplies the state, as in the notebook's code; its pseudo-code multiplies",
        "U by the input.",
    ]
    return "\n".join(lines)

"""One contestant of a race in a process of its own: `python -m benchmarks.worker NAME CELL SOURCE EPOCHS`.

Reads a word a line from stdin, answers with one JSON object a line on stdout: first {"ready": …}, then for `epoch` its
seconds and accuracy, for `predict` its seconds, for `finish` the test accuracy and the peak memory of the process.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

from rnnsent.training.environment import peak_memory_mb


def main(name: str, cell: str, source: str, epochs: int) -> None:
    """Serve the contestant until stdin ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints is not an answer

    def answer(**values: Any) -> None:
        print(json.dumps(values), file=answers, flush=True)

    from benchmarks.contestants import Epoch, contestant

    try:
        runner, parts = contestant(name, cell, source)
    except ImportError as error:
        answer(ready=False, because=f"{error.name} is not installed")
        return
    answer(ready=True)

    left = epochs

    def after(epoch: Epoch) -> None:
        # All in the main thread, as in a training of its own: in another one denormal numbers may cost more.
        answer(seconds=epoch.seconds, accuracy=epoch.accuracy)
        nonlocal left
        left -= 1
        if left and not sys.stdin.readline():
            sys.exit()

    probabilities: Any = None
    while line := sys.stdin.readline():
        started = time.perf_counter()
        if line == "epoch\n":
            runner.train(epochs, after)
        elif line == "predict\n":
            probabilities = runner.predict()
            answer(seconds=time.perf_counter() - started)
        else:
            accuracy = float(((probabilities > 0.5) == parts.test.labels).mean())
            answer(accuracy=accuracy, peak_memory_mb=peak_memory_mb())


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))

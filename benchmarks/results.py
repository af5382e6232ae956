"""Runs every measurement of `rnnsent bench` and writes docs/results.md.

    RNNSENT_DATA=… python benchmarks/results.py FOLDER

What was measured is kept in FOLDER, a file for each command; what is there already is not measured again. Half an hour
on two cores, which should have nothing else to do. What `recipes.py`, `losses.py` and
`rnnsent bench milestones` printed goes on the page from recipes.md, ablations.md, losses.md and milestones.md there.
"""

from __future__ import annotations

import datetime
import subprocess
import sys
import textwrap
from pathlib import Path

from rnnsent.environment import processor

PAGE = Path(__file__).parent.parent / "docs" / "results.md"
WIDTH = 118

RECIPES = (
    "Accuracy of the recipes",
    "Mean ± standard deviation over the seeds 0, 1, …; the epoch is chosen by validation, 5 % of the training reviews, "
    "by film; the test split is looked at once a run. Wall time is that of `rnnsent train`, with Python, TensorFlow, "
    "the reading of the texts and word2vec (the first seed; the others find its vectors in the cache), on 2 cores. "
    "Memory is the most that the process ever held. Seeds 1 and 2 of best_unlabelled and all of best_ensemble shared "
    "the machine with other work: best_unlabelled took 1,046 s alone (seed 0), and no more of the others' time was "
    "kept. `pip install 'rnnsent[recipes]'`.",
    "python benchmarks/recipes.py FOLDER best_small best best_ensemble best_unlabelled",
)

ABLATIONS = (
    "What each part of best.yaml is worth",
    "Each part taken out, by validation alone (1,271 reviews, by film, the same for all; the test split was not looked "
    "at). Wall times are of a machine that did other things as well.",
    "python benchmarks/recipes.py FOLDER --set KEY=VALUE best",
)

LOSSES = (
    "What recipes lose on other texts",
    "Accuracy of seed 0, and in brackets how far that is from all reviews, in points. Nothing was tuned to these "
    "texts. Quarters by length are named by the words of the first run's reviews.",
    "python benchmarks/losses.py best_small-0 best-0 best_unlabelled-0",
)

MILESTONES = (
    "Time to accuracy",
    "Seconds from the start of `rnnsent train` until validation passed an accuracy: reading the archive, word2vec and "
    "the weights of n-grams come before the first epoch. Beside it the notebook's LSTM in stock Keras, which validates "
    "on 5,000 other reviews, in an hour in which the machine was fast. Drawn in docs/milestones.png.",
    "rnnsent bench milestones best_small-0 best-0 best_unlabelled-0 --stock lstm --epochs 7 --png docs/milestones.png",
)

# Name of the file, the command, a heading and a text before it.
SECTIONS = [
    (
        "race-simple_rnn",
        "bench race --cell simple_rnn --epochs 4",
        "Beside stock Keras and PyTorch",
        "The notebook's models at its settings (SimpleRNN in batches of 32, LSTM and GRU of 128; RMSprop, 20,000 "
        "training reviews). Each contestant is a process of its own, one at work at a time; medians without the "
        "first epoch and prediction. `times`: stock Keras' median by this one's. Validation: the best epoch; "
        "test: after the last. Last column: seconds of training until validation reached the 87.5 % of the book's "
        "LSTM. Accuracies are of one seed each and, in the notebook's form, of "
        "unmasked and unclipped training, which jumps by points from epoch to epoch: no two of them say that one "
        "library learns more. That training on the kernel follows stock layers from the same weights is tested, step "
        "by step to 1e-4 (tests/test_real_reviews.py, LSTM and GRU); the notebook's own code differs from both in what "
        "RMSprop divides by, see docs/experiments.md. None of this was measured on a GPU.",
    ),
    ("race-lstm", "bench race --cell lstm --epochs 5", "", ""),
    ("race-gru", "bench race --cell gru --epochs 4", "", ""),
    (
        "breakdown",
        "bench breakdown",
        "Where a step goes",
        "Batch 128, masked and bucketed, medians of 40 batches; each part timed alone. The rest is what Keras and "
        "TensorFlow do between the parts, and what the kernel loses there to caches that others have used meanwhile.",
    ),
    (
        "growth",
        "bench growth",
        "How a step grows",
        "LSTM; one dimension varied at a time from 32 units, batch 128, maxlen 500, 1 layer; lengths as on IMDB. Stock "
        "Keras pads to maxlen, as the notebook does. One made-up batch, repeated. Medians of three rounds over all "
        "settings, both in turns; the last column has the least and the largest ratio of a turn. With more units the "
        "arithmetic itself is what takes the time, for both; of shorter reviews less padding is saved.",
    ),
    (
        "scale",
        "bench scale",
        "More reviews than memory",
        "Synthetic reviews from memory-mapped files, one epoch of the LSTM. Own memory is what the process cannot give "
        "back: without the pages of the mapped files.",
    ),
]


def measured(folder: Path, name: str, command: str) -> str:
    """Return what a command printed, from the folder where it was run before."""
    path = folder / f"{name}.md"
    if not path.exists():
        print(f"rnnsent {command}", file=sys.stderr)
        run = [sys.executable, "-m", "rnnsent", *command.split()]
        path.write_text(subprocess.run(run, stdout=subprocess.PIPE, text=True, check=True).stdout)
    return path.read_text()


def main(folder: Path) -> None:
    """Measure what is missing in `folder` and write the page."""
    folder.mkdir(parents=True, exist_ok=True)
    where = f"on {processor()}, 2 cores, {datetime.date.today()}"
    parts = [
        "# Results\n",
        textwrap.fill(
            f"Written by `python benchmarks/results.py FOLDER` {where}. The accuracies of the shipped configs are in "
            "the README. `make bench` fails where a ratio falls below 6."
            " Ratios move with what other guests of the machine do (docs/experiments.md).",
            WIDTH,
        ),
    ]
    for name, command, heading, text in SECTIONS:
        parts += [f"\n## {heading}\n\n{textwrap.fill(text, WIDTH)}"] if heading else ([f"\n{text}"] if text else [])
        parts += [f"\n`rnnsent {command}`\n", measured(folder, name, command).rstrip()]
    printed = {"recipes": RECIPES, "ablations": ABLATIONS, "losses": LOSSES, "milestones": MILESTONES}
    for name, (heading, text, command) in printed.items():
        path = folder / f"{name}.md"
        if path.exists():
            parts += [f"\n## {heading}\n\n{textwrap.fill(text, WIDTH)}\n\n`{command}`\n", path.read_text().rstrip()]
    PAGE.write_text("\n".join(parts) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

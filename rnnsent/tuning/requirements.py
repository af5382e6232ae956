"""What a search needs before its other modules, which import Optuna, can be imported."""

from __future__ import annotations

from rnnsent.errors import RnnsentError, installed


def require_optuna() -> None:
    """Require Optuna.

    Raises:
        RnnsentError: if it is not installed.
    """
    if not installed("optuna"):
        raise RnnsentError("rnnsent tune needs Optuna: pip install 'rnnsent[tune]'")

"""Starting Keras: without noise, on the requested device."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ctypes.util import find_library
from dataclasses import dataclass
from pathlib import Path

from rnnsent.engine.imports import import_keras
from rnnsent.errors import DeviceError, count, installed
from rnnsent.signals import DeferredSignals

logger = logging.getLogger(__name__)

BACKENDS = ("tensorflow", "jax")

_users: set[int] = set()  # the process that started Keras; its forks inherit the number, but none of its threads


@dataclass(frozen=True, slots=True)
class Device:
    """Where the model runs, and why there."""

    name: str  # "cpu" or "gpu:0"
    because: str
    backend: str  # "tensorflow" or "jax"
    threads: int

    @property
    def multiple(self) -> int:
        """Lengths of batches are rounded up to a multiple of it: under JAX, XLA compiles for each length."""
        return 1 if self.backend == "tensorflow" else 50

    def __str__(self) -> str:
        threads = f", {count(self.threads, 'thread')}" if self.name == "cpu" else ""
        return f"{self.name} ({self.because}; Keras on {self.backend}{threads})"


def require_own_threads() -> None:
    """Raise DeviceError if Keras was started in the process that this one is a fork of: it would wait for ever."""
    if _users and os.getpid() not in _users:
        raise DeviceError(
            "Keras runs in the process that this one is a fork of, and would hang here: "
            'start processes with the method "spawn", as multiprocessing.get_context("spawn") does'
        )


def require_device(requested: str) -> None:
    """Raise DeviceError for what is known before Keras is imported: a fork, or a GPU that has no driver."""
    require_own_threads()
    if requested.startswith("gpu") and not _has_gpu_driver():
        raise _not_there(requested, [])


def start(requested: str = "auto") -> Device:
    """Import Keras with its backend and settle on a device: "auto" (a GPU if there is one), "cpu", "gpu" or "gpu:N".

    Raises:
        DeviceError: if there is no such GPU, or no such backend.
    """
    require_device(requested)
    _users.add(os.getpid())
    backend = os.environ.get("KERAS_BACKEND") or "tensorflow"
    if backend not in BACKENDS:
        raise DeviceError(f"KERAS_BACKEND={backend}: rnnsent runs on {' or '.join(BACKENDS)}")
    if not installed(backend):
        raise DeviceError(f"KERAS_BACKEND={backend}: it is not installed; `pip install {backend}` does it")
    # Silences what TensorFlow's C++ code logs later on; its own start-up lines are caught below.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if "keras" not in sys.modules and sys.stderr.isatty():
        logger.info("starting Keras, which takes some seconds …")
    # An exception that a signal raises inside the import is lost in there, or comes out as another.
    with DeferredSignals(), _caught_stderr():
        keras = import_keras(backend)
        with suppress(ImportError):
            import tensorflow  # noqa: F401  # Keras does so sooner or later on JAX too, where its lines would be seen
        logging.getLogger("tensorflow").setLevel(logging.ERROR)  # it warns of what is not the user's doing

        backend = keras.backend.backend()
        if backend not in BACKENDS:  # chosen by the program that imported Keras before
            raise DeviceError(f"Keras is set to {backend}: KERAS_BACKEND must be {' or '.join(BACKENDS)}")
        gpus = _tensorflow_gpus() if backend == "tensorflow" else _jax_gpus(requested)
        index, reason = _choose(requested, gpus)
        (_tensorflow_use if backend == "tensorflow" else _jax_use)(index)
    name = "cpu" if index is None else f"gpu:{index}"
    return Device(name, reason, backend, threads=len(os.sched_getaffinity(0)))


def _choose(requested: str, gpus: list[str]) -> tuple[int | None, str]:
    """Return the number of the GPU to use, None for the CPU, and the reason."""
    if requested == "cpu":
        return None, "requested"
    if requested == "auto":
        return (0, f"found {gpus[0]}") if gpus else (None, "no GPU was found")
    index = int(requested.partition(":")[2] or 0)
    if index < len(gpus):
        return index, f"requested, {gpus[index]}"
    raise _not_there(requested, gpus)


def _not_there(requested: str, gpus: list[str]) -> DeviceError:
    listing = f"GPUs found: {', '.join(gpus)}" if gpus else "no GPU was found"
    return DeviceError(f"device {requested} is not there: {listing}; use --device auto or --device cpu")


def _has_gpu_driver() -> bool:
    """Return whether this machine has the devices or the library of a GPU driver: of NVIDIA, AMD or WSL."""
    if sys.platform != "linux":
        return True  # nobody knows
    devices = [*Path("/dev").glob("nvidia[0-9]*"), Path("/dev/kfd"), Path("/dev/dxg")]
    return any(device.exists() for device in devices) or find_library("cuda") is not None


def _tensorflow_gpus() -> list[str]:
    import tensorflow as tf

    return [device.name.removeprefix("/physical_device:") for device in tf.config.list_physical_devices("GPU")]


def _tensorflow_use(index: int | None) -> None:
    import tensorflow as tf

    devices = [] if index is None else [tf.config.list_physical_devices("GPU")[index]]
    try:
        tf.config.set_visible_devices(devices, "GPU")
        for gpu in devices:
            # Otherwise the whole card is taken at once, from everybody else on it.
            tf.config.experimental.set_memory_growth(gpu, True)
    except RuntimeError as error:
        raise DeviceError(f"TensorFlow is already running in this process, on other devices: {error}") from None


def leave_cores_to_kernel() -> None:
    """Let TensorFlow, unless it runs already, work on one thread, while the native kernel uses all cores.

    To hand one of the small operations that are left to another thread takes longer than the operation.
    """
    import tensorflow as tf

    with suppress(RuntimeError):
        tf.config.threading.set_inter_op_parallelism_threads(1)
        tf.config.threading.set_intra_op_parallelism_threads(1)


def _jax_gpus(requested: str) -> list[str]:
    import jax

    if requested == "cpu":
        jax.config.update("jax_platforms", "cpu")
    return [str(device) for device in jax.devices() if device.platform == "gpu"]


def _jax_use(index: int | None) -> None:
    import jax

    if index is not None:
        jax.config.update("jax_default_device", jax.devices("gpu")[index])


@contextmanager
def _caught_stderr() -> Iterator[None]:
    """Hold back what native code writes to stderr; show it only if the block fails for an unknown reason."""
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as buffer:
        os.dup2(buffer.fileno(), 2)
        try:
            yield
        except DeviceError:
            raise
        except Exception:
            buffer.seek(0)
            os.write(stderr, buffer.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)

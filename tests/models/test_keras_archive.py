"""One test for each known way to harm whoever loads a Keras model; docs and numbers in SECURITY.md.

A payload that ran would leave a file called `owned`.
"""

from __future__ import annotations

import base64
import io
import json
import marshal
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from rnnsent.config.loader import parse_config
from rnnsent.errors import RunError
from rnnsent.models.keras_archive import CONFIG, METADATA, WEIGHTS, load
from rnnsent.models.keras_config import difference
from rnnsent.runs.directory import RunDirectory
from tests.conftest import TINY_CONFIG, rnnsent

Members = dict[str, bytes]
OWNED = Path("owned")
PAYLOAD = base64.b64encode(
    marshal.dumps(compile("__import__('pathlib').Path('owned').write_text('x')", "", "exec"))
).decode()


@pytest.fixture(scope="module")
def network() -> Any:
    from rnnsent.models.builder import model_for

    return model_for(parse_config(TINY_CONFIG.replace("CELL", "gru"), "tiny.yaml"), num_words=60)


@pytest.fixture(scope="module")
def saved(network: Any, tmp_path_factory: pytest.TempPathFactory) -> Members:
    path = tmp_path_factory.mktemp("saved") / "model.keras"
    network.save(path)
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def written(members: Members, compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile("model.keras", "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return Path("model.keras")


def with_config(saved: Members, edit: Callable[[Any], None]) -> Members:
    config = json.loads(saved[CONFIG])
    edit(config)
    return {**saved, CONFIG: json.dumps(config).encode()}


def with_weights(saved: Members, edit: Callable[[Any, str], None]) -> Members:
    """Let `edit` replace the kernel of the last layer in the HDF5 file."""
    buffer = io.BytesIO(saved[WEIGHTS])
    with h5py.File(buffer, "r+") as file:
        edit(file, "layers/dense/vars/0")
    return {**saved, WEIGHTS: buffer.getvalue()}


def require_refused(path: Path, network: Any, reason: str) -> None:
    with pytest.raises(RunError) as raised:
        load(path, network)
    assert str(raised.value).startswith(f"{path}: refused: ") and reason in str(raised.value)
    assert not OWNED.exists()


def layer(name: str, module: str = "keras.layers", **config: Any) -> dict[str, Any]:
    return {"module": module, "class_name": name, "config": {"name": "evil", **config}, "registered_name": None}


def function(module: str, name: str) -> dict[str, Any]:
    return {"module": module, "class_name": "function", "config": name, "registered_name": "function"}


LAMBDA = layer("Lambda", function={"class_name": "__lambda__", "config": {"code": PAYLOAD}}, arguments={})

HOSTILE = {
    # Code in a Lambda layer.
    "CVE-2024-3660": (LAMBDA, "asks for keras.layers.Lambda,"),
    # Any function of any module.
    "CVE-2025-1550": (function("builtins", "exec"), "asks for builtins.function, 'exec',"),
    # A function of Keras itself, which downloads.
    "CVE-2025-8747": (function("keras.utils", "get_file"), "asks for keras.utils.function, 'get_file',"),
    # A function of Keras itself, which turns its safe mode off.
    "CVE-2025-9906": (
        function("keras.config", "enable_unsafe_deserialization"),
        "asks for keras.config.function, 'enable_unsafe_deserialization',",
    ),
    # A class that is none of Keras, and a pickle.
    "CVE-2025-49655": (
        layer("TorchModuleWrapper") | {"config": {"module": PAYLOAD}},
        "asks for keras.layers.TorchModuleWrapper,",
    ),
    # A layer that reads a file, or an address.
    "CVE-2025-12058": (layer("StringLookup", vocabulary="/etc/passwd"), "asks for keras.layers.StringLookup,"),
    # A layer that loads a SavedModel.
    "CVE-2026-1462": (layer("TFSMLayer", filepath="saved_model"), "asks for keras.layers.TFSMLayer,"),
    # A Lambda in another layer, where the loader asks for no safe mode.
    "CVE-2026-12481": (layer("Bidirectional", layer=LAMBDA), "asks for keras.layers.Lambda,"),
    # A stock class under the name of a custom object.
    "custom object": ({**layer("Dense", units=1), "registered_name": "mine>Dense"}, "custom object 'mine>Dense'"),
    "custom class": (layer("Dense", units=1) | {"module": "somewhere"}, "asks for somewhere.Dense,"),
}


@pytest.mark.parametrize("advisory", HOSTILE)
def test_a_config_that_asks_for_more_is_refused(saved: Members, network: Any, advisory: str) -> None:
    asked, reason = HOSTILE[advisory]
    for edit in (
        lambda config: config["config"]["layers"].append(asked),
        lambda config: config["config"]["layers"].insert(0, asked),
        lambda config: config["config"]["layers"][-1]["config"].update(kernel_initializer=asked),
        lambda config: config.update(compile_config={"loss": asked}),
    ):
        require_refused(written(with_config(saved, edit)), network, reason)


def test_cve_2025_9905_hdf5_under_the_name_of_an_archive(network: Any) -> None:
    with h5py.File("model.keras", "w") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": {"layers": [LAMBDA]}})
    require_refused(Path("model.keras"), network, "File is not a zip file")


def test_cve_2026_12479_a_layer_whose_name_is_a_path(saved: Members, network: Any) -> None:
    for name in ("../../owned", "/tmp/owned", "a/b", "..", ""):

        def rename(config: Any, name: str = name) -> None:
            config["config"]["layers"][-1]["config"]["name"] = name

        require_refused(written(with_config(saved, rename)), network, f"is {name!r}, which is no name of a layer")


def hollow(file: Any, place: str) -> None:
    del file[place]
    file.create_dataset(place, (1 << 20, 1 << 20), "f4", chunks=(1024, 1024), compression="gzip")


def external(file: Any, place: str) -> None:
    shape, dtype = file[place].shape, file[place].dtype
    del file[place]
    file.create_dataset(place, shape, dtype, external=[("/etc/passwd", 0, 32)])


def virtual(file: Any, place: str) -> None:
    shape, dtype = file[place].shape, file[place].dtype
    del file[place]
    layout = h5py.VirtualLayout(shape, dtype)
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", shape)
    file.create_virtual_dataset(place, layout)


def linked(link: Any) -> Callable[[Any, str], None]:
    def edit(file: Any, place: str) -> None:
        del file[place]
        file[place] = link

    return edit


def circular(file: Any, place: str) -> None:
    file["layers/dense/again"] = file["layers"]


def strings(file: Any, place: str) -> None:
    del file[place]
    file.create_dataset(place, data=["a"] * 8, dtype=h5py.string_dtype())


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (hollow, "/layers/dense/vars/0 claims 1,099,511,627,776 numbers and does not hold them"),
        (external, "/layers/dense/vars/0 lies in another file"),
        (virtual, "/layers/dense/vars/0 is put together from other files"),
        (linked(h5py.ExternalLink("/etc/passwd", "/x")), "/layers/dense/vars/0 is a link, ExternalLink"),
        (linked(h5py.SoftLink("/layers")), "/layers/dense/vars/0 is a link, SoftLink"),
        (circular, "is nested too deeply"),
        (strings, "/layers/dense/vars/0 does not hold plain numbers"),
        (lambda file, place: file.create_dataset("more", data=np.zeros(9000, "f4")), "holds more numbers than the"),
    ],
    ids=[
        "CVE-2026-0897", "CVE-2026-1669", "keras#22976 virtual", "GHSA-27f4-p4xq-cxg8", "soft link", "circle", "text",
        "keras#23100 cumulative",
    ],
)  # fmt: skip
def test_weights_that_lead_elsewhere_are_refused(
    saved: Members, network: Any, edit: Callable[[Any, str], None], reason: str
) -> None:
    require_refused(written(with_weights(saved, edit)), network, reason)


def test_bombs_and_odd_members_are_refused(saved: Members, network: Any) -> None:
    """keras#23010, keras#23016, keras#23015."""
    packed = written({**saved, WEIGHTS: bytes(64 << 20)}, zipfile.ZIP_DEFLATED)
    assert packed.stat().st_size < 1 << 20
    require_refused(packed, network, "its model.weights.h5 unpacks to 67,108,864 bytes")
    require_refused(
        written({**saved, CONFIG: b" " * (5 << 20)}, zipfile.ZIP_DEFLATED), network, "its config.json unpacks"
    )
    for name in ("../owned", "/tmp/owned", "assets/evil", "model.weights.npz", "config.json/"):
        require_refused(written({**saved, name: b"x"}), network, f"it holds {name!r}, which is no part")
    require_refused(
        written({CONFIG: saved[CONFIG]}), network, "it must hold metadata.json, config.json, model.weights.h5"
    )
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(written(saved), "a") as archive:
        archive.writestr(CONFIG, b"{}")
    require_refused(Path("model.keras"), network, "each once")
    written({**saved, WEIGHTS: saved[WEIGHTS]}, zipfile.ZIP_LZMA)
    require_refused(Path("model.keras"), network, "is packed as Keras packs nothing")
    Path("model.keras").write_bytes(bytes(20 << 20))
    require_refused(Path("model.keras"), network, "it has 20,971,520 bytes, the network of this run needs at most")


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (b"[" * 100_000, "it is nested too deeply"),
        (b"[" * 500 + b"]" * 500, "config.json is nested too deeply"),
        (b'{"a": ' + b"9" * 5000 + b"}", "Exceeds the limit (4300 digits)"),
        (b'{"a": NaN}', "NaN is not JSON"),
        (b"\xff", "can't decode byte 0xff"),
        (b"{}", "config.json describes no network"),
        (b"[" + b"0," * 300_000 + b"0]", "config.json holds more than a network"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_config_that_is_none_is_refused(saved: Members, network: Any, config: bytes, reason: str) -> None:
    require_refused(written({**saved, CONFIG: config}), network, reason)


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (lambda layers: layers[1]["config"].update(input_dim=10**12), "config.input_dim is 1000000000000, not 60"),
        (lambda layers: layers[2]["config"].update(units=10**9), "config.units is 1000000000, not 8"),
        (lambda layers: layers[3]["build_config"].update(input_shape=[None, 10**9]), "is 1000000000, not 8"),
        (lambda layers: layers[3]["config"].update(activation="relu"), "config.activation is relu, not sigmoid"),
        (lambda layers: layers.append(layers[3]), "config.layers has 5 items, not 4"),
        (lambda layers: layers[3]["config"].update(lora_rank=10**6), "config.lora_rank is 1000000, not left out"),
    ],
)
def test_another_network_is_refused_before_it_is_built(
    saved: Members, network: Any, edit: Callable[[Any], None], reason: str
) -> None:
    require_refused(written(with_config(saved, lambda config: edit(config["config"]["layers"]))), network, reason)


KINDS = [
    "", "pooling: mean, ", "pooling: max, ", "pooling: mean_max, dropout: 0.1, ", "pooling: attention, ",
    "ngrams: {orders: 2}, ", "hashed_ngrams: {buckets: 16, dim: 2, orders: 3}, embedding_dropout: 0.1, ",
]  # fmt: skip
STACK = (
    "recurrent: [{cell: gru, units: 3, bidirectional: true}, {cell: lstm, units: 3, dropout: 0.1}, {cell: simple_rnn}]"
)


def test_networks_of_every_kind_are_loaded_and_told_apart() -> None:
    from rnnsent.models.builder import model_for

    before: Any = None
    for kind in KINDS:
        config = parse_config(f"data: {{labels: [a, b, c], source: texts, path: x}}\nmodel: {{{kind}{STACK}}}\n", "x")
        saved, expected = (model_for(config, num_words=20, seed=seed) for seed in (1, 2))
        saved.save("model.keras")
        loaded = load(Path("model.keras"), expected)
        assert all(np.array_equal(*pair) for pair in zip(loaded.get_weights(), saved.get_weights(), strict=True))
        if before is not None:
            require_refused(Path("model.keras"), before, "config.json is of another network than the run's config")
        before = expected


def test_a_graph_is_followed_from_its_outputs() -> None:
    def tensor(name: str) -> Any:
        return {"class_name": "__keras_tensor__", "config": {"keras_history": [name, 0, 0]}}

    def graph(*layers: tuple[str, str, list[str]]) -> Any:
        made = [
            {"name": name, "class_name": kind, "inbound_nodes": list(map(tensor, fed))} for name, kind, fed in layers
        ]
        return {"class_name": "Functional", "config": {"layers": made, "output_layers": [[layers[-1][0], 0, 0]]}}

    one = graph(("in", "Input", []), ("a", "Add", ["in"]), ("b", "Mod", ["in"]), ("c", "Sum", ["a", "b"]))
    same = graph(("in", "Input", []), ("b_7", "Mod", ["in"]), ("a_3", "Add", ["in"]), ("c", "Sum", ["a_3", "b_7"]))
    assert difference(one, same) == ""
    turned = graph(("in", "Input", []), ("a", "Add", ["in"]), ("b", "Mod", ["in"]), ("c", "Sum", ["b", "a"]))
    assert "class_name is Mod, not Add" in difference(turned, one) or "Add, not Mod" in difference(turned, one)
    aside = graph(("x", "Add", ["in"]), ("in", "Input", []), ("a", "Add", ["in"]), ("c", "Sum", ["a", "a"]))
    there = graph(("in", "Input", []), ("a", "Add", ["in"]), ("b", "Add", ["in"]), ("c", "Sum", ["a", "b"]))
    assert "comes from" in difference(aside, there)
    alone = graph(("x", "Add", ["in"]), ("in", "Input", []), ("c", "Sum", ["in", "in"]))
    assert difference(alone, alone) == "it has layers that lead nowhere"
    assert "no layer has that name" in difference(graph(("c", "Sum", ["gone"])), graph(("c", "Sum", ["gone"])))


def test_verify_says_why_a_strangers_model_was_not_loaded(finished_run: Path) -> None:
    shutil.copytree(finished_run, "run")
    with zipfile.ZipFile("run/model.keras") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    changed = with_config(members, lambda config: config["config"]["layers"].append(LAMBDA))
    shutil.copy(written(changed), "run/model.keras")
    RunDirectory(Path("run")).finish()  # a stranger's manifest vouches for it
    result = rnnsent("verify", "run", "--backend", "keras")
    assert result.exit_code == 1 and not OWNED.exists()
    assert "FAILED model.keras" in result.stdout and "asks for keras.layers.Lambda" in result.stdout
    assert METADATA in members

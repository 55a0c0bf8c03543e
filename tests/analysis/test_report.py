"""The report: all files, tables that can be read back, and the results in the summary."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from poseg.analysis.neurons import Crop
from poseg.analysis.report import analyze, visible_field, write_figure, write_matrices
from poseg.analysis.summary import HEADING
from poseg.draw.analysis_figures import neuron_figure
from poseg.errors import OutputError, PosegError, ShapeError
from poseg.skeletons import LSP14, Skeleton

SIDE = 40
SPOTTED = LSP14.index("left_wrist")
KINDS = ("png", "svg", "csv")


def crops(count=30):
    """A green spot at the left wrist; the other joints are anywhere."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:SIDE, :SIDE] + 0.5
    for number in range(count):
        joints = rng.uniform(6, SIDE - 6, (14, 2)).astype(np.float32)
        image = rng.integers(0, 30, (SIDE, SIDE, 3)).astype(np.uint8)
        image[np.hypot(x - joints[SPOTTED, 0], y - joints[SPOTTED, 1]) < 2.5, 1] = 240
        tensor = torch.from_numpy(image.astype(np.float32) / 255).permute(2, 0, 1)
        yield Crop(image, tensor, f"image-{number}.jpg", joints)


class Regressor(nn.Module):
    """A convolution that detects green spots, and a layer that predicts 2D joints."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 6, 5)
        self.out = nn.Linear(6, 28)
        with torch.no_grad():
            self.conv.weight[0] = torch.tensor([-1.0, 1.0, -1.0])[:, None, None]
            self.conv.weight[1] = 0
            self.conv.bias[1] = 0

    def forward(self, images):
        return self.out(torch.relu(self.conv(images)).amax(dim=(2, 3)))


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    out = tmp_path_factory.mktemp("analysis") / "new" / "folder"
    rng = np.random.default_rng(0)
    targets = rng.normal(size=(200, 14, 2))
    targets[:, LSP14.index("neck")] = 0
    network = Regressor()
    files = analyze(network, {"conv": network.conv}, crops(), rng.normal(size=(14, 2, 60)), LSP14, targets, out)
    return out, files


def test_exactly_the_documented_files_are_written(written):
    out, files = written
    stems = ("neurons_conv", "correlation_weights", "correlation_data", "co_sparsity")
    expected = {f"{stem}.{kind}" for stem in stems for kind in KINDS}
    expected |= {"neurons_conv_sources.csv", "side_pairs.csv", "summary.csv", "summary.md"}
    assert {path.name for path in files} == expected
    assert {path.name for path in out.iterdir()} == expected
    assert len(files) == len(expected)


def test_the_planted_neuron_is_reported_with_its_joint(written):
    out, _ = written
    rows = rows_of(out / "neurons_conv.csv")
    assert len(rows) == 6
    spotted = next(row for row in rows if row["channel"] == "0")
    assert spotted["joint"] == "left_wrist"
    assert float(spotted["deviation_px"]) < 1.5
    assert float(spotted["deviation_of_crop"]) == pytest.approx(float(spotted["deviation_px"]) / SIDE, rel=1e-4)
    assert float(spotted["p"]) < 0.01
    dead = next(row for row in rows if row["channel"] == "1")
    assert (dead["sources"], dead["joint"], dead["rank"]) == ("0", "", "6")
    text = (out / "summary.md").read_text()
    assert "| 0 | left_wrist |" in text
    assert "| conv | 5, 1 | 6 | 1 |" in text


def test_sources_name_the_crops(written):
    out, _ = written
    rows = [row for row in rows_of(out / "neurons_conv_sources.csv") if row["channel"] == "0"]
    assert len({row["crop"] for row in rows}) == len(rows) == 30
    first = next(crops())
    at = next(row for row in rows if row["crop"] == first.id)
    position = np.array([float(at["x_px"]), float(at["y_px"])])
    assert np.hypot(*(position - first.joints[SPOTTED])) < 2


def test_matrices_round_trip(written, tmp_path):
    out, _ = written
    rows = rows_of(out / "correlation_weights.csv")
    assert [row["matrix"] for row in rows] == [name for name in ("x", "y", "strongest") for _ in range(14)]
    values = np.array([[float(row[joint] or "nan") for joint in LSP14.joints] for row in rows[:14]])
    np.testing.assert_allclose(values, values.T)
    assert np.isnan(values[LSP14.index("neck")]).all()
    path = write_matrices(tmp_path / "one.csv", ["a", "b"], [("m", np.array([[1, np.nan], [0.123456789, -2]]))])
    assert path.read_text() == "matrix,joint,a,b\nm,a,1,\nm,b,0.123457,-2\n"


def test_figures_are_images_and_text_stays_text(written):
    out, _ = written
    for stem in ("neurons_conv", "correlation_weights", "co_sparsity"):
        image = np.asarray(Image.open(out / f"{stem}.png").convert("RGB"))
        assert image.std() > 5
        assert "left wrist" in (out / f"{stem}.svg").read_text()


def test_scores_are_in_one_table(written):
    out, _ = written
    rows = rows_of(out / "summary.csv")
    assert tuple(rows[0]) == HEADING
    assert {"conv", "correlation", "weights", "data"} <= {row["of"] for row in rows}
    fraction = next(row for row in rows if row["what"] == "fraction of channels selective for a joint")
    assert float(fraction["value"]) >= 1 / 6
    # Random weights: correlations of left and right are too weak for a sign.
    assert any(row["verdict"] == "too weak" for row in rows if row["of"] == "weights")


def test_figures_are_deterministic(tmp_path):
    patches = np.random.default_rng(0).uniform(0, 255, (3, 5, 5, 3)).astype(np.float32)
    for name in ("one", "other"):
        write_figure(neuron_figure(patches, ["a", "b", "c"]), tmp_path / name)
    for kind in ("png", "svg"):
        assert (tmp_path / f"one.{kind}").read_bytes() == (tmp_path / f"other.{kind}").read_bytes()


def test_weights_alone_are_enough(tmp_path):
    arm = Skeleton("arm", ("shoulder", "elbow"), (("shoulder", "elbow"),))
    files = analyze(nn.Identity(), {}, [], np.random.default_rng(0).normal(size=(2, 2, 30)), arm, None, tmp_path)
    assert not any(path.name.startswith(("neurons", "correlation_data")) for path in files)
    assert "Neurons" not in (tmp_path / "summary.md").read_text()


def test_fields_larger_than_the_crops_are_effective_fields():
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 2, 9, padding=4), *(nn.Conv2d(2, 2, 9, padding=4) for _ in range(4))]
    network = nn.Sequential(*layers)
    assert visible_field(network, layers[1], 32) == (17, 1, -8)
    centre = visible_field(network, layers[4], 32)
    assert 12 < centre.size <= 32
    assert centre.start == pytest.approx(-centre.size / 2, abs=2)


def test_bad_input_is_refused(tmp_path):
    network, weights = Regressor(), np.zeros((14, 2, 9))
    with pytest.raises(ShapeError, match="crops"):
        analyze(network, {"conv": network.conv}, [], weights, LSP14, None, tmp_path)
    with pytest.raises(ShapeError, match="weights"):
        analyze(network, {"conv": network.conv}, crops(2), weights[:9], LSP14, None, tmp_path)
    with pytest.raises(PosegError, match="modules that it calls"):
        analyze(network, {"lost": nn.Conv2d(3, 2, 1)}, crops(2), weights, LSP14, None, tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="folder"):
        analyze(network, {}, [], weights, LSP14, None, tmp_path / "file" / "out")

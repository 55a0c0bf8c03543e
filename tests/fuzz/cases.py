"""One case: a mutated file of some kind, and the commands that read it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import mutate
import numpy as np
import seeds

from poseg.runtime.card import CARD_KEY

Rng = np.random.Generator
Commands = list[list[str]]


@dataclass(frozen=True)
class Case:
    """kind and name for the report; commands of the command line, one after the other."""

    kind: str
    name: str
    commands: Commands


class Cases:
    """Cases by their number: each follows from the seed and the number alone.

    folder   holds the valid files that commands need beside the mutated one
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.seed = folder, seed
        (folder / "images").mkdir(parents=True, exist_ok=True)
        (folder / "clips").mkdir(exist_ok=True)
        self.images, self.videos = seeds.images(), seeds.videos(folder / "clips")
        for name in ("a.png", "b.png"):
            seeds.photo().save(folder / "images" / name)
        self.model = seeds.model()
        self.spots, self.truth = folder / "spots.onnx", folder / "truth.json"
        self.spots.write_bytes(self.model)
        self.truth.write_text(json.dumps(seeds.five_joints()))
        self.frames = seeds.frames(folder)

    @cached_property
    def run(self) -> Path:
        """The folder of a run, which takes seconds to make."""
        return seeds.run(self.folder)

    def make(self, number: int, at: Path) -> Case:
        """Write the file of a case into the folder `at`; what commands write goes to `at/out`."""
        rng = np.random.default_rng((self.seed, number))
        kinds: tuple[tuple[Callable[[Rng, Path], Case], float], ...] = (
            (self._image, 0.3), (self._video, 0.1), (self._coco, 0.2), (self._results, 0.12), (self._frames, 0.03),
            (self._model, 0.1), (self._toml, 0.06), (self._recipe, 0.04), (self._setting, 0.05), (self._run, 0.02),
        )  # fmt: skip
        weights = np.array([weight for _, weight in kinds])
        make, _ = kinds[int(rng.choice(len(kinds), p=weights / weights.sum()))]
        return make(rng, at)

    def _predict(self, path: Path, *more: str) -> list[str]:
        out = str(path.parent / "out")
        return ["predict", str(path), "--model", str(self.spots), "--out", out, "--threads", "1", "--masks", *more]

    def _image(self, rng: Rng, at: Path) -> Case:
        name = list(self.images)[int(rng.integers(len(self.images)))]
        path = at / name
        path.write_bytes(mutate.mutated_bytes(self.images[name], rng, list(self.images.values())))
        return Case("image", name, [self._predict(path)])

    def _video(self, rng: Rng, at: Path) -> Case:
        name = list(self.videos)[int(rng.integers(len(self.videos)))]
        path = at / name
        path.write_bytes(mutate.mutated_bytes(self.videos[name], rng, list(self.videos.values())))
        return Case("video", name, [self._predict(path, "--max-frames", "12")])

    def _coco(self, rng: Rng, at: Path) -> Case:
        path, images = at / "labels.json", str(self.folder / "images")
        other = rng.random() < 0.1
        plain = seeds.ochuman() if other else seeds.coco()
        path.write_bytes(mutate.encoded_json(mutate.mutated_data(plain, rng), rng))
        commands = [
            ["data", "check", str(path), "--images", images],
            ["data", "show", str(path), "--images", images, "--out", str(at / "out")],
            ["data", "ochuman", str(path), "--split", "val", "--out", str(at / "out" / "ochuman.json")],
            ["evaluate", "--data", str(path), "--images", images, "--model", str(self.spots), "--threads", "1",
             "--json", str(at / "out" / "scores.json"), "--metric", "pck" if rng.random() < 0.3 else "coco"],
        ]  # fmt: skip
        return Case("COCO file", "ochuman" if other else "labels", commands)

    def _results(self, rng: Rng, at: Path) -> Case:
        path = at / "results.json"
        truth = rng.random() < 0.3
        plain = mutate.mutated_data(seeds.coco() if truth else seeds.results(), rng)
        path.write_bytes(mutate.encoded_json(plain, rng))
        photo, given = str(self.folder / "images" / "a.png"), ["--people", str(path)]
        commands = [["effect", "pixelate", photo, *given, "--out", str(at / "out" / "a.png")]]
        if rng.random() < 0.2:
            model = "pose2seg" if rng.random() < 0.5 else "multitask"
            command = ["segment"] if model == "pose2seg" else ["predict", "--masks"]
            commands.append(
                [*command, photo, *given, "--model", model, "--threads", "1", "--out", str(at / "out" / "b")]
            )
        return Case("result file", "truth" if truth else "results", commands)

    def _frames(self, rng: Rng, at: Path) -> Case:
        path = at / "a.people.jsonl"
        lines = self.frames.split(b"\n")
        row = int(rng.integers(len(lines) - 1))
        lines[row] = mutate.encoded_json(mutate.mutated_data(json.loads(lines[row]), rng), rng)
        path.write_bytes(b"\n".join(lines))
        effect = ["effect", "pixelate", str(self.folder / "clips" / "a.mp4"), "--people", str(path)]
        return Case("result file", "frames", [[*effect, "--out", str(at / "out" / "a.mp4")]])

    def _model(self, rng: Rng, at: Path) -> Case:
        path, kind = at / "model.onnx", rng.random()
        if kind < 0.6:
            card = mutate.encoded_json(mutate.mutated_data(seeds.card(), rng), rng)
            data = seeds.model(card.decode("utf-8", "replace").replace("\0", ""))
        else:
            data = mutate.mutated_bytes(self.model, rng, [self.images["rgb.png"], CARD_KEY.encode()])
        path.write_bytes(data)
        photo, out = str(self.folder / "images" / "a.png"), str(at / "out")
        predict = ["predict", photo, "--model", str(path), "--out", out, "--threads", "1", "--masks"]
        return Case("model", "card" if kind < 0.6 else "bytes", [["models", str(path)], predict])

    def _toml(self, rng: Rng, at: Path) -> Case:
        path = at / "dog.toml"
        path.write_bytes(mutate.mutated_text(seeds.TOML, rng).encode("utf-8", "surrogatepass"))
        return Case("TOML", "skeleton", [["data", "check", str(self.truth), "--skeleton", str(path)]])

    def _recipe(self, rng: Rng, at: Path) -> Case:
        path = at / "mine.py"
        path.write_bytes(mutate.mutated_text(seeds.RECIPE, rng).encode("utf-8", "surrogatepass"))
        return Case("recipe", "file", [["train", str(path), "--dry-run"]])

    def _run(self, rng: Rng, at: Path) -> Case:
        """The folder of a run of which one file is broken, resumed and exported."""
        run, files = at / "run", sorted(self.run.iterdir())
        run.mkdir()
        chosen = files[int(rng.integers(len(files)))]
        for file in files:
            if file != chosen:
                (run / file.name).write_bytes(file.read_bytes())
            elif file.suffix == ".json":
                (run / file.name).write_bytes(
                    mutate.encoded_json(mutate.mutated_data(json.loads(file.read_text()), rng), rng)
                )
            else:
                (run / file.name).write_bytes(mutate.mutated_bytes(file.read_bytes(), rng, [self.model]))
        train = ["train", seeds.RUN, "--data", str(self.folder / "synthetic"), "--out", str(run), *seeds.RUN_OPTIONS]
        export = ["export", str(run), "--out", str(at / "out" / "run.onnx")]
        return Case("recipe", f"run, {chosen.name.partition('-')[0]}", [export, train])

    def _setting(self, rng: Rng, at: Path) -> Case:
        setting = mutate.mutated_text(seeds.SETTINGS[int(rng.integers(len(seeds.SETTINGS)))], rng)
        return Case("recipe", "setting", [["train", "overfit_tiny", "--dry-run", f"--set={setting}"]])

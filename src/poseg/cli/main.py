"""The command `poseg`: its subcommands, and how errors are shown."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import poseg
from poseg.cli.batch import batch
from poseg.cli.convert import convert
from poseg.cli.data import data
from poseg.cli.effect import effect
from poseg.cli.evaluate import evaluate
from poseg.cli.export import export, import_google, quantize
from poseg.cli.label import label
from poseg.cli.models import models
from poseg.cli.pose2seg import pose2seg
from poseg.cli.predict import predict
from poseg.cli.segment import segment
from poseg.cli.train import analyze, train
from poseg.cli.visualize import visualize
from poseg.errors import DeviceWarning, ImageWarning, PosegError

_DEBUG = "POSEG_DEBUG"
# Modules that are not part of the light core, and the extra that installs them.
_EXTRAS = {
    "OneEuroFilter": "video",
    "accelerate": "train",
    "av": "video",
    "fsspec": "batch",
    "matplotlib": "analysis",
    "onnx": "export",
    "pyarrow": "batch",
    "ray": "batch",
    "safetensors": "train",
    "scipy": "video",
    "tensorboard": "train",
    "tflite": "export",
    "torch": "train",
}


# Words for what a command of another name does.
_FINE_TUNE = "`poseg train --data ANNOTATIONS.json --images DIR --out RUN` fine-tunes a model on your own data."
_WORDS = {word: _FINE_TUNE for word in ("finetune", "fine-tune", "tune", "fit", "own")}


class _Commands(TyperGroup):
    """Turns an error of ours into one sentence and exit code 2; anything else shows its traceback."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and args[0] in _WORDS and self.get_command(ctx, args[0]) is None:
            raise PosegError(f"There is no command {args[0]!r}: {_WORDS[args[0]]}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        try:
            with _printed_warnings():
                return super().invoke(ctx)
        except PosegError as error:
            if ctx.params.get("debug"):
                raise
            typer.echo(f"poseg: {error}{_install_hint(error.__cause__)}", err=True)
        except ModuleNotFoundError as error:
            hint = _install_hint(error)
            if not hint or ctx.params.get("debug"):
                raise
            typer.echo(f"poseg: This needs {error.name};{hint}", err=True)
        raise typer.Exit(2)


def _install_hint(error: BaseException | None) -> str:
    """How to install what an import lacks; empty for anything but a module of an extra."""
    name = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    return f" install it with: pip install 'poseg[{_EXTRAS[name]}]'" if name in _EXTRAS else ""


@contextmanager
def _printed_warnings() -> Iterator[None]:
    """Warnings about images and devices become one line each; Pillow's, about damaged EXIF, are left out."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")
        for category in (DeviceWarning, ImageWarning):
            warnings.simplefilter("always", category)
        show = warnings.showwarning

        def show_line(message: Warning | str, category: type[Warning], *where: Any, **options: Any) -> None:
            if issubclass(category, (DeviceWarning, ImageWarning)):
                typer.echo(f"poseg: {message}", err=True)
            else:
                show(message, category, *where, **options)

        warnings.showwarning = show_line
        yield


app = typer.Typer(
    name="poseg",
    cls=_Commands,
    help="Detect people in images and videos as poses and instance masks.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command()(predict)
app.command()(segment)
app.command()(effect)
app.command()(convert)
app.command()(visualize)
app.command()(models)
app.command()(evaluate)
app.command()(batch)
app.command()(quantize)
app.command("import-google")(import_google)
app.command()(label)
app.command()(train)
app.command()(export)
app.command()(analyze)
app.add_typer(data)
app.add_typer(pose2seg)


def _version(requested: bool) -> None:
    if requested:
        typer.echo(f"poseg {poseg.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", envvar=_DEBUG, help="Show the traceback of an error.")] = False,
) -> None:
    """Detect people in images and videos as poses and instance masks."""


def run() -> None:
    """Entry point of the command line."""
    app(prog_name="poseg")

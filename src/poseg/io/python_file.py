"""A Python file of the user's: a recipe, or a teacher of labels."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from traceback import extract_tb
from types import ModuleType

from poseg.errors import PosegError


def load_python_file(path: Path, name: str) -> ModuleType:
    """The module in a file outside of `sys.path`, which is run under `name`.

    Raises PosegError for a file that is not there, and for whatever its code raises, with the line.
    """
    spec = importlib.util.spec_from_file_location(name, path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise PosegError(f"There is no file {path}; check the name.")
    module = importlib.util.module_from_spec(spec)
    before = sys.modules.get(name)
    sys.modules[name] = module  # its dataclasses are defined by their module
    try:
        spec.loader.exec_module(module)
    except BaseException as fault:
        del sys.modules[name]
        if before is not None:
            sys.modules[name] = before
        if isinstance(fault, SyntaxError):
            raise PosegError(f"{path}, line {fault.lineno}: {fault.msg}; correct the file.") from fault
        if isinstance(fault, Exception):  # any code may raise anything
            raise PosegError(f"{path}, line {_line(fault, path)}: {type(fault).__name__}: {fault}.") from fault
        raise
    return module


def _line(fault: Exception, path: Path) -> int:
    """The last line of a file that an error went through; 0 where it is not known."""
    lines = [frame.lineno for frame in extract_tb(fault.__traceback__) if Path(frame.filename) == path]
    return (lines[-1] if lines else None) or 0

"""`python -m poseg` is the command line."""

from poseg.cli.main import run

run()

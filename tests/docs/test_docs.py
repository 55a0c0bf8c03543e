"""The examples of docs and README run, page by page, in a folder with one photograph; and links lead somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import poseg

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("docs/*.md"), ROOT / "README.md"])
BLOCK = re.compile(r"```(python|console)\n(.*?)```", re.DOTALL)
PROMPT = "$ "


def commands(block: str) -> list[list[str]]:
    """Arguments of the `$ poseg ...` lines of a block; lines without a prompt need what a reader has and we do not."""
    return [line.removeprefix(PROMPT).split()[1:] for line in block.splitlines() if line.startswith(PROMPT + "poseg ")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_docs_examples_run(page, tmp_path):
    poseg.write_png(tmp_path / "astronaut.png", poseg.examples.astronaut())
    examples = BLOCK.findall(page.read_text())
    assert examples, "a page begins with an example"
    for language, code in examples:
        if language == "python":
            run([sys.executable, "-W", "error", "-c", code], tmp_path)
            continue
        for arguments in commands(code):
            if arguments[0] != "evaluate":  # needs COCO; the Python example of that page measures what it makes
                run([sys.executable, "-m", "poseg", *arguments], tmp_path)


def run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_docs_links_lead_to_files_and_headings(page):
    for target, anchor in re.findall(r"\]\(([^)#]*)#?([^)]*)\)", page.read_text()):
        if "://" not in target:
            there = page.parent / target if target else page
            assert there.exists(), target
            assert not anchor or anchor in anchors(there), f"{target}#{anchor}"

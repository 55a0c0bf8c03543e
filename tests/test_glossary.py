"""Names and prose use the field's words: of our own dialect, listed below, nothing is left."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import poseg

ROOT = Path(__file__).resolve().parents[1]
PROSE = ("README.md", "benchmarks", "docs", "examples", "scripts", "src")  # of tests the names alone
SUFFIXES = {".py", ".md", ".toml", ""}

# Retired words -> what to write instead. They are whole words of prose and parts of names alike: "PictureSize" and
# "picture_size" are read as "picture size". A space is any white space.
RETIRED = {
    "pictures?": "image",
    "looks?(?! (?:ahead|alike|at|fast|for|like|pale|up))": "view",  # the verb may stay
    "claim(?:s|ed|ing|ants?)?": "assign, pixel assignment",
    "(?:un|re)?paint(?:s|ed|er|ers|ing)?": "render (masks), draw, encode (targets); mask refiner",
    "outlin(?:e|es|ed|er|ers|ing)": "segment, mask, polygon",
    "(?<!make.)sure(?:r|st|ly|ness)?|unsure": "high score, confident; uncertain",
    "(?:no|some|every|any)body|every ?one(?! of)": "no people, a person, all people",
    "he|him|his|himself|she|hers?|herself": "they, the person",
    "mirror(?:s|ed|ing)?|turned round": "flip",
    "trunks?": "backbone",
    "spreads?": "sigma, std",
    "(?:dis|un)?trust(?:s|ed|ing)?": "weight; rely on",
    "(?:eight|sixteen) bits?": "INT8; 16-bit",
    "in floats": "FP32",
    "(?:come|comes|came|coming) along": "bundled",
    "told|said": "message, summary, logits; the verb itself",
    "worth it": "adaptive",
    "(?<!=.)true (?:poses?|masks?|people|persons?|joints?|boxes)": "ground truth, annotated",
    "in space|into space": "3D",
    "lessons?": "teacher fields",
    "strangers?": "false positives, background",
    "suiting|suits": "fits, in the valid range",
    "(?:un)?posed": "top-down pose; keypoints",
    "by heart": "overfit",
}
PREFIXES = {"(?:least|most|fewest)_(?!common)": "min_, max_"}  # of names; "at least" is plain English

# Where a retired word is not ours to choose, or means what everybody means by it: path, word, reason.
ALLOWED = (
    ("src/poseg/effects/|docs/effects.md|docs/gallery.py|benchmarks/effects.py", "outlin", "the effect of that name"),
    ("docs/video.md|README.md|src/poseg/cli/effect|tests/effects/", "outlin", "the effect of that name"),
    ("src/poseg/draw/analysis_figures.py", "outline", "an attribute of Matplotlib's colour bars"),
    ("src/poseg/effects/matte.py|src/poseg/networks/backbones/resnet.py", "he", "Kaiming He, an author"),
)

_WORDS = re.compile(rf"\b(?:{'|'.join(RETIRED)})\b".replace(" ", r"\s+"))
_PREFIXES = re.compile(rf"\b_*(?:{'|'.join(PREFIXES)})\w+", re.IGNORECASE)
_JOINTS = re.compile("(?<=[a-z0-9])(?=[A-Z])|_")
_TEST_NAMES = re.compile(r"^\s*(?:def|class) (\w*test\w*)", re.IGNORECASE | re.MULTILINE)


def texts() -> Iterator[tuple[str, str]]:
    """Path and text of what is read: all of `PROSE`, the names of tests, and the paths of both."""
    files = subprocess.run(["git", "ls-files", "tests", *PROSE], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in files.stdout.split():
        path = ROOT / name
        if path.suffix in SUFFIXES and path.is_file():
            text = path.read_text()
            yield name, text if not name.startswith("tests/") else "\n".join(_TEST_NAMES.findall(text))


def offenders(text: str) -> list[str]:
    """The retired words in a text, each as it stands there."""
    plain = _JOINTS.sub(" ", text).lower()
    return [match.group() for match in (*_WORDS.finditer(plain), *_PREFIXES.finditer(text))]


def replacement(word: str) -> str:
    """What to write instead of a retired word."""
    for pattern, better in RETIRED.items():
        if re.fullmatch(pattern.replace(" ", r"\s+"), word):
            return better
    return PREFIXES[next(iter(PREFIXES))]


def test_glossary_finds_words_in_prose_and_in_names():
    assert offenders("A picture, PictureSize, `picture_px`, depicture") == ["picture"] * 3
    assert offenders("at least one; _LEAST_SCORE") == ["_LEAST_SCORE"]
    assert offenders("Make sure that it is, for sure") == ["sure"]
    assert offenders("cv2.inpaint and INPAINT_TELEA") == []


def test_no_retired_word_is_left():
    found = []
    for name, text in texts():
        for word in offenders(name) + offenders(text):
            if not any(re.match(path, name) and re.match(allowed, word) for path, allowed, _ in ALLOWED):
                found.append(f"{name}: {word!r}, rather: {replacement(word)}")
    assert not found, "\n".join(found)


def test_no_retired_word_is_in_a_card():
    for name, card in poseg.models().items():
        assert not offenders(card.to_json()), name


def test_no_exception_is_idle():
    all_texts = list(texts())
    for path, allowed, reason in ALLOWED:
        assert any(
            re.match(path, name) and re.match(allowed, word) for name, text in all_texts for word in offenders(text)
        ), reason

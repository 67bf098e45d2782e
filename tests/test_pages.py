"""What the pages and the docstrings of packages name is there: a move that forgets them is seen."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "speedd"
PAGES = sorted([ROOT / "README.md", *PACKAGE.rglob("*.md"), *(ROOT / "systemd").glob("*.md")])
ROOMS = sorted(path for path in PACKAGE.rglob("__init__.py") if path.parent != PACKAGE)
SOURCES = re.compile(r"`((?:[\w.]+/)+[\w.]+\.(?:py|md|toml))`")
MODULES = re.compile(r"`((?:[a-z_0-9]+\.)*[a-z_0-9]+)`")
"""In a package's docstring single strokes stand around modules; commands and values have double ones."""


def name_of(path):
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_page_names_files_that_are_there(page):
    places = (ROOT, PACKAGE, page.parent)
    named = set(SOURCES.findall(page.read_text(encoding="utf-8")))
    assert not {name for name in named if not any((place / name).is_file() for place in places)}


@pytest.mark.parametrize("room", ROOMS, ids=name_of)
def test_a_package_names_modules_that_it_has(room):
    told = re.sub(r"``.*?``", "", ast.get_docstring(ast.parse(room.read_text(encoding="utf-8"))) or "")
    stems = {name: room.parent.joinpath(*name.split(".")) for name in MODULES.findall(told)}
    assert not {name for name, stem in stems.items() if not (stem.is_dir() or stem.with_suffix(".py").is_file())}


def test_the_policies_that_the_page_names_are_there():
    named = set(re.findall(r"`([A-Z][A-Z_]+_[A-Z_]+)`", (PACKAGE / "README.md").read_text(encoding="utf-8")))
    assert len(named) > 10
    assert not {name for name in named if f"\n{name}: " not in (PACKAGE / "common" / "policies.py").read_text("utf-8")}

"""What all tests share: where the real books lie, if they do."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real books, beside the checkout or where SPEEDD_SHARED says."""
    folder = Path(os.environ.get("SPEEDD_SHARED", ROOT.parent / "shared"))
    if not (folder / "books").is_dir():
        pytest.skip(f"no folder with real books at {folder} (set SPEEDD_SHARED)")
    return folder

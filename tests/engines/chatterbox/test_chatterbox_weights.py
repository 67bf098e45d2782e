"""Weights as they are fetched, noted, found again without a network, and damaged."""

import hashlib
import json
import os
import shutil
from fnmatch import fnmatch
from pathlib import Path

import pytest
from chatterbox_bench.order import DECLARATION

from speedd.engines.chatterbox import ChatterboxFactory
from speedd.engines.chatterbox.weights import files as weights_module
from speedd.engines.chatterbox.weights.download import download
from speedd.errors import EngineError, UsageError

pytest.importorskip("torch", reason="the chatterbox extra is not installed")
pytest.importorskip("chatterbox", reason="the chatterbox extra is not installed")

from chatterbox_tiny_engine import options

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


class Hub:
    """Stands where the hub is: as `snapshot_download`, it does not look at what lies in the cache already."""

    def __init__(self, published: Path, cache: Path):
        self.published = published
        self.repository = cache / "hub" / "models--ResembleAI--chatterbox"
        self.snapshot = self.repository / "snapshots" / COMMIT
        self.fetched = []

    def __call__(self, repository, *, revision, allow_patterns, force_download):
        assert repository == "ResembleAI/chatterbox"
        for folder in ("refs", "blobs", f"snapshots/{COMMIT}"):
            (self.repository / folder).mkdir(parents=True, exist_ok=True)
        (self.repository / "refs" / revision).write_text(COMMIT)
        for path in self.published.iterdir():
            link = self.snapshot / path.name
            if any(fnmatch(path.name, one) for one in allow_patterns) and (force_download or not link.exists()):
                blob = self.repository / "blobs" / sha256(path)
                shutil.copyfile(path, blob)
                link.unlink(missing_ok=True)
                link.symlink_to(blob)
                self.fetched.append(path.name)


@pytest.fixture
def state(tmp_path):
    shutil.copytree(os.environ["SPEEDD_TEST_CHATTERBOX_STATE"], tmp_path / "state", dirs_exist_ok=True)
    return tmp_path / "state"


@pytest.fixture
def hub(checkpoint, tmp_path, monkeypatch):
    import huggingface_hub  # noqa: PLC0415

    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    hub = Hub(checkpoint("english", mean_tokens=40), tmp_path / "cache")
    monkeypatch.setattr(huggingface_hub, "snapshot_download", hub)
    return hub


@pytest.fixture
def given(state):
    return options(state=state, device="cpu")


def test_what_is_fetched_is_written_down_and_found_offline(hub, given, state):
    with pytest.raises(EngineError, match="check --download"):
        ChatterboxFactory().describe(given)
    assert COMMIT in download(given)
    info = ChatterboxFactory().describe(given)
    assert info.revision == COMMIT
    assert set(info.files) == {
        "t3_cfg.safetensors",
        "s3gen.safetensors",
        "ve.safetensors",
        "tokenizer.json",
        "conds.pt",
    }
    assert info.files == {name: sha256(hub.published / name) for name in info.files}
    record = json.loads((state / "weights-english.json").read_text())
    assert (record["asked_for"], record["revision"], record["sha256"]) == ("main", COMMIT, info.files)
    with pytest.raises(UsageError, match="are to lie in"):
        download(options("/somewhere"))


def test_what_is_no_longer_what_was_fetched_is_named_and_fetched_again(hub, given):
    download(given)
    sound = ChatterboxFactory().describe(given)
    hub.fetched.clear()
    download(given)
    assert hub.fetched == []
    blob = (hub.snapshot / "t3_cfg.safetensors").resolve()
    data = bytearray(blob.read_bytes())
    data[-5] ^= 1  # one bit of a tensor: size and header are as they were
    blob.write_bytes(data)
    with pytest.raises(EngineError, match=r"t3_cfg\.safetensors in .* is not what .*fetched: it is damaged"):
        ChatterboxFactory().describe(given)
    download(given)
    assert hub.fetched == ["t3_cfg.safetensors"]
    assert ChatterboxFactory().describe(given) == sound


def test_a_bit_that_the_disk_lost_is_found_when_it_is_asked_for(hub, given):
    download(given)
    hub.fetched.clear()
    blob = (hub.snapshot / "conds.pt").resolve()
    status, data = blob.stat(), bytearray(blob.read_bytes())
    data[len(data) // 2] ^= 1
    with blob.open("r+b") as file:
        file.write(data)
    os.utime(blob, ns=(status.st_atime_ns, status.st_mtime_ns))
    download(given)
    assert hub.fetched == ["conds.pt"]


@pytest.mark.parametrize("name", ["s3gen.safetensors", "tokenizer.json"])
def test_a_fetch_that_was_cut_short_is_made_good(hub, given, name):
    hub("ResembleAI/chatterbox", revision="main", allow_patterns=["*"], force_download=False)
    blob = (hub.snapshot / name).resolve()
    blob.write_bytes(blob.read_bytes()[:-50])
    with pytest.raises(EngineError, match=rf"{name} is damaged.*check --download"):
        ChatterboxFactory().describe(given)
    hub.fetched.clear()
    download(given)
    assert hub.fetched == [name]
    assert ChatterboxFactory().describe(given).files[name] == sha256(hub.published / name)


def test_another_revision_is_not_measured_by_what_was_fetched_before(hub, given):
    download(given)
    other = "f" * 40
    shutil.copytree(hub.snapshot, hub.repository / "snapshots" / other)
    with (hub.repository / "snapshots" / other / "tokenizer.json").open("a") as file:
        file.write("\n")
    (hub.repository / "refs" / "main").write_text(other)
    assert ChatterboxFactory().describe(given).revision == other


def test_files_in_a_folder_of_ones_own_are_read_once_and_what_changes_is_another_model(
    checkpoint, state, tmp_path, monkeypatch
):
    folder = shutil.copytree(checkpoint("english", mean_tokens=40), tmp_path / "weights")
    given = options(folder, state, device="cpu")
    first = ChatterboxFactory().describe(given)
    assert first.revision == ""
    assert first.files == {path.name: sha256(path) for path in folder.iterdir() if path.name != DECLARATION}
    read = []
    digest = weights_module._digest
    monkeypatch.setattr(weights_module, "_digest", lambda path: read.append(path.name) or digest(path))
    assert ChatterboxFactory().describe(given) == first
    assert read == []
    with (folder / "tokenizer.json").open("a") as file:
        file.write("\n")
    changed = ChatterboxFactory().describe(given)
    assert read == ["tokenizer.json"]
    assert changed.model_digest != first.model_digest
    assert changed.files == {**first.files, "tokenizer.json": sha256(folder / "tokenizer.json")}

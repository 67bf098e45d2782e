"""The run log is a contract: its schema is up to date, real logs keep to it, and long ones are streamed."""

import io
import json
import subprocess
import sys
import tracemalloc
from datetime import UTC, datetime, timedelta, timezone
from importlib import resources

import jsonschema
import pytest
from pydantic import ValidationError

from speedd.outbox.runlog import ChunkLog, RunLog, TakeLog, read_header, write_run_log

DIGEST = "0f" * 32


def head(**changes):
    values = {
        "job_id": "0123456789ab",
        "run_id": "r1",
        "speedd_version": "0.1.0",
        "started_at": datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=2))),
        "finished_at": datetime(2026, 1, 2, 4, 4, 5, 678901, tzinfo=UTC),
        "end": {"state": "published"},
        "job_attempts": 1,
        "source": {
            "name": "Büch\u2028 🐉",
            "digest": DIGEST,
            "parts": [{"role": "book", "name": "Büch.epub", "digest": DIGEST, "size_bytes": 12}],
        },
        "settings": {"speech": {"speed": 1.0, "vader": None}, "output": {"bitrate_kbps": 64}},
        "seed": 0,
        "engine": {
            "name": "hibari",
            "version": "0.2.1",
            "model_digest": DIGEST,
            "device": "cpu",
            "numerics": {"threads": "1"},
        },
        "voice": {"name": "heart", "digest": DIGEST},
        "book": {"title": "T", "words": 2, "chapters": [{"title": "I", "start_s": 0, "end_s": 1.23456}]},
        "skipped": [{"title": "Imprint", "reason": "front matter", "words": 30}],
        "warnings": ['a "quoted" one\n  "chunks": [\n'],
        "stages_s": {"read": 0.1, "narrate": 2},
        "audio_s": 1.23456,
        "realtime_factor": 0.5,
        "loudness": {"integrated_lufs": -18.02, "true_peak_dbtp": float("-inf"), "rms_dbfs": -20.0, "gain_db": 8.1},
        "chunks_rendered": 1,
        "hardware": {"cpu_count": 2, "platform": "Linux x86_64"},
    }
    return RunLog.model_validate(values | changes)


def chunk(index, **changes):
    values = {
        "index": index,
        "chapter": 0,
        "text_digest": DIGEST,
        "start_s": index * 2.0,
        "duration_s": 1.5,
        "attempts": 1,
        "render_s": 0.0123456,
        "stop_reason": "end",
        "takes": (TakeLog(key="k", seed=2**63 - 1, word_starts_s=(0.1, 0.75)),),
    }
    return ChunkLog.model_validate(values | changes)


def written(log, chunks):
    out = io.StringIO()
    write_run_log(out, log, chunks)
    return out.getvalue()


def shipped_schema():
    return json.loads((resources.files("speedd.outbox") / "run-log.schema.json").read_text(encoding="utf-8"))


def test_the_schema_is_up_to_date():
    printed = subprocess.run(
        [sys.executable, "-W", "error", "-m", "speedd.outbox.runlog"], capture_output=True, text=True, check=True
    )
    shipped = (resources.files("speedd.outbox") / "run-log.schema.json").read_text(encoding="utf-8")
    assert printed.stdout == shipped, "run: python -m speedd.outbox.runlog > speedd/outbox/run-log.schema.json"


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_log_keeps_to_the_schema(count):
    text = written(head(), (chunk(i) for i in range(count)))
    log = json.loads(text, parse_constant=pytest.fail)
    validator = jsonschema.Draft202012Validator(shipped_schema(), format_checker=jsonschema.FormatChecker())
    validator.check_schema(shipped_schema())
    validator.validate(log)
    assert [one["index"] for one in log["chunks"]] == list(range(count))
    assert log["schema_version"] == 3
    assert log["source"]["name"] == "Büch\u2028 🐉"
    assert log["loudness"]["true_peak_dbtp"] is None
    assert log["started_at"] == "2026-01-02T01:04:05Z"
    assert log["audio_s"] == 1.235
    assert list(log)[-1] == "chunks"
    assert sum(line.startswith('    {"index"') for line in text.splitlines()) == count


def test_a_log_of_a_refused_source_keeps_to_the_schema():
    log = head(end={"state": "refused", "reason": "It is empty."}, engine=None, voice=None, book=None, loudness=None)
    jsonschema.validate(json.loads(written(log, [])), shipped_schema())


def test_a_log_that_says_more_or_less_is_no_log_of_ours():
    log = json.loads(written(head(), [chunk(0)]))
    for broken in (log | {"extra": 1}, {k: v for k, v in log.items() if k != "chunks"}, log | {"schema_version": 2}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(broken, shipped_schema())


def test_what_makes_no_sense_is_not_logged():
    for changes in ({"started_at": datetime(2026, 1, 1)}, {"audio_s": -1.0}, {"realtime_factor": float("inf")}):  # noqa: DTZ001
        with pytest.raises(ValidationError):
            head(**changes)


def test_chunks_are_streamed_not_held():
    class Nowhere(io.StringIO):
        def write(self, text):
            return len(text)

    def peak_bytes(count):
        tracemalloc.start()
        write_run_log(Nowhere(), head(), (chunk(i) for i in range(count)))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    peak_bytes(10)
    assert peak_bytes(5000) < peak_bytes(50) + 50_000


def test_the_head_is_read_without_the_chunks(tmp_path):
    path = tmp_path / "run.json"
    whole = written(head(), [chunk(0)])
    path.write_text(whole, encoding="utf-8")
    found = read_header(path)
    assert found == {key: value for key, value in json.loads(whole).items() if key != "chunks"}
    path.write_text(whole[: whole.index('{"index"')] + "torn", encoding="utf-8")
    assert read_header(path) == found, "the chunks were looked at"


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b"\xff\xfe", b'{\n  "chunks": [\n', b'[\n1\n,\n  "chunks": [\n']
)
def test_no_head_where_there_is_no_log_of_ours(tmp_path, content):
    (tmp_path / "run.json").write_bytes(content)
    assert read_header(tmp_path / "run.json") is None
    assert read_header(tmp_path / "absent.json") is None
    assert read_header(tmp_path) is None

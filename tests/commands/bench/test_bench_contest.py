import json
import os
import subprocess
import sys

import pytest

from speedd.commands.bench.contest import CODERS, figures
from speedd.commands.bench.machine import Ran
from speedd.commands.bench.report import lines
from speedd.config import OutputSettings

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """What the command prints; short, so that its ratios mean nothing but must be consistent."""
    config = tmp_path_factory.mktemp("bench") / "speedd.toml"
    config.write_text('[engine]\nname = "hibari"\n[workers]\nquiet_hours = "00:00-23:59"\n')
    command = [sys.executable, "-P", "-m", "speedd", "bench", "--minutes", "0.3", "--idle", "1", "--json", "-c", config]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def test_the_ratios_are_those_of_the_wall_times(measured):
    rows = {row["name"]: row for row in measured["rows"]}
    assert list(rows) == ["raw", "naive_fast", "whole_fast", "naive_twoloop", "whole_twoloop"]
    for name, row in rows.items():
        naive = rows["naive_twoloop" if name.endswith("twoloop") else "naive_fast"]
        assert row["ratio"] == pytest.approx(naive["wall_s"] / row["wall_s"], rel=0.02)
        assert row["realtime_factor"] == pytest.approx(row["audio_s"] / row["wall_s"], rel=0.02, abs=0.06)
    assert [coder["ratio"] for coder in measured["coders"]] == [
        rows["whole_fast"]["ratio"],
        rows["whole_twoloop"]["ratio"],
    ]
    assert measured["ratio"] == rows["whole_fast"]["ratio"]


def test_all_speak_the_same_text(measured):
    rows = {row["name"]: row for row in measured["rows"]}
    assert measured["material"]["utterances"] > 3
    spoken_s = rows["raw"]["audio_s"]
    assert rows["naive_fast"]["audio_s"] == rows["naive_twoloop"]["audio_s"] == spoken_s > 10
    assert rows["whole_fast"]["audio_s"] == rows["whole_twoloop"]["audio_s"] == pytest.approx(spoken_s, rel=0.3)


def test_the_parts_add_up_to_the_whole(measured):
    whole = measured["rows"][2]
    assert sum(stage["wall_s"] for stage in measured["stages"]) == pytest.approx(whole["wall_s"], abs=0.01)
    assert sum(stage["share"] for stage in measured["stages"]) == pytest.approx(1.0, abs=0.01)
    assert sum(measured["cpu"].values()) == pytest.approx(whole["cpu_s"], abs=0.1)
    assert all(seconds >= 0 for seconds in measured["cpu"].values())
    assert measured["cpu"]["mastering: encode"] > 0
    bound = measured["bound"]
    product = bound["cores"] * bound["busy"] * bound["economy"] / bound["naive_busy"]
    assert product == pytest.approx(measured["ratio"], rel=0.02)


def test_one_worker_is_compared_with_one_for_each_core(measured):
    workers = measured["workers"]
    confined, one, each = workers["rows"]
    assert (confined["name"], one["name"], each["name"]) == ("one_core", "one_worker", "all_workers")
    assert confined["cpu_s"] < 1.05 * confined["wall_s"]
    assert one["audio_s"] == each["audio_s"] == pytest.approx(measured["rows"][0]["audio_s"], rel=0.3)
    assert workers["ratio"] == pytest.approx(one["wall_s"] / each["wall_s"], rel=0.02)
    assert workers["ratio_of_cores"] == pytest.approx(confined["wall_s"] / each["wall_s"], rel=0.02)
    assert 0 < workers["engine_share"] <= 1
    assert 0 < measured["engine_share"] <= 1


def test_coders_memory_and_idling_are_measured(measured):
    assert [coder["coder"] for coder in measured["coders"]] == ["fast", "twoloop"]
    assert OutputSettings().coder == "fast"
    assert all(coder["mastering_s"] > 0 for coder in measured["coders"])
    once = measured["memory"]["once"]
    assert 20 < once["main"]["rss_mb"] <= once["main"]["peak_mb"]
    assert 1 <= len(once["workers"]) <= len(os.sched_getaffinity(0))
    assert all(20 < worker["rss_mb"] <= worker["peak_mb"] for worker in once["workers"])
    assert measured["cpu"]["workers (load, synthesise, store)"] > 1
    assert measured["idle"]["seconds"] >= 1
    assert measured["idle"]["rss_mb"] > 20


def test_the_report_for_people_says_it_all(measured):
    text = "\n".join(lines(measured))
    assert f"{measured['ratio']:.2f} ×" in text
    for words in (
        "hibari with the voice",
        "one worker",
        "engines were busy",
        "naive loop",
        "naive loop, twoloop",
        "whole way, fast",
        "mastering",
        "main process",
        "idle daemon",
    ):
        assert words in text


def test_any_installed_engine_is_measured_as_it_is_configured(tmp_path):
    config = tmp_path / "speedd.toml"
    config.write_text('[engine]\nname = "hibari"\nvoice = "Cosine"\n')
    command = [sys.executable, "-P", "-m", "speedd", "bench", "--minutes", "0.1", "--json", "--config", config]
    ran = subprocess.run([*command, "--engine", "polyglot"], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert found["engine"] == {"name": "polyglot", "voice": "Cosine"}
    assert found["rows"][0]["audio_s"] == found["rows"][1]["audio_s"] > 1
    assert len(found["workers"]["rows"]) == 3
    ran = subprocess.run([*command, "--engine", "nobody"], capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert "There is no engine 'nobody'" in ran.stderr


def invented(*, narrating_s: float, workers_cpu_s: float, others_s: float = 0.0):
    """A whole way on two cores that spends 10 s outside narrating."""
    said = {
        "audio_s": 5000.0,
        "stages": {
            "narrating": {"wall_s": narrating_s, "cpu_s": workers_cpu_s},
            "mastering": {"wall_s": 9.0, "cpu_s": 18.0},
        },
        "workers_cpu_s": workers_cpu_s,
        "synthesize_s": workers_cpu_s,
        "first_take_s": 0.5,
        "mastering_cpu_s": {"encode": 16.0, "verify": 2.0},
    }
    whole = Ran(narrating_s + 10, workers_cpu_s + 19.0, said, others_s)
    naive = Ran(60.0, 60.0, {"load_s": 1.0, "synthesize_s": 40.0, "encode_s": 19.0, "audio_s": 5100.0})
    raw = Ran(41.0, 41.0, {"synthesize_s": 40.0, "cpu_s": 40.0, "audio_s": 5100.0})
    found = figures(raw, dict.fromkeys(CODERS, naive), dict.fromkeys(CODERS, whole), 2)
    other = {
        "machine": {"cores": 2, "processor": "", "platform": "", "python": "", "disk": "", "load": 0.0},
        "engine": {"name": "", "voice": ""},
        "material": {"book": "", "utterances": 1, "chars": 1, "chapters": 1},
        "coders": [],
        "workers": {"rows": [], "ratio": 1.9, "ratio_of_cores": 2.0, "engine_share": 0.9},
        "memory": {},
    }
    return found, "\n".join(lines(found | other))


def test_what_bounds_it_follows_from_the_figures():
    found, text = invented(narrating_s=20.0, workers_cpu_s=40.0)
    assert found["ratio"] == 2.0
    assert "The processor bounds it: most goes into workers" in text
    found, text = invented(narrating_s=40.0, workers_cpu_s=40.0)
    assert found["ratio"] == 1.2
    assert "Waiting bounds it: it left 41.0 of 100.0 core seconds unused, most of it (40.0) in narrating" in text
    assert "Other programs" not in text


def test_a_disturbed_benchmark_says_so():
    _, text = invented(narrating_s=40.0, workers_cpu_s=40.0, others_s=30.0)
    assert "Other programs took the processor (30.0 s during whole way, fast, 30.0 s during whole way, twoloop)" in text

"""How many workers a configuration asks for."""

import os
import resource
import tomllib

import pytest

from switch.config.models import SwitchSection
from tests.switch.test_config import VALID, found, with_link


def written(folder, text):
    path = folder / "switch.toml"
    path.write_text(text)
    return path


CORES = min(len(os.sched_getaffinity(0)), 64)


@pytest.mark.parametrize(
    ("workers", "count"), [("", None), ("workers = 1", 1), ("workers = 64", 64), ('workers = "cores"', CORES)]
)
def test_how_many_workers_there_are(workers, count):
    text = f'name = "s"\nacquirer_id = "1"\n{workers}\npin = true'
    section = SwitchSection.model_validate(tomllib.loads(text))
    assert section.workers_said == count
    assert section.pin


@pytest.mark.parametrize("workers", ["0", "65", '"all"', "true", "1.5"])
def test_impossible_numbers_of_workers(tmp_path, workers):
    path = written(tmp_path, VALID.replace("[switch]", f"[switch]\nworkers = {workers}"))
    assert any(key.startswith("switch.workers") for key in found(path, "error"))


def test_each_worker_needs_descriptors_for_its_share_of_the_connections(tmp_path, monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1_024, 400))
    text = VALID.replace("connections_max = 100\n", "connections_max = 300\n")
    key = "limits.connections_max"
    assert found(written(tmp_path, text), "warning")[key].startswith(
        "300 needs 558 file descriptors, 400 are allowed here (ulimit -Hn): at most 142 terminals will be served"
    )
    shared = text.replace("[switch]", "[switch]\nworkers = 3")
    assert key not in found(written(tmp_path, shared), "warning")
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1_024, 300))
    assert found(written(tmp_path, shared), "warning")[key].startswith(
        "300 needs 368 file descriptors for each of 3 workers, 300 are allowed here (ulimit -Hn): at most 96 terminals"
    )


def test_each_worker_needs_a_partition(tmp_path):
    journal = '[journal]\nmode = "files"\ndirectory = "journal"\npartitions = {}\n\n[keys]'
    text = VALID.replace("[switch]", "[switch]\nworkers = 2").replace("[keys]", journal)
    path = written(tmp_path, text.replace("{}", "1"))
    assert found(path, "error")["switch.workers"] == "2 is above journal.partitions, 1: each worker needs one"
    assert not found(written(tmp_path, text.replace("{}", "2")), "error")


def test_what_partitions_divide_has_one_for_each(tmp_path):
    small = 'endpoints = ["a:1"]\nin_flight_max = 2\nreversal = { window = 1 }\n[journal]\npartitions = 3'
    problems = found(written(tmp_path, with_link(small)))
    words = "is below the number of partitions, 3, which divide it"
    assert problems == {"link[more].in_flight_max": f"2 {words}", "link[more].reversal.window": f"1 {words}"}

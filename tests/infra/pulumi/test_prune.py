"""What the engine leaves behind is thinned out; what is anybody else's stays, in any folder."""

from __future__ import annotations

import os

import pytest

from buildflow_nb.infra.pulumi.engine_run import KEPT_FILES, prune
from tests.infra.pulumi.test_deployment import deployment

COUNT = KEPT_FILES + 20
NAMES = {
    "of a command": ("logs", "pulumi-20261129T2249{:02}-30110-stack_new.log"),
    "of an update": ("logs", "organization+my-shop.py+local-20261129T2249{:02}.log"),
    "the history": ("history", "local-17959925672824591{:02}.history.json"),
    "attributes of it": ("history", "local-17959925672824591{:02}.checkpoint.json.attrs"),
}
OTHERS = (
    "mine-{:02}.log",
    "pulumi-{:02}.log",
    "app+2026-{:02}.log",
    "{:02}.json",
    ".{:02}",
    "{:02}",
)


@pytest.fixture
def places(tmp_path):
    found = deployment(tmp_path)
    state = found.home / "state/local/.pulumi"
    made = {"logs": found.home / "logs", "history": state / "history/shop/local"}
    for folder in made.values():
        folder.mkdir(parents=True)
    return made


def fill(folder, name, count=COUNT):
    for number in range(count):
        path = folder / name.format(number)
        path.write_text("precious", "utf-8")
        os.utime(path, (number, number))


@pytest.mark.parametrize("kind", NAMES)
def test_the_newest_files_of_the_engine_are_kept(tmp_path, places, kind):
    place, name = NAMES[kind]
    fill(places[place], name)
    prune(deployment(tmp_path))
    left = sorted(path.name for path in places[place].iterdir())
    assert left == [name.format(number) for number in range(20, COUNT)]


@pytest.mark.parametrize("place", ["logs", "history"])
@pytest.mark.parametrize("name", OTHERS)
def test_files_of_others_are_kept_and_not_counted(tmp_path, places, place, name):
    fill(places[place], name)
    mine = next(n for p, n in NAMES.values() if p == place)
    fill(places[place], mine, 5)
    prune(deployment(tmp_path))
    assert len(list(places[place].iterdir())) == COUNT + 5


def test_a_folder_and_a_link_are_kept_whatever_they_are_called(tmp_path, places):
    logs, name = places["logs"], NAMES["of a command"][1]
    kept = tmp_path / "kept"
    kept.write_text("precious", "utf-8")
    (logs / "pulumi-20250101T000000-1-up.log").mkdir()
    (logs / "pulumi-20250101T000000-2-up.log").symlink_to(kept)
    (logs / "sub").mkdir()
    fill(logs, name)
    prune(deployment(tmp_path))
    assert len(list(logs.iterdir())) == KEPT_FILES + 3
    assert kept.read_text("utf-8") == "precious"


def test_where_nothing_lies_nothing_is_done(tmp_path):
    prune(deployment(tmp_path))
    assert list(tmp_path.iterdir()) == []

"""Packages that imports come from, by the records of what is installed."""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from buildflow_nb.export.project.requirements import requirements_of
from buildflow_nb.export.report import Import


def of(*modules):
    return requirements_of([Import(module, f"cell [{i}]") for i, module in enumerate(modules, 1)])


def install(site: Path, name, modules, *, url=None, listed=True):
    """A package as pip leaves it, in a folder of the path."""
    info = site / f"{name.replace('-', '_')}-1.2.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
    rows = [f"{info.name}/METADATA,,"]
    for module in modules if listed else ():
        path = site / module
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
        rows.append(f"{module},,")
    (info / "RECORD").write_text("".join(f"{row}\n" for row in rows))
    if url is not None:
        (info / "direct_url.json").write_text(json.dumps(url))


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path / "site")
    return tmp_path / "site"


def test_versions_are_those_that_are_installed_here():
    found = of("pandas", "duckdb", "yaml", "pyarrow.parquet")
    wanted = ("duckdb", "pandas", "pyarrow", "PyYAML")
    assert found.lines == tuple(f"{name}=={version(name)}" for name in wanted)
    assert found.missing == ()


def test_modules_of_a_namespace_belong_to_the_package_that_holds_them():
    modules = ("google.cloud.storage", "google.cloud.pubsub_v1.types", "google.protobuf.message")
    names = [line.partition("==")[0] for line in of(*modules).lines]
    assert names == ["google-cloud-pubsub", "google-cloud-storage", "protobuf"]


def test_a_package_is_named_once():
    assert len(of("pandas", "pandas.api.types", "pandas").lines) == 1


def test_what_no_package_provides_is_told_with_its_place():
    found = of("pandas", "no_such_module_here", "google.cloud.no_such_module")
    assert [one.module for one in found.missing] == [
        "no_such_module_here",
        "google.cloud.no_such_module",
    ]
    assert found.missing[0].where == "cell [2]"


def test_a_file_on_the_path_is_no_package(site):
    site.mkdir()
    (site / "loose_module.py").write_text("")
    assert [one.module for one in of("loose_module").missing] == ["loose_module"]


def test_we_are_found_by_both_names_and_installed_in_any_way():
    found = of("buildflow", "buildflow_nb.io.aws")
    assert found.lines == (f"buildflow-nb=={version('buildflow-nb')}",)


def test_nothing_is_imported(site):
    install(site, "quiet", ["quiet_package/__init__.py"])
    (site / "quiet_package" / "__init__.py").write_text("raise SystemExit('imported')")
    assert of("quiet_package.inner").lines == ("quiet==1.2",)
    assert "quiet_package" not in sys.modules


def test_two_packages_in_one_folder_are_told_apart(site):
    install(site, "shop-a", ["shop_space/a/__init__.py"])
    install(site, "shop-b", ["shop_space/b.py"])
    assert of("shop_space.a.deep").lines == ("shop-a==1.2",)
    assert of("shop_space.b").lines == ("shop-b==1.2",)


@pytest.mark.parametrize(
    ("url", "line"),
    [
        (
            {
                "url": "https://user:password@example.com/shop.git",
                "vcs_info": {"vcs": "git", "commit_id": "0a1b"},
                "subdirectory": "python",
            },
            "shop @ git+https://example.com/shop.git@0a1b#subdirectory=python",
        ),
        (
            {"url": "https://token@example.com/shop-1.2-py3-none-any.whl", "archive_info": {}},
            "shop @ https://example.com/shop-1.2-py3-none-any.whl",
        ),
        ("no url", "shop==1.2"),
        ({"url": "shop"}, "shop==1.2"),
    ],
)
def test_what_came_from_an_address_comes_from_there_without_its_keys(site, url, line):
    install(site, "shop", ["shop_package.py"], url=url)
    found = of("shop_package")
    assert found.lines == (line,)
    assert dict(found.folders) == {}
    assert found.wheel_command == ""


@pytest.mark.parametrize("editable", [True, False])
def test_what_came_from_a_folder_is_pinned_and_told_apart(site, tmp_path, monkeypatch, editable):
    source = tmp_path / "my source"
    (source / "shop_source").mkdir(parents=True)
    (source / "shop_source" / "__init__.py").write_text("")
    url = {"url": source.as_uri(), "dir_info": {"editable": editable}}
    install(site, "shop", ["shop_source/__init__.py"], url=url, listed=not editable)
    if editable:
        monkeypatch.syspath_prepend(source)
    found = of("shop_source")
    assert found.lines == ("shop==1.2",)
    assert dict(found.folders) == {"shop": source}
    assert found.wheel_command == f"pip wheel --no-deps -w wheels '{source}'"

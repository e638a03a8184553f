"""The house's levels: which room may import what. Real: the imports in the source files, read by `ast`."""

from __future__ import annotations

import ast
import configparser
import re
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from gata_assets_tests.house import (
    DOCUMENT,
    LEVELS,
    MOST_FILES,
    MOST_LINES,
    PACKAGE,
    document,
    files,
    imports,
    level_of,
    pure_files,
    room_of,
)

STANDARD = frozenset(sys.stdlib_module_names)
SDKS = frozenset({"pyspark", "boto3", "botocore", "dagster", "dagster_aws", "psycopg", "adbc_driver_postgresql"})


def test_a_room_imports_only_itself_and_lower_levels() -> None:
    level = level_of()
    upward = {
        f"{path.relative_to(PACKAGE)} imports {name}"
        for path in files()
        for name in imports(path)
        if name.startswith("gata_assets.") and (other := name.split(".")[1]) in level
        if other != room_of(path) and level[other] >= level[room_of(path)]
    }
    # Rules of rows are derived from tables next; until then the rules of interactions are in the platform.
    assert {one for one in upward if not one.startswith("curation/validation.py imports")} == set()


def test_a_room_imports_only_what_it_may_from_outside() -> None:
    allowed = {name: room.outside for rooms in LEVELS for name, room in rooms.items()}
    foreign = {
        f"{path.relative_to(PACKAGE)} imports {first}"
        for path in files()
        for first in {name.split(".")[0] for name in imports(path)} - STANDARD - {"gata_assets"}
        if first not in allowed[room_of(path)]
    }
    assert foreign == set()


def test_a_room_allows_no_package_that_it_does_not_import() -> None:
    used: dict[str, set[str]] = {}
    for path in files():
        used.setdefault(room_of(path), set()).update(name.split(".")[0] for name in imports(path))
    unused = {
        f"{name}: {package}"
        for rooms in LEVELS
        for name, room in rooms.items()
        for package in room.outside - used[name]
    }
    assert unused == set()


def test_every_room_is_on_a_level() -> None:
    assert {room_of(path) for path in files()} == set(level_of())


def test_no_module_imports_itself_by_way_of_others() -> None:
    modules = {".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts): path for path in files()}
    graph = {name: sorted(imports(path) & modules.keys() - {name}) for name, path in modules.items()}
    # Raises CycleError, which names the circle.
    assert len(tuple(TopologicalSorter(graph).static_order())) == len(modules)


def test_every_package_that_is_imported_is_declared_and_every_declared_one_imported() -> None:
    configuration = configparser.ConfigParser(interpolation=None)
    configuration.read(PACKAGE.parent / "setup.cfg")
    declared = {
        re.split(r"[\[<>=~]", line)[0].replace("-", "_")
        for section, option in (
            ("options", "install_requires"),
            ("options.extras_require", "server"),
            ("options.extras_require", "service"),
            ("options.extras_require", "local"),
            ("options.extras_require", "spark"),
            ("options.extras_require", "kafka"),
            ("options.extras_require", "language"),
            ("options.extras_require", "online"),
            ("options.extras_require", "mlflow"),
        )
        for line in configuration[section][option].split()
    }
    names = {"scikit_learn": "sklearn", "python_dotenv": "dotenv", "mlflow_skinny": "mlflow"}
    used = {name.split(".")[0] for path in PACKAGE.rglob("*.py") for name in imports(path)} - STANDARD
    # The UI is used as a program, and deploy/*/dagster.yaml has Dagster keep its runs in PostgreSQL.
    shipped = {names.get(name, name) for name in declared} - {"dagster_webserver", "dagster_postgres"}
    # Stubs are for the type checker; the others are parts of packages that are declared.
    outside = {name for name in used if name != "gata_assets" and not name.startswith("types_")}
    assert outside - {"pydantic_core", "botocore", "py4j", "httpx2", "starlette", "google"} == shipped


def test_every_file_that_is_no_module_is_installed_with_the_package() -> None:
    configuration = configparser.ConfigParser(interpolation=None)
    configuration.read(PACKAGE.parent / "setup.cfg")
    patterns = configuration["options.package_data"]["gata_assets"].split()
    declared = {path for pattern in patterns for path in PACKAGE.glob(pattern)}
    others = {path for path in PACKAGE.rglob("*.*") if path.suffix not in (".py", ".pyc", ".nbi", ".nbc")}
    assert others == declared, "setup.cfg: options.package_data"


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_every_package_that_setup_cfg_names_is_in_the_lock(lock: str) -> None:
    configuration = configparser.ConfigParser(interpolation=None)
    configuration.read(PACKAGE.parent / "setup.cfg")
    extras = configuration["options.extras_require"]
    chosen = extras if lock == "requirements-dev.lock" else ("build", "server", "service", "kafka", "online")
    lines = [configuration["options"]["install_requires"], *(extras[extra] for extra in chosen)]
    named = {re.split(r"[\[<>=~]", name)[0].replace("_", "-") for line in lines for name in line.split()}
    locked = set(re.findall(r"^([a-z0-9.-]+)(?:\[[a-z0-9,-]+\])?==", (PACKAGE.parent / lock).read_text(), re.MULTILINE))
    assert named - locked == set(), "make lock"


def test_stores_and_sources_know_dagster_by_its_resource_class_alone() -> None:
    used = set()
    for folder in ("storage", "tickets/sources", "interactions/engines"):
        for path in (PACKAGE / folder).rglob("*.py"):
            used |= {
                node.attr
                for node in ast.walk(ast.parse(path.read_text()))
                if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "dg"
            }
    assert used == {"ConfigurableResource"}


def test_one_module_reads_the_environment() -> None:
    assert [path.name for path in files() if re.search(r"os\.environ|getenv", path.read_text())] == ["environment.py"]


@pytest.mark.parametrize("word", ["datetime.now", "time.time(", "utcnow", "getenv", "open(", "Path(", "np.random"])
def test_pure_modules_have_no_clock_environment_file_or_global_randomness(word: str) -> None:
    assert [str(path.relative_to(PACKAGE)) for path in pure_files() if word in path.read_text()] == []


def test_pure_modules_know_neither_dagster_nor_an_sdk() -> None:
    found = {
        f"{path.relative_to(PACKAGE)} imports {name}"
        for path in pure_files()
        for name in {one.split(".")[0] for one in imports(path)} & SDKS
    }
    assert found == set()


def test_no_folder_has_more_files_than_one_can_hold_in_mind() -> None:
    count = {
        str(folder.relative_to(PACKAGE)): len([path for path in folder.glob("*.py") if path.name != "__init__.py"])
        for folder in {path.parent for path in PACKAGE.rglob("*.py")}
    }
    assert {name: number for name, number in count.items() if number > MOST_FILES} == {}


def test_files_stay_readable_in_one_go() -> None:
    long = {str(path.relative_to(PACKAGE)): len(path.read_text().splitlines()) for path in files()}
    assert {name: lines for name, lines in long.items() if lines > MOST_LINES} == {}


def test_the_architecture_page_shows_the_levels_as_they_are() -> None:
    assert document() == Path(DOCUMENT).read_text(), "run: python -m gata_assets_tests.house"

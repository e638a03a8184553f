"""The house's walls: which room may import what. Real: the imports in the source files, read by `ast`."""

from __future__ import annotations

import ast
import configparser
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "gata_assets"
SDKS = frozenset(
    {"pyspark", "boto3", "botocore", "dagster_aws", "psycopg", "adbc_driver_manager", "adbc_driver_postgresql"}
)
DAGSTER = frozenset({"dagster", "dagster_pandera"})

# What a room may import, by the first name of an outside package and by room of our own.
ROOMS: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "core": (
        frozenset({"numba", "numpy", "pandas", "pandera", "polars", "pyarrow", "scipy", "sklearn"}),
        frozenset({"core", "schemas", "batches", "errors"}),
    ),
    "batches": (frozenset(), frozenset({"errors"})),
    "errors": (frozenset(), frozenset()),
    "schemas": (frozenset({"pandas", "pandera", "polars"}), frozenset({"batches"})),
    "settings": (
        frozenset({"pydantic", "pydantic_core"}),
        frozenset({"automation_settings", "core", "env_file", "errors", "interaction_settings", "setting_values"}),
    ),
    "setting_values": (frozenset({"pydantic", "pydantic_core"}), frozenset({"batches", "core", "errors"})),
    "partitions": (frozenset({"dagster"}), frozenset({"batches"})),
    "assets": (
        DAGSTER | {"numpy", "pandas", "pandera"},
        frozenset(
            {
                "assets",
                "batches",
                "checks",
                "core",
                "errors",
                "failures",
                "instances",
                "io_managers",
                "resources",
                "schemas",
            }
        ),
    ),
    "checks": (frozenset({"dagster"}), frozenset({"core", "errors"})),
    "overdue": (frozenset({"dagster"}), frozenset({"checks", "core"})),
    "jobs": (frozenset({"dagster"}), frozenset({"assets", "core"})),
    "instances": (frozenset({"dagster"}), frozenset({"core", "settings"})),
    "failures": (frozenset({"dagster"}), frozenset({"logs"})),
    "logs": (frozenset({"dagster"}), frozenset({"settings"})),
    "sensors": (
        frozenset({"dagster"}),
        frozenset({"batches", "core", "errors", "failures", "instances", "jobs", "overdue", "resources"}),
    ),
    "schedules": (frozenset({"dagster"}), frozenset({"batches", "jobs"})),
    "automation_settings": (frozenset({"pydantic"}), frozenset({"setting_values"})),
    "interaction_settings": (frozenset({"pydantic", "pydantic_core"}), frozenset({"core", "setting_values"})),
    "io_managers": (frozenset({"dagster", "pandas", "pyarrow"}), frozenset({"core", "errors", "resources"})),
    "resources": (
        SDKS
        | {"dagster", "numpy", "pandas", "polars", "py4j", "pyarrow", "pydantic", "tenacity", "types_boto3_rds_data"}
        | {"types_boto3_s3", "types_boto3_secretsmanager"},
        frozenset({"resources", "batches", "core", "errors", "schemas"}),
    ),
    "local": (frozenset({"psycopg"}), frozenset({"local"})),
    "env_file": (frozenset({"dotenv"}), frozenset({"errors"})),
    "definitions": (
        frozenset({"dagster", "dagster_aws"}),
        frozenset({"assets", "core", "io_managers", "jobs", "logs", "overdue", "partitions", "resources", "schedules"})
        | {"interaction_definitions", "sensors", "setting_values", "settings"},
    ),
    "interaction_definitions": (
        frozenset({"dagster"}),
        frozenset({"assets", "jobs", "partitions", "resources", "schedules", "sensors", "setting_values", "settings"}),
    ),
    "commands": (
        frozenset({"dagster", "polars", "psycopg", "rich"}),
        frozenset(
            {"batches", "commands", "core", "definitions", "errors", "failures", "instances", "jobs", "local", "logs"}
        )
        | {"interaction_definitions", "resources", "setting_values", "settings"},
    ),
    "cli": (
        frozenset({"click"}),
        frozenset({"batches", "cli_files", "cli_options", "commands", "errors", "settings"}),
    ),
    "cli_files": (frozenset({"click"}), frozenset({"cli_options", "commands", "errors", "setting_values"})),
    "cli_options": (frozenset({"click"}), frozenset({"errors", "settings"})),
}
STANDARD = frozenset(__import__("sys").stdlib_module_names)


def imports(path: Path) -> set[str]:
    """The dotted names of all modules that a file imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            submodules = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= submodules if node.module == "gata_assets" else {node.module}
    return found


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


FILES = sorted(path for path in PACKAGE.rglob("*.py") if room_of(path) in ROOMS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_room_imports_only_what_it_may(path: Path) -> None:
    outside, own = ROOMS[room_of(path)]
    for name in imports(path):
        first, *rest = name.split(".")
        if first == "gata_assets":
            assert rest[0] in own | {"__version__"}, f"{path} imports {name}"
        elif first not in STANDARD:
            assert first in outside, f"{path} imports {name}"


def test_every_room_has_a_wall() -> None:
    known = {*ROOMS, "__init__", "__main__"}
    assert {room_of(path) for path in PACKAGE.rglob("*.py")} == known


def test_every_package_that_is_imported_is_declared_and_every_declared_one_imported() -> None:
    configuration = configparser.ConfigParser(interpolation=None)
    configuration.read(PACKAGE.parent / "setup.cfg")
    declared = {
        re.split(r"[\[<>=~]", line)[0].replace("-", "_")
        for section, option in (
            ("options", "install_requires"),
            ("options.extras_require", "server"),
            ("options.extras_require", "local"),
            ("options.extras_require", "spark"),
        )
        for line in configuration[section][option].split()
    }
    names = {"scikit_learn": "sklearn", "python_dotenv": "dotenv"}
    used = {name.split(".")[0] for path in PACKAGE.rglob("*.py") for name in imports(path)} - STANDARD
    # The UI is used as a program, and deploy/*/dagster.yaml has Dagster keep its runs in PostgreSQL.
    shipped = {names.get(name, name) for name in declared} - {"dagster_webserver", "dagster_postgres"}
    # Stubs are for the type checker; the others are parts of packages that are declared.
    outside = {name for name in used if name != "gata_assets" and not name.startswith("types_")}
    assert outside - {"pydantic_core", "botocore", "py4j"} == shipped


def test_resources_know_dagster_by_its_resource_class_alone() -> None:
    used = set()
    for path in (PACKAGE / "resources").glob("*.py"):
        tree = ast.parse(path.read_text())
        used |= {
            node.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "dg"
        }
    assert used == {"ConfigurableResource"}


def test_only_the_settings_read_the_environment() -> None:
    readers = {path.name for path in PACKAGE.rglob("*.py") if "os.environ" in path.read_text()}
    assert readers == {"settings.py"}


def test_nobody_imports_the_definitions_but_the_commands() -> None:
    importers = {room_of(path) for path in PACKAGE.rglob("*.py") if "gata_assets.definitions" in imports(path)}
    assert importers == {"commands"}


@pytest.mark.parametrize("word", ["datetime.now", "time.time(", "utcnow", "getenv", "open(", "Path(", "np.random"])
def test_core_has_no_clock_environment_file_or_global_randomness(word: str) -> None:
    assert [path.name for path in (PACKAGE / "core").glob("*.py") if word in path.read_text()] == []


def test_files_stay_readable_in_one_go() -> None:
    long = {str(path.relative_to(PACKAGE)): len(path.read_text().splitlines()) for path in PACKAGE.rglob("*.py")}
    assert {name: lines for name, lines in long.items() if lines > 350} == {}

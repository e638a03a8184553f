"""All pages: what they name is there. Real: the files, and the commands of `gata`."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from gata_assets.cli.main import main
from gata_assets.settings.model import variable_names
from gata_assets_tests.docs.pages import DOCS, ROOT, pages
from gata_assets_tests.docs.site import INCLUDED, site_links


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", page.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if target.startswith("http"):
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), target


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_and_option_exists(page: Path) -> None:
    for name, rest in re.findall(r"\bgata ([a-z]+(?:-[a-z]+)*)((?: +[^\s`|]+)*)", page.read_text()):
        command = main.commands.get(name)
        words = rest.split()
        while isinstance(command, click.Group):
            alone = command if command.invoke_without_command else None
            command = command.commands.get(words.pop(0) if words else "", alone)
            assert command, f"gata {name}{rest}"
            if command is alone:
                break
        if command is None:
            # A word after the program's name in a sentence has no options.
            assert " --" not in rest, f"gata {name}{rest}"
            continue
        known = {option for one in command.params if isinstance(one, click.Option) for option in one.opts}
        used = set(re.findall(r"(?<= )--[a-z-]+", rest)) - {"--help"}
        assert used <= known, f"gata {name}{rest}"


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_variable_that_is_set_exists(page: Path) -> None:
    of_make = set(re.findall(r"\$\(([A-Z]+)\)", (ROOT / "Makefile").read_text()))
    # The last ones stand for words of options: --map COLUMN=NAME.
    of_options = {"COLUMN", "WORD", "END"}
    others = {
        *of_make,
        *of_options,
        "NAME",
        "REGION",
        "RUN_HOME",
        "IMAGE",
        "GATA_IMAGE",
        "TASK_ROLE",
        "DAGSTER_HOME",
        "IDS",
    }
    named = set(re.findall(r"(?<![\w-])([A-Z][A-Z_]+)=", page.read_text()))
    unknown = {name for name in named if not re.match("TF_VAR|AWS_|NUMBA_|PYSPARK_|PG|PYTHON|WEBHOOK_SECRET_", name)}
    assert unknown - set(variable_names()) - others == set()


def test_the_readme_is_short_and_links_to_every_page() -> None:
    readme = (ROOT / "README.md").read_text()
    assert len(readme.splitlines()) <= 200
    own = [page for page in DOCS.rglob("*.md") if page.parent.name != "adr" or page.name == "README.md"]
    assert [page for page in own if f"]({page.relative_to(ROOT)}" not in readme] == []


def test_links_between_folders_are_those_of_the_site() -> None:
    assert site_links("[a](docs/x.md#y)", "index.md") == "[a](x.md#y)"
    assert site_links("[a](../deploy/README.md)", "deployment.md") == "[a](deploy/containers.md)"
    assert site_links("[a](../../docs/runbook.md#b)", "deploy/aws.md") == "[a](../runbook.md#b)"
    assert site_links("[`a`](../Dockerfile)", "deployment.md") == "`a`"
    assert (
        site_links("![a](images/a.png) [b](https://b.example)", "a.md") == "![a](images/a.png) [b](https://b.example)"
    )
    assert all((ROOT / source).exists() for source in INCLUDED)


def test_prose_has_the_words_of_the_glossary() -> None:
    words = r"catalogue|anew|mend(?:ed)?|(?:good|bad) (?:row|ticket|file)s?|(?:good|bad) data|halves|told|intake"
    avoided = re.compile(rf"\b(?:{words})\b", flags=re.IGNORECASE)
    found = []
    for page in pages():
        if page.parent.name == "reference" or page.name in ("glossary.md", "benchmarks.md"):
            continue
        prose = re.sub(r"```.*?```|`[^`\n]*`|\]\([^)]*\)|<!--.*?-->", "", page.read_text(), flags=re.DOTALL)
        found += [f"{page.relative_to(ROOT)}: {word[0]}" for word in avoided.finditer(prose)]
    assert found == []


def test_every_module_that_a_page_names_exists() -> None:
    for page in pages():
        for name in re.findall(r"`((?:gata_assets(?:_tests)?/)?[a-z_]+(?:/[a-z_]+)*/[a-z_]+\.py)`", page.read_text()):
            places = (ROOT / name, ROOT / "gata_assets" / name, ROOT / "gata_assets_tests" / name)
            assert any(place.exists() for place in places), f"{page.relative_to(ROOT)}: {name}"

"""The rights that the documentation lists are those that the tests of users prove to be needed and enough."""

from __future__ import annotations

import re

import pytest

from gata_assets.online.rights import ERASER_COMMANDS, PUBLISHER_COMMANDS, READER_COMMANDS
from gata_assets_tests.docs.pages import DOCS


@pytest.mark.parametrize(
    ("user", "commands"),
    [("app", READER_COMMANDS), ("publisher", PUBLISHER_COMMANDS), ("eraser", ERASER_COMMANDS)],
)
def test_the_documentation_lists_the_commands_of_each_user(user: str, commands: tuple[str, ...]) -> None:
    (line,) = re.findall(rf"ACL SETUSER {user} .*", (DOCS / "online.md").read_text())
    assert re.findall(r"\+(\S+)", line) == [command.lower() for command in commands]

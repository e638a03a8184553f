"""Where the commands of a page are run: a directory and an environment of their own, `gata` in this process."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import click
from click.testing import CliRunner

from gata_assets.cli.main import main
from gata_assets.settings.model import variable_names
from gata_assets_tests.docs.pages import ROOT, Block, Command, commands, matches

_ASSIGNMENT = re.compile(r"[A-Z_][A-Z0-9_]*=")


@dataclass
class Workplace:
    """A directory, and the variables that the page's commands have exported."""

    directory: Path
    variables: dict[str, str] = field(default_factory=dict)

    def run(self, block: Block) -> None:
        """Run a block as its mark says; an AssertionError names the page, the line and what differs."""
        verb, _, rest = block.mark.partition(" ")
        if verb == "skip:":
            return
        if verb == "file":
            path = self.directory / rest
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text + "\n")
            return
        if block.language != "console":
            return
        shown = commands(block)
        if verb == "run":
            *first, last = [Command(block.place, line.strip(), None) for line in rest.splitlines() if line.strip()]
            shown = [*first, Command(block.place, last.text, shown[-1].output)]
        for command in shown:
            wanted = int(rest) if verb == "exit" and command is shown[-1] else 0
            code, output = self._call(command.text)
            assert code == wanted, f"{command.place}: `{command.text}` ends with {code}, not {wanted}:\n{output}"
            assert command.output is None or matches(command.output, output), (
                f"{command.place}: `{command.text}` shows something else than the page:\n{output}"
            )

    def _call(self, text: str) -> tuple[int, str]:
        text = re.sub(r"\$\((.+?)\)", lambda found: self._printed(found[1]), text)
        words = shlex.split(text)
        if words[0] == "export":
            self.variables |= dict(word.split("=", 1) for word in words[1:])
            return 0, ""
        given: dict[str, str] = {}
        while _ASSIGNMENT.match(words[0]):
            name, _, given[name] = words.pop(0).partition("=")
        with self._entered(given):
            if words[0] == "gata" and "|" not in words and "<" not in words:
                return _gata(words[1:])
            ran = subprocess.run(["bash", "-c", text], capture_output=True, text=True, timeout=300, check=False)
            return ran.returncode, ran.stdout + ran.stderr

    def _printed(self, text: str) -> str:
        ran = subprocess.run(["bash", "-c", text], cwd=self.directory, capture_output=True, text=True, check=True)
        return ran.stdout.strip()

    @contextmanager
    def _entered(self, given: dict[str, str]) -> Iterator[None]:
        """This process in the directory, with the page's variables and none of the project's beside them."""
        before, place, importable = dict(os.environ), Path.cwd(), list(sys.path)
        known = {*variable_names(), "GATA_ENV_FILE", "DAGSTER_HOME"}
        kept = {name: value for name, value in before.items() if name not in known and not name.startswith("AWS_")}
        path = f"{ROOT / '.venv' / 'bin'}:{before.get('PATH', '')}"
        try:
            os.chdir(self.directory)
            os.environ.clear()
            os.environ.update({**kept, "PATH": path, **self.variables, **given})
            # A process of its own would take it from its environment.
            more = os.environ.get("PYTHONPATH", "").split(":")
            sys.path[:0] = [str(self.directory / folder) for folder in more if folder]
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)
            os.chdir(place)
            sys.path[:] = importable


def _gata(words: list[str]) -> tuple[int, str]:
    """A command of `gata` in this process, with its summary as a terminal shows it."""
    command: click.Command | None = main
    for word in words:
        command = (command.commands.get(word) if isinstance(command, click.Group) else None) or command
    options = {option for one in (command.params if command else ()) for option in one.opts}
    if "--summary" in options and "--summary" not in words:
        words = [*words, "--summary", "table"]
    ran = CliRunner().invoke(main, words, prog_name="gata")
    if ran.exception and not isinstance(ran.exception, SystemExit | click.ClickException):
        raise ran.exception
    return ran.exit_code, ran.stdout + (ran.stderr if ran.exit_code == 2 else "")

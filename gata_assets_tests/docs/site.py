"""What mkdocs.yml hooks into the site: pages from outside of docs/, and links between pages of a repository.

The README is the site's first page. A link to a file that the site does not have is shown as its text.
"""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
# Pages from outside of docs/, and where the site has them.
INCLUDED = {
    "README.md": "index.md",
    "CHANGELOG.md": "changes.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "deploy/README.md": "deploy/containers.md",
    "deploy/aws/README.md": "deploy/aws.md",
    "deploy/kubernetes/README.md": "deploy/kubernetes.md",
    "deploy/shop/README.md": "deploy/shop.md",
}
_LINK = re.compile(r"(?P<image>!?)\[(?P<text>[^\]]*)\]\((?P<path>[^)#\s]+)(?P<anchor>#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages from outside of docs/."""
    for source, place in INCLUDED.items():
        files.append(File.generated(config, place, content=(ROOT / source).read_text()))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Point links at the site's pages."""
    return site_links(markdown, page.file.src_uri)


def site_links(markdown: str, place: str) -> str:
    """The Markdown of the page at `place` in the site, with its links as the site needs them."""
    source = {to: PurePosixPath(of) for of, to in INCLUDED.items()}.get(place, PurePosixPath("docs", place))

    def link(found: re.Match[str]) -> str:
        if "://" in found["path"]:
            return found[0]
        target = os.path.normpath(source.parent / found["path"])
        to = INCLUDED.get(target, target.removeprefix("docs/") if target.startswith("docs/") else None)
        if to is None or (target == "docs"):
            return found["text"]
        relative = os.path.relpath(to, PurePosixPath(place).parent)
        return f"{found['image']}[{found['text']}]({relative}{found['anchor'] or ''})"

    return _LINK.sub(link, markdown)

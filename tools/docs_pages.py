"""Writes what the documentation takes from the source: `make docs-pages`. A test fails where a page has fallen behind.

In a page, what stands between `<!-- made: NAME -->` and `<!-- end -->` is made here; all else is written by hand.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import fields
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))  # also where a test imports this file

import architecture

from iseg3d_ros.ros import topics
from iseg3d_ros.ros.parameters import about
from iseg3d_ros.ros.settings import FILES

ROOT = Path(__file__).resolve().parent.parent
PAGES = ("architecture.md", "ros.md")
MADE = re.compile(r"(<!-- made: (?P<name>[\w ]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def main() -> int:
    """Write all pages and pictures that have changed."""
    for path, text in wanted().items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path.relative_to(ROOT)}")
    return 0


def wanted() -> dict[Path, str]:
    """Every file with made parts, as it should be."""
    files = {ROOT / "docs" / name: filled((ROOT / "docs" / name).read_text(encoding="utf-8")) for name in PAGES}
    return files | {ROOT / "docs" / "architecture.svg": architecture.picture()}


def filled(page: str) -> str:
    """A page with its made parts made anew."""
    return MADE.sub(lambda found: f"{found[1]}\n{PARTS[found['name']]()}\n\n{found[3]}", page)


def parameters(node: str) -> str:
    """The table of a node's parameters."""
    lines = ["| parameter | default | meaning |", "|---|---|---|"]
    for item in fields(FILES[node]):
        default = "empty" if item.default == "" else f"`{item.default}`"
        live = " Can change at run time." if about(item).live else ""
        lines.append(f"| `{item.name}` | {default} | {about(item).description}{live} |")
    return "\n".join(lines)


def interfaces() -> str:
    """Messages and services with the first line of their files."""
    lines = ["| file | what it is |", "|---|---|"]
    for path in [path for kind in ("msg", "srv", "action") for path in sorted(ROOT.glob(f"{kind}/*.{kind}"))]:
        first = path.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
        lines.append(f"| [{path.stem}](../{path.relative_to(ROOT)}) | {first} |")
    return "\n".join(lines)


PARTS: dict[str, Callable[[], str]] = {
    "layers": architecture.table,
    "subscribed topics": lambda: topics.markdown_topics(topics.SUBSCRIBED),
    "published topics": lambda: topics.markdown_topics(topics.PUBLISHED),
    "services": lambda: topics.markdown_services(topics.SERVICES),
    "actions": lambda: topics.markdown_services(topics.ACTIONS),
    "messages": interfaces,
    **{f"parameters {node}": partial(parameters, node) for node in FILES},
}

if __name__ == "__main__":
    sys.exit(main())

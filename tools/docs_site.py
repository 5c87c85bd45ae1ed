"""What the site's builder is told (mkdocs.yml): pages that lie outside docs/, and links that lead out of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parent.parent
OUTSIDE = {"index.md": "README.md", "contributing.md": "CONTRIBUTING.md"}
OUTSIDE |= {"changelog.md": "CHANGELOG.md", "security.md": "SECURITY.md"}
LINK = re.compile(r"(!?\[[^\]]*\])\((?!https?:|#)([^)#\s]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: Any) -> Files:
    """Readme, contributing and changelog become pages."""
    for page, source in OUTSIDE.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Links as they are right in the repository are made right on the site; source files are named, not linked."""
    source = OUTSIDE.get(page.file.src_uri, f"docs/{page.file.src_uri}")
    folder = (ROOT / source).parent
    up = "../" * page.file.src_uri.count("/")

    def moved(found: re.Match[str]) -> str:
        words, target, anchor = found[1], found[2], found[3] or ""
        path = (folder / target).resolve().relative_to(ROOT).as_posix()
        for name, outside in OUTSIDE.items():
            if path == outside:
                return f"{words}({up}{name}{anchor})"
        if path.startswith("docs/"):
            return f"{words}({up}{path.removeprefix('docs/')}{anchor})"
        return f"`{path}`" if words.startswith("[") else words

    return LINK.sub(moved, markdown)

"""The layers of the package, as its imports really are: checked by a test, drawn and tabled by `make docs-pages`.

`FLOORS` is the rule: a part may import what stands on a lower floor, nothing beside it and nothing above. A part is a
sub-package, or a module where one folder reaches over two floors; the longest name that fits a module is its part.
"""

from __future__ import annotations

import ast
from html import escape
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "iseg3d_ros"
FLOORS: tuple[tuple[str, ...], ...] = (  # from the ground up
    ("json_log", "limits"),
    ("clicks", "geometry", "ray_items", "throttle"),
    ("io",),
    ("cloud", "metrics", "sparse"),
    ("models.settings",),
    ("models.base",),
    ("preprocessing", "models.layers"),
    ("models", "io.picture"),
    ("io.notebook",),
    ("predictor",),
    ("data", "interaction"),
    ("console", "evaluation", "scenes", "training"),
    ("pruning", "ros"),
    ("demo",),
    ("benchmarks", "commands"),
)
FLOOR = {part: height for height, parts in enumerate(FLOORS) for part in parts}


def part_of(module: str) -> str:
    """The part that a module (`models.layers.heads`) belongs to; the package's own `__init__` belongs to none."""
    words = module.split(".")
    names = (".".join(words[:count]) for count in range(len(words), 0, -1))
    return next((name for name in names if name in FLOOR), "")


def imports() -> dict[tuple[str, str], list[str]]:
    """Every import from one part into another: (importer, imported) to the sentences that say where."""
    modules = {_module(path): path for path in sorted(PACKAGE.rglob("*.py"))}
    found: dict[tuple[str, str], list[str]] = {}
    for module, path in modules.items():
        for target in sorted(_targets(path, set(modules))):
            pair = part_of(module), part_of(target)
            if pair[0] and pair[1] and pair[0] != pair[1]:
                found.setdefault(pair, []).append(f"{module} imports {target}")
    return found


def _module(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix("__init__").removesuffix(".")


def _targets(path: Path, modules: set[str]) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    inside = {name.removeprefix("iseg3d_ros.") for name in names if name.startswith("iseg3d_ros.")}
    return inside & (modules - {""})


def upward() -> list[str]:
    """Imports that do not go down a floor; empty if the rule holds."""
    return [line for (source, target), lines in imports().items() if FLOOR[source] <= FLOOR[target] for line in lines]


def homeless() -> list[str]:
    """Modules that stand on no floor: a new sub-package is entered in `FLOORS` first."""
    modules = [_module(path) for path in PACKAGE.rglob("*.py")]
    return sorted(name for name in modules if name and not part_of(name))


def table() -> str:
    """Markdown: every part from the top down, its purpose (its docstring's first sentence) and what it imports."""
    arrows = imports()
    lines = ["| floor | part | purpose | imports |", "|---|---|---|---|"]
    for height, parts in reversed(list(enumerate(FLOORS))):
        for part in parts:
            below = [f"`{other}`" for other in sorted(FLOOR) if (part, other) in arrows]
            lines.append(f"| {height} | `{part}` | {purpose(part)} | {', '.join(below) or 'nothing'} |")
    return "\n".join(lines)


def purpose(part: str) -> str:
    """The first paragraph of the part's docstring."""
    path = PACKAGE / part.replace(".", "/")
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return " ".join(text.split("\n\n")[0].split()).replace("|", "\\|")


def picture() -> str:
    """An SVG: one row a floor, and the arrows that do not follow from others."""
    width, box, rise = 1000, 150, 74
    places = {
        part: (_column(height, column, len(parts)) * width, rise * (len(FLOORS) - height) - 40)
        for height, parts in enumerate(FLOORS)
        for column, part in enumerate(parts)
    }
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {rise * len(FLOORS) + 10}"']
    lines[0] += ' font-family="sans-serif" font-size="15">'
    lines.append('<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7"')
    lines.append('orient="auto"><path d="M0 0L8 4L0 8z" fill="#789"/></marker></defs>')
    lines.append(f'<rect width="{width}" height="{rise * len(FLOORS) + 10}" fill="white"/>')
    for source, target in essential(set(imports())):
        (x, y), (u, v) = places[source], places[target]
        lines.append(f'<path d="M{x:.0f} {y + 17}C{x:.0f} {y + 45} {u:.0f} {v - 45} {u:.0f} {v - 18}"')
        lines.append('fill="none" stroke="#789" stroke-width="1.2" marker-end="url(#tip)"/>')
    for part, (x, y) in places.items():
        fill = "#fde9d0" if part == "ros" else "#e3eef9"
        lines.append(f'<rect x="{x - box / 2:.0f}" y="{y - 17}" width="{box}" height="34" rx="6" fill="{fill}"')
        lines.append(f'stroke="#345"/><text x="{x:.0f}" y="{y + 5}" text-anchor="middle">{escape(part)}</text>')
    return "\n".join([*lines, "</svg>", ""])


def _column(height: int, column: int, count: int) -> float:
    """Where a part stands, from 0 to 1; parts alone on their floor step aside, so that arrows pass by them."""
    return (2 * column + 1) / (2 * count) if count > 1 else (0.35, 0.5, 0.65)[height % 3]


def essential(arrows: set[tuple[str, str]]) -> list[tuple[str, str]]:
    """The arrows without those that a way over other parts implies."""

    def reaches(start: str, end: str) -> bool:
        return start == end or any(reaches(b, end) for a, b in arrows if a == start and FLOOR[b] < FLOOR[a])

    return sorted(
        (source, target)
        for source, target in arrows
        if not any(reaches(b, target) for a, b in arrows if a == source and b != target and FLOOR[b] < FLOOR[a])
    )

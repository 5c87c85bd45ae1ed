"""What is evaluated, and how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from iseg3d_ros.evaluation.habits import Habits
from iseg3d_ros.evaluation.user import RULES

PROTOCOLS = ("multi", "single")


@dataclass(frozen=True)
class EvaluationConfig:
    """What decides the figures besides the model and the data."""

    protocol: str = "multi"
    budget: int = 20
    rule: str = "agile3d"
    temperature: float | None = None  # ClickEnhance's Eq. 5 instead of the rule
    least_points: int = 50
    most_objects: int = 10
    voxel_size: float | None = None
    limit: int | None = None
    seed: int = 42
    device: str = "auto"
    split: str | None = None
    adapt: bool = False  # InterObject3D's online adaptation
    samples: int | None = None  # of networks that sample
    objects: str = "largest"  # which of a scene's objects are targets where there are more than most_objects
    slips: float = 0.0  # share of the corrections that name a wrong object
    cubes: tuple[float, ...] | None = None  # half-widths of InterObject3D's click cubes, voxels
    tile: float | None = None  # metres: crop and merge
    adapt_bound: float = 0.05
    write_cubes: float = 0.0  # metres; habits of single code bases
    guess_first: bool = False

    @property
    def habits(self) -> Habits:
        """What single code bases do beside the protocol."""
        return Habits(self.write_cubes, self.guess_first)

    @property
    def network(self) -> dict[str, Any]:
        """What is asked of the network, as `Predictor.load` takes it."""
        bound = {"adapt_bound": self.adapt_bound} if self.adapt else {}
        return {"adapt": self.adapt, "samples": self.samples, "cubes": self.cubes, "tile": self.tile, **bound}

    @property
    def draw(self) -> int | None:
        """The seed that targets are drawn with; None where the largest ones are taken."""
        return self.seed if self.objects == "random" else None

    def __post_init__(self) -> None:
        counts = {"budget": self.budget, "least-points": self.least_points, "most-objects": self.most_objects}
        for name, value in (counts | {"limit": 1 if self.limit is None else self.limit}).items():
            if value < 1:
                raise ValueError(f"--{name} must be at least 1, but is {value}.")
        if self.protocol not in PROTOCOLS or self.rule not in RULES:
            raise ValueError(f"The protocols are {', '.join(PROTOCOLS)}, the rules {', '.join(RULES)}; "
                             f"{self.protocol} with {self.rule} is none of them.")  # fmt: skip
        if self.objects not in ("largest", "random"):
            raise ValueError(f"--objects is largest or random, not {self.objects}.")
        if self.rule == "interobject3d" and self.protocol != "single":
            raise ValueError("The rule interobject3d knows one object at a time; add --protocol single.")
        if self.guess_first and self.protocol != "single":
            raise ValueError("--guess-first is of one object at a time; add --protocol single.")
        if not 0 <= self.write_cubes < 10:
            raise ValueError(f"--write-cubes is half an edge in metres, not {self.write_cubes}.")
        if not 0 <= self.slips <= 1:
            raise ValueError(f"--slips is a share from 0 to 1, not {self.slips}.")
        if self.temperature is not None and not 0 <= self.temperature <= 1:
            raise ValueError(f"The temperature must lie between 0 and 1, but is {self.temperature}.")


@dataclass(frozen=True)
class Part:
    """One sample of the data at `path`, or one instance of it in single-object evaluation."""

    path: str
    index: int
    sample: str
    instance: int | None = None

    @property
    def name(self) -> str:
        """As it stands in rows and pictures."""
        return self.sample if self.instance is None else f"{self.sample} #{self.instance}"

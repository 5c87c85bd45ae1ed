"""What settings of all networks share: voxel features, the backbone's sizes, and checks of whatever is given.

Each network's file has its own settings, which inherit from these: their defaults are the published network's, the
preset `paper`; `small` and `tiny` are ours.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from difflib import get_close_matches
from typing import Any, ClassVar, TypeVar

PRESETS = ("paper", "small", "tiny")
# Channels of each voxel feature; `position`, metres from the cloud's corner, is of two papers' inputs.
FEATURE_WIDTH = {"rgb": 3, "has_colour": 1, "one": 1, "offset": 3, "normal": 3, "position": 3}
MOST = 4096  # no width of ours comes near; keeps a hostile header from asking for memory
MOST_LAYERS = 64  # … or for time

T = TypeVar("T")


def setting(default: T, *, most: int = MOST, one_of: tuple[str, ...] = ()) -> T:
    """A field of settings: the largest number it may hold, or the words to choose from."""
    result: T = field(default=default, metadata={"most": most, "one_of": one_of})
    return result


@dataclass(frozen=True)
class ModelSettings:
    """The voxel features, and Res16UNet34C: a stem, then four levels down and four up."""

    network: ClassVar[str]  # its published name
    presets: ClassVar[dict[str, dict[str, Any]]] = {}  # what differs from the paper, by preset

    preset: str = setting("paper", one_of=PRESETS)
    features: tuple[str, ...] = ("rgb",)
    stem: int = 32
    stem_kernel: int = setting(5, most=7)
    planes: tuple[int, ...] = (32, 64, 128, 256, 256, 128, 96, 96)
    blocks: tuple[int, ...] = setting((2, 3, 4, 6, 2, 2, 2, 2), most=MOST_LAYERS)
    momentum: float = 0.02

    def __post_init__(self) -> None:
        self.check()

    def check(self) -> None:
        """Refuse, in words, whatever no network could be built from."""
        for each in fields(self):
            value, one_of = getattr(self, each.name), each.metadata.get("one_of")
            if one_of and value not in one_of:
                raise ValueError(f"there is no {each.name} {value!r}; choose one of {', '.join(one_of)}")
            check_value(each.name, str(each.type), value, each.metadata.get("most", MOST))
        if not self.features or not set(self.features) <= set(FEATURE_WIDTH):
            raise ValueError(f"features are {self.features}; choose from {', '.join(FEATURE_WIDTH)}")
        if len(self.planes) != 8 or len(self.blocks) != 8:
            raise ValueError("planes and blocks need eight entries each: four levels down, four up")

    @property
    def in_channels(self) -> int:
        """Channels of a voxel's features."""
        return sum(FEATURE_WIDTH[name] for name in self.features)

    def to_json(self) -> dict[str, Any]:
        """The settings as JSON holds them."""
        values = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}
        return {"network": self.network, **values}

    @classmethod
    def of(cls, values: dict[str, Any]) -> ModelSettings:
        """Settings from names and values, as JSON or YAML holds them; an unknown name is refused."""
        known = [each.name for each in fields(cls)]
        for name in values:
            if name not in known:
                near = get_close_matches(name, known, 1, 0.0)[0]
                raise ValueError(f"{cls.network} has no setting {name!r}; the nearest is {near!r}")
        arguments: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in values.items()}
        return cls(**arguments)


@dataclass(frozen=True)
class QuerySettings(ModelSettings):
    """Of networks whose clicks are queries that attend to the scene.

    `relation` adds, to each object's logit, a term learned from (point, object) pairs: how far the point is from the
    object's clicks and from the other clicks, how it differs from them. The papers do not have it: it is off in the
    `paper` preset and on in the others, because the published decoders need far more training data without it.
    """

    width: int = 128
    heads: int = setting(8, most=MOST_LAYERS)
    ffn: int = 1024
    gauss_scale: float = 1.0
    relation: bool = False
    relation_width: int = 48
    ce_weight: float = 1.0
    dice_weight: float = 2.0

    def check(self) -> None:
        """Heads must divide the width, too."""
        super().check()
        check_heads(self.width, self.heads)


@dataclass(frozen=True)
class ClickAttentionSettings(QuerySettings):
    """Of networks with AGILE3D's click attention.

    `dice` names the overlap loss: "point" is the papers' per-point form, 1 - p(true label); "code" the same with the
    public code's zero where the point is confidently wrong; "object" the usual soft Dice of each object.
    """

    background_queries: int = 10
    clicks_in_time: int = 200  # entries of the click-order code; later clicks share the last one
    dice: str = setting("point", one_of=("point", "code", "object"))
    click_radius: float = 6.0  # voxels within which a click raises a point's weight: 0.3 m at the papers' 5 cm


@dataclass(frozen=True)
class ClickMapSettings(ModelSettings):
    """Of networks that take clicks as input channels."""

    click_map: str = setting("cube", one_of=("cube", "distance"))
    cubes: tuple[float, ...] = (1.0,)  # half-widths in voxels: the paper's 0.05 m at its 5 cm; ours has larger ones too
    fades: tuple[float, ...] = ()  # ranges in voxels of exp(-d / range), which our presets add to the distance map
    ce_weight: float = 1.0
    dice_weight: float = 0.0


def check_heads(width: int, heads: int) -> None:
    """Refuse a number of heads that the width does not divide into."""
    if heads < 1 or width % heads:
        raise ValueError(f"a width of {width} does not divide into {heads} heads")


def check_value(name: str, kind: str, value: Any, most: int) -> None:
    """Refuse a value of the wrong type, or a number that no network has."""
    expected: Any = {"int": int, "float": (int, float), "bool": bool, "str": str}.get(kind, tuple)
    if not isinstance(value, expected) or (kind in ("int", "float") and isinstance(value, bool)):
        raise ValueError(f"the setting {name} is {value!r}, but must be of type {kind}")
    for number in value if isinstance(value, tuple) else (value,):
        if isinstance(number, int | float) and not 0 <= number <= most:
            raise ValueError(f"the setting {name} is {value!r}; its numbers must lie between 0 and {most}")
        if kind == "tuple[int, ...]" and (not isinstance(number, int) or number < 1):
            raise ValueError(f"the setting {name} is {value!r}, but must hold whole numbers from 1 on")


# Our presets' shares: every voxel feature that does not depend on the cloud's place, and smaller sizes
OURS: dict[str, Any] = {"features": ("rgb", "has_colour", "one", "offset", "normal"), "momentum": 0.05}
SMALL: dict[str, Any] = OURS | {
    "stem": 24,
    "stem_kernel": 3,  # a fifth of the stem's cost; the first level's blocks see as far
    "planes": (24, 48, 72, 96, 80, 64, 48, 48),
    "blocks": (1, 2, 2, 3, 1, 1, 1, 1),
}
TINY: dict[str, Any] = OURS | {
    "stem": 12,
    "stem_kernel": 3,
    "planes": (12, 24, 32, 48, 48, 32, 24, 24),
    "blocks": (1,) * 8,
}
SMALL_QUERIES: dict[str, Any] = SMALL | {"width": 64, "heads": 4, "ffn": 256, "relation": True}
TINY_QUERIES: dict[str, Any] = TINY | {"width": 32, "heads": 2, "ffn": 64, "relation": True, "relation_width": 24}
SMALL_ATTENTION: dict[str, Any] = SMALL_QUERIES | {"dice": "object"}
TINY_ATTENTION: dict[str, Any] = TINY_QUERIES | {"dice": "object", "background_queries": 4}

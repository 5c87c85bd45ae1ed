"""What a network is built from: its published name, a preset of sizes, and every choice its paper leaves open."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import Any

NETWORKS = ("interobject3d", "agile3d", "e2i3d", "clickenhance", "npiseg3d", "fewclick")
PRESETS = ("paper", "small", "tiny")
FEATURE_WIDTH = {"rgb": 3, "has_colour": 1, "one": 1, "offset": 3, "normal": 3}  # channels of each voxel feature
DICE = ("point", "code", "object")
CLICK_MAPS = ("cube", "distance")
DECODERS = ("click_attention", "two_way")
LIMIT = 4096  # no width of ours comes near; keeps a hostile header from asking for memory
# nor for time
DEPTHS = {"blocks": 64, "layers": 64, "scale_layers": 64, "heads": 64, "stem_kernel": 7, "samples": 1000}


@dataclass(frozen=True)
class ModelSettings:
    """A network's sizes and options. `paper` is the published network; `small` and `tiny` are ours.

    `relation` adds, to each object's logit, a term learned from (point, object) pairs: how far the point is from the
    object's clicks and from the other clicks, how it differs from them. The papers do not have it: it is off in the
    `paper` preset and on in the others, because the published decoders need far more training data without it.
    `propagation` (channels; 0 leaves it out, as every preset does) lets that term spread along the surface by a few
    sparse convolutions at a coarse scale, one feature set an object; in short trainings it cost more than it gave.
    `dice` names the overlap loss: "point" is the papers' per-point form, 1 - p(true label); "code" the same with the
    public code's zero where the point is confidently wrong; "object" the usual soft Dice of each object.
    """

    network: str
    preset: str = "paper"
    features: tuple[str, ...] = ("rgb",)
    # Res16UNet34C: stem, then four levels down and four up
    stem: int = 32
    stem_kernel: int = 5
    planes: tuple[int, ...] = (32, 64, 128, 256, 256, 128, 96, 96)
    blocks: tuple[int, ...] = (2, 3, 4, 6, 2, 2, 2, 2)
    momentum: float = 0.02
    # click attention
    width: int = 128
    heads: int = 8
    ffn: int = 1024
    layers: int = 3
    background_queries: int = 10
    gauss_scale: float = 1.0
    clicks_in_time: int = 200  # entries of the click-order code; later clicks share the last one
    relation: bool = False
    relation_width: int = 48
    propagation: int = 0
    affinity: int = 0  # hidden units of the classifier of neighbouring voxels that leads the random walker; 0: none
    # losses
    dice: str = "point"
    ce_weight: float = 1.0
    dice_weight: float = 2.0
    click_radius: float = 6.0  # voxels within which a click raises a point's weight: 0.3 m at the papers' 5 cm
    # E2I3D: layers of the click-aware attention at each of its H scales, finest first. Most of them work at the coarse
    # scale, where a layer costs a quarter; five in all make the paper's 40.5 M parameters
    scale_layers: tuple[int, ...] = (1, 4)
    decoder: str = "click_attention"  # the paper's; "two_way" is ours (models/two_way_e2i3d.py)
    decoder_width: int = 96
    decoder_inner: int = 64
    sharpness: float = 1.0  # power that the shown probabilities are raised to, fitted on validation scenes
    # NPISeg3D
    samples: int = 10
    scene_share: float = 0.2  # alpha of Eq. 7
    kl_weight: float = 0.005
    previous_mask: bool = True
    mask_labels: int = 15
    target_clicks: int = 50  # clicks an object in the target set of the posterior
    train_samples: int = 10
    latent: str = "paper"  # Eq. 7's input: "paper" a z + (1 - a) sum of clicks; "code" a z * mean + (1 - a) mean
    cosine: bool = False  # Eq. 11 as printed; the public code takes the dot product, which trains under cross entropy
    # InterObject3D and ClickEnhance: clicks as input channels
    click_map: str = "cube"  # or "distance"
    cubes: tuple[float, ...] = (1.0,)  # half-widths in voxels: the paper's 0.05 m at its 5 cm; ours has larger ones too
    fades: tuple[float, ...] = ()  # ranges in voxels of exp(-d / range), which our presets add to the distance map
    click_encoder: bool = True  # ClickEnhance's click-specific encoder
    click_loss: float = 0.2  # its lambda 2; 0 leaves the contrastive head out
    click_margin: float = 0.1
    click_samples: int = 64  # K of Eq. 4
    contrast_width: int = 32
    # Few-Click: Point Transformer V3 (`stem`, `planes`, `blocks` are its channels and depths) and its mask decoder
    stem_blocks: int = 2
    head_width: int = 16
    patch: int = 1024
    drop_path: float = 0.3
    prototypes: int = 35
    masked_attention: bool = True  # the public code's; False: every click sees all points in every stage
    class_weight: float = 2.0

    def __post_init__(self) -> None:
        check(self)

    @property
    def in_channels(self) -> int:
        """Channels of a voxel's features."""
        return sum(FEATURE_WIDTH[name] for name in self.features)

    def to_json(self) -> dict[str, Any]:
        """The settings as JSON holds them."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> ModelSettings:
        """Settings out of a JSON object; unknown names and values out of range are refused."""
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise ValueError(f"the model settings name {', '.join(unknown)}, which this version does not know")
        if "network" not in values:
            raise ValueError("the model settings name no network")
        arguments: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in values.items()}
        return cls(**arguments)


def check(settings: ModelSettings) -> None:
    """Refuse, in words, whatever no network could be built from."""
    if settings.network not in NETWORKS:
        raise ValueError(f"there is no network {settings.network!r}; choose one of {', '.join(NETWORKS)}")
    if settings.preset not in PRESETS:
        raise ValueError(f"there is no preset {settings.preset!r}; choose one of {', '.join(PRESETS)}")
    if settings.dice not in DICE:
        raise ValueError(f"dice is {settings.dice!r}; choose one of {', '.join(DICE)}")
    if settings.latent not in ("paper", "code"):
        raise ValueError(f"latent is {settings.latent!r}; choose paper or code")
    if settings.decoder not in DECODERS:
        raise ValueError(f"decoder is {settings.decoder!r}; choose one of {', '.join(DECODERS)}")
    if settings.click_map not in CLICK_MAPS:
        raise ValueError(f"click_map is {settings.click_map!r}; choose one of {', '.join(CLICK_MAPS)}")
    if not settings.features or not set(settings.features) <= set(FEATURE_WIDTH):
        raise ValueError(f"features are {settings.features}; choose from {', '.join(FEATURE_WIDTH)}")
    if len(settings.planes) != 8 or len(settings.blocks) != 8:
        raise ValueError("planes and blocks need eight entries each: four levels down, four up")
    if not 1 <= len(settings.scale_layers) <= 4:
        raise ValueError(f"scale_layers is {settings.scale_layers}; give the layers of one to four scales")
    if settings.heads < 1 or settings.width % settings.heads:
        raise ValueError(f"a width of {settings.width} does not divide into {settings.heads} heads")
    for field in fields(settings):
        check_value(field.name, str(field.type), getattr(settings, field.name))


def check_value(name: str, kind: str, value: Any) -> None:
    """Refuse a value of the wrong type, or a number that no network has."""
    expected: Any = {"int": int, "float": (int, float), "bool": bool, "str": str}.get(kind, tuple)
    if not isinstance(value, expected) or (kind in ("int", "float") and isinstance(value, bool)):
        raise ValueError(f"the setting {name} is {value!r}, but must be of type {kind}")
    numbers = value if isinstance(value, tuple) else (value,)
    for number in numbers:
        limit = DEPTHS.get(name, LIMIT)
        if isinstance(number, int | float) and not 0 <= number <= limit:
            raise ValueError(f"the setting {name} is {value!r}; its numbers must lie between 0 and {limit}")
        if kind == "tuple[int, ...]" and (not isinstance(number, int) or number < 1):
            raise ValueError(f"the setting {name} is {value!r}, but must hold whole numbers from 1 on")


ALL_FEATURES = tuple(FEATURE_WIDTH)
OURS: dict[str, Any] = {
    "features": ALL_FEATURES,
    "relation": True,
    "dice": "object",
    "momentum": 0.05,
    "latent": "code",
    "train_samples": 2,
}
SMALL: dict[str, Any] = {
    "stem": 24,
    "stem_kernel": 3,  # a fifth of the stem's cost; the first level's blocks see as far
    "planes": (24, 48, 72, 96, 80, 64, 48, 48),
    "blocks": (1, 2, 2, 3, 1, 1, 1, 1),
    "width": 64,
    "heads": 4,
    "ffn": 256,
    "scale_layers": (1, 3),
    "relation_width": 48,
}
TINY: dict[str, Any] = {
    "stem": 12,
    "stem_kernel": 3,
    "planes": (12, 24, 32, 48, 48, 32, 24, 24),
    "blocks": (1, 1, 1, 1, 1, 1, 1, 1),
    "width": 32,
    "heads": 2,
    "ffn": 64,
    "layers": 2,
    "scale_layers": (1, 2),
    "background_queries": 4,
    "relation_width": 24,
    "target_clicks": 10,
}


def settings_of(network: str, preset: str = "small", **changes: Any) -> ModelSettings:
    """The settings of a network at a preset's size, with single values changed."""
    settings = ModelSettings(network=network, preset=preset)  # refuses unknown names before anything else
    sizes = published(network) if preset == "paper" else ours(network, preset)
    return replace(settings, **(sizes | changes))


def published(network: str) -> dict[str, Any]:
    """Where a paper's sizes differ from AGILE3D's."""
    match network:
        case "npiseg3d":
            return {"layers": 4}
        case "interobject3d":
            return {"dice_weight": 0.0}
        case "clickenhance":
            return {"click_map": "distance", "ce_weight": 0.8, "dice_weight": 0.8}
        case "fewclick":
            return FEW_CLICK
    return {}


def ours(network: str, preset: str) -> dict[str, Any]:
    """Our own sizes: every voxel feature, more Dice, and inputs that tell near from far from the first step on."""
    sizes = OURS | (SMALL if preset == "small" else TINY)
    match network:
        case "interobject3d":
            return sizes | {"cubes": (1.0, 4.0, 16.0)}
        case "clickenhance":
            return sizes | {"click_map": "distance", "fades": (2.0, 8.0, 32.0), "ce_weight": 0.8, "dice_weight": 0.8}
        case "fewclick":
            return sizes | (FEW_CLICK_SMALL if preset == "small" else FEW_CLICK_TINY)
    return sizes


# The paper gives 128.5 MB in single precision and a width of 256, four stages; PTv3's own sizes cut down to that.
FEW_CLICK: dict[str, Any] = {
    "planes": (64, 128, 256, 384, 256, 128, 64, 64),
    "blocks": (2, 2, 2, 2, 2, 2, 2, 2),
    "momentum": 0.01,
    "width": 256,
    "layers": 4,
    "ce_weight": 5.0,
    "dice_weight": 2.0,
}
FEW_CLICK_SMALL: dict[str, Any] = {
    "stem": 32,
    "planes": (48, 64, 96, 128, 96, 64, 64, 64),
    "blocks": (1, 1, 2, 1, 1, 1, 1, 1),
    "stem_blocks": 1,
    "patch": 256,
    "drop_path": 0.0,
    "width": 96,
    "heads": 6,
    "ffn": 384,
    "layers": 4,
    "ce_weight": 5.0,
    "dice_weight": 2.0,
    "class_weight": 0.5,
}
FEW_CLICK_TINY: dict[str, Any] = {
    "stem": 16,
    "planes": (16, 32, 32, 48, 32, 32, 32, 32),
    "blocks": (1, 1, 1, 1, 1, 1, 1, 1),
    "stem_blocks": 1,
    "patch": 64,
    "drop_path": 0.0,
    "layers": 4,
    "ce_weight": 5.0,
    "dice_weight": 2.0,
    "class_weight": 0.5,
}

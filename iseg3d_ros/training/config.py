"""What a training run is made of: frozen dataclasses, and one reader of YAML that refuses unknown keys."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import yaml

T = TypeVar("T")
PLACES = {"sources", "mixture"}  # wholes, not groups: another mixture has other places


@dataclass(frozen=True)
class DataConfig:
    """Which scenes, in which mixture, how they are cut and quantised."""

    scenes: tuple[str, ...] = ("out/scenes",)
    # Labelled data of any kind that `iseg3d evaluate` reads, with weights: {"scannet40:DIR": 1, out/scenes: 0.3}. Where
    # there are any, `scenes` is not looked at, and `mixture` is that of the made scenes among them.
    sources: dict[str, float] = field(default_factory=dict)
    vocabulary: str = ""  # a file with the words of Few-Click's prototypes, a line each; empty: our 35
    mixture: dict[str, float] = field(default_factory=lambda: {"tabletop": 0.45, "room": 0.35, "street": 0.2})
    # Voxel edges are drawn log-uniformly from these ranges, so that one set of weights serves every resolution.
    voxel: dict[str, tuple[float, float]] = field(
        default_factory=lambda: {
            "tabletop": (0.006, 0.014), "room": (0.03, 0.065), "street": (0.1, 0.22), "object": (0.015, 0.03)
        }  # an "object" is a shape of PartNet, about one unit large
    )  # fmt: skip
    # A crop's size is drawn log-uniformly from this range; the cost of a step is proportional to it.
    min_voxels: int = 6000
    max_voxels: int = 12000
    max_objects: int = 8
    min_points: int = 20  # voxels that an object needs to be clicked
    workers: int = 1


@dataclass(frozen=True)
class AugmentConfig:
    """How far training clouds are pushed away from the scenes as they were made."""

    tilt_degrees: float = 4.0
    any_up: float = 0.0  # share of the crops that are turned anyhow, as where the up direction was not found
    scale: tuple[float, float] = (0.85, 1.18)
    noise: float = 0.15  # standard deviation of the points, in voxels
    drop_points: float = 0.3  # at most this share of the points is left out
    colour_jitter: float = 0.25
    colour_dropout: float = 0.2  # share of the crops that lose their colour
    elastic: float = 0.0  # share of the crops whose surfaces are bent by a few long waves
    relight: float = 0.0  # share of the coloured crops that are lit unevenly and share a palette, as real rooms do
    bridge: float = 0.0  # share of the crops whose objects are bridged where they touch, as in fused meshes
    melt: float = 0.0  # share of the crops whose edges and small things are rounded, as fusion rounds them
    mislabel: float = 0.0  # share of the crops whose borders are labelled a little beside their place
    drop_ceiling: float = 0.0  # share of the rooms that lose their ceiling, half of these what is high up too


@dataclass(frozen=True)
class ClickConfig:
    """The simulated user's habits in training."""

    rounds: int = 3  # corrective rounds are drawn from 0..rounds
    clicks_per_round: int = 3  # largest error regions answered in one round; 0: as many as there are objects
    centre_share: float = 0.5  # share of first clicks at the object's middle; people click elsewhere too
    first_clicks: int = 1  # at most so many on each object before the first mask, drawn from 1 on
    background_clicks: int = 0  # and 1 to so many on the background
    spread: bool = False  # the further first clicks are farthest points of the object, not random ones
    cells: bool = False  # … or random points of different cells of a coarse grid
    scattered: bool = False  # InterObject3D's random clicks on and around each object; with rounds 0 its plain training


@dataclass(frozen=True)
class DialogueConfig:
    """Whole dialogues with the operator, for the networks that are trained at every click (`training.dialogues`)."""

    objects: int = 4  # of a crop, each in a dialogue of its own
    voxels: int = 4096  # of a crop that the decoder sees, drawn evenly
    lengths: tuple[float, ...] = (0.24, 0.24, 0.2, 0.14, 0.1, 0.04, 0.02, 0.02)  # weights of 1, 2, … clicks
    least_voxels: int = 8
    centre_share: float = 0.75  # clicks at the deepest point of an error; the others anywhere in it
    other_error: float = 0.1  # clicks that do not ask which error is the deeper
    needless: float = 0.03  # clicks on what is right already
    shows_mask: float = 0.75  # dialogues in which the network sees its last mask
    right_weight: float = 1.0  # added to the weight of voxels that were right before the click
    harm_weight: float = 0.0  # added to the Dice of objects whose mask a click made worse
    middle_weight: float = 0.4  # of the masks after the coarse scale


@dataclass(frozen=True)
class OptimiserConfig:
    """AdamW, Adam or SGD under a schedule: cosine, step (AGILE3D's), onecycle (torch's OneCycleLR), or constant."""

    name: str = "adamw"
    learning_rate: float = 2e-3
    schedule: str = "cosine"
    drop_at: float = 10 / 11  # of a step schedule: the share of the run after which the rate is a tenth
    final_division: float = 1e4  # of onecycle: what the last rate is of the first one
    weight_decay: float = 1e-3
    decay_vectors: bool = False  # norms and biases decay as torch's optimisers do it; ours leave them out
    warm_up: float = 0.05
    clip_norm: float = 1.0
    accumulate: int = 1
    ema: float = 0.999
    backbone_rate: float = 1.0  # the backbone's learning rate, as a share of the decoder's


@dataclass(frozen=True)
class PruneStage:
    """E²I3D's first stage: to how many parameters (of the finished network, "5.7M"; "whole": all stay), and on what."""

    parameters: str = ""
    scenes: int = 32
    voxels: int = 20000


@dataclass(frozen=True)
class TrainConfig:
    """One run: everything that its checkpoint and model card state."""

    network: str = "e2i3d"
    preset: str = "small"
    options: dict[str, Any] = field(default_factory=dict)
    start: str = ""  # weights to start from: a pruned network's file, or an earlier run's
    backbone: str = ""  # or weights of any network, of which the U-Net is taken and all else is new
    steps: int = 8000
    epochs: float = 0.0  # instead of steps: how often every training scene is drawn on average
    batch: int = 1
    seed: int = 0
    device: str = "auto"
    bf16: bool = False
    out: str = "runs/e2i3d"
    save_seconds: float = 60.0
    validate_steps: int = 1000
    validate_scenes: int = 12
    log_steps: int = 20
    max_seconds: float = 0.0  # 0: no limit; otherwise the schedule follows the clock and ends with it
    patience: int = 0  # validations without a better figure after which a run ends with its best weights; 0: never
    prune: PruneStage = field(default_factory=lambda: PruneStage())  # between this run and what comes `then`
    then: dict[str, Any] = field(default_factory=dict)  # what a second run differs in: E²I3D's chain (pruning.chain)
    data: DataConfig = field(default_factory=DataConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    clicks: ClickConfig = field(default_factory=ClickConfig)
    dialogues: DialogueConfig = field(default_factory=DialogueConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)


def load(path: str | Path, **changes: Any) -> TrainConfig:
    """Read a configuration; `changes` (dotted names allowed, `data.workers`) override the file."""
    return configured(_read(Path(path)), str(path), **changes)


def configured(values: dict[str, Any], where: str, **changes: Any) -> TrainConfig:
    """A configuration out of settings as a file would hold them."""
    for name, value in changes.items():
        _set(values, name.split("."), value)
    return _fill(TrainConfig, values, where)


def followed_by(config: TrainConfig) -> TrainConfig:
    """The second run of a chain: this one with what `then` says."""
    values = dataclasses.asdict(config) | {"then": {}, "prune": {}, "start": "", "backbone": "", "options": {}}
    return _fill(TrainConfig, _merged(values, config.then), "then")


def _read(path: Path) -> dict[str, Any]:
    """A file's settings; over those of the file that it names as its `base`."""
    try:
        values = yaml.safe_load(path.read_text()) or {}
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is not valid YAML: {error}. Mend the file.") from error
    if not isinstance(values, dict):
        raise ValueError(f"{path} must hold a mapping of settings, as the files in config/train do.")
    base = values.pop("base", None)
    return values if base is None else _merged(_read(path.parent / str(base)), values)


def _merged(values: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Settings with others in their place; groups of settings are merged, anything else is replaced."""
    groups = {name for name in values.keys() & changes.keys() if isinstance(changes[name], dict)}
    return {**values, **changes, **{name: _merged(values[name] or {}, changes[name]) for name in groups - PLACES}}


def _set(values: dict[str, Any], names: list[str], value: Any) -> None:
    for name in names[:-1]:
        values = values.setdefault(name, {})
    values[names[-1]] = value


def _fill(kind: type[T], values: dict[str, Any], where: str) -> T:
    hints = get_type_hints(kind)
    unknown = sorted(set(values) - set(hints))
    if unknown:
        raise ValueError(f"{where}: unknown setting {', '.join(unknown)}; known ones are {', '.join(sorted(hints))}.")
    return kind(**{name: _value(hints[name], value, f"{where}: {name}") for name, value in values.items()})


def _value(hint: Any, value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _fill(hint, value or {}, where)
    if isinstance(value, list):
        return tuple(value)
    if isinstance(value, dict):
        return {key: tuple(item) if isinstance(item, list) else item for key, item in value.items()}
    if hint in (int, float, str, bool) and not isinstance(value, (int, float) if hint is float else hint):
        raise ValueError(f"{where} must be {hint.__name__}, but is {value!r}.")
    return value

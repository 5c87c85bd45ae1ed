"""From clicks to labels: `encode` a cloud once, `segment` it at every click."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from iseg3d_ros.clicks import Click, Numbering, Prompts
from iseg3d_ros.io.package_files import weights_dir
from iseg3d_ros.models.base import Prediction
from iseg3d_ros.models.options import NetworkOptions
from iseg3d_ros.models.placement import Encoding, GivesWay, Placement, device_of, limit_memory
from iseg3d_ros.models.segmentation import Segmentation, at_points, nothing
from iseg3d_ros.models.vocabulary import class_names
from iseg3d_ros.preprocessing.scene import VOXEL_SIZES, Preparation, Scene

__all__ = ["Predictor", "Scene", "Segmentation", "device_of"]

DEFAULT = "e2i3d"
TRAINING_FREE = "random_walker"
MAX_VOXELS = 200_000
TOP_CLASSES = 3
FEW_COLUMNS = 12


class Predictor:
    """A network (`models.base.Network` with `settings`) and how clouds are prepared for it.

    Threads may share one: nothing in it changes but its placement, which becomes a smaller one where memory ends
    (`models.placement`). Where that happens at a click, `say` hears a sentence; otherwise it is in `Scene.notes`.
    """

    def __init__(
        self,
        network: Any,
        name: str = "",
        device: torch.device | str = "cpu",
        voxel_size: float | None = None,
        crop_radius: float | None = None,
        max_voxels: int | None = None,
        precision: str = "auto",
    ) -> None:
        if voxel_size is not None and not 0 < voxel_size < 100:
            raise ValueError(f"The voxel size must be a positive number of metres, not {voxel_size}.")
        self.network, self._way = network, GivesWay(Placement.of(torch.device(device), precision))
        self.say: Callable[[str], object] = warnings.warn
        settings = network.settings
        self.name = name or settings.network
        card: Mapping[str, Any] = getattr(network, "card", None) or {}
        own = getattr(network, "max_voxels", None) or vars(settings).get("max_voxels", MAX_VOXELS)
        limit: int = max_voxels or own
        self.preparation = Preparation(
            tuple(settings.features), voxel_size, {**VOXEL_SIZES, **_sizes(card)}, limit, crop_radius
        )

    @classmethod
    def load(
        cls,
        name: str | os.PathLike[str] | None = None,
        device: str = "auto",
        voxel_size: float | None = None,
        crop_radius: float | None = None,
        max_voxels: int | None = None,
        precision: str = "auto",
        memory_share: float = 0.0,
        adapt: bool = False,
        adapt_bound: float = 0.05,
        samples: int | None = None,
        seed: int | None = None,
        cubes: Sequence[float] | None = None,
        vocabulary: str | os.PathLike[str] | None = None,
        tile: float | None = None,
    ) -> Predictor:
        """Load shipped weights by name, a weights file by path, "random_walker" (no weights), or the best there is.

        `device`: auto, cpu, cuda. `voxel_size` in metres; without it, it follows from the cloud's size
        (`preprocessing.scene.kind_of`) and the sizes that the network was trained at. `crop_radius` leaves out points
        farther than that from the cloud's origin; with more than `max_voxels` the voxels become larger. Both say so in
        a warning and in `Scene.notes`. `precision`: full, half (float16; bfloat16 on a CPU), or auto, which is half on
        a GPU; `memory_share` of the GPU's memory is the most that this process may take (0: all). The others are
        `models.options.NetworkOptions`; what `adapt` has learned `reset` forgets.
        """
        place = device_of(device)
        limit_memory(place, memory_share)
        if name is None:
            name = DEFAULT if (weights_dir() / f"{DEFAULT}.safetensors").is_file() else TRAINING_FREE
        if str(name) == TRAINING_FREE:
            from iseg3d_ros.models.random_walker import RandomWalker

            if adapt or tile:
                what = "weights that could adapt" if adapt else "tiles: it takes clouds of any size"
                raise ValueError(f"{TRAINING_FREE} has no {what}; choose another model.")
            return cls(RandomWalker(), TRAINING_FREE, "cpu", voxel_size, crop_radius, max_voxels)
        from iseg3d_ros.models.checkpoint import load

        path = weights_file(name)
        options = NetworkOptions(adapt, adapt_bound, samples, seed, cubes, vocabulary, tile)
        network = options.of(load(path, place), max_voxels or MAX_VOXELS)
        if tile:
            max_voxels = None  # of a tile, not of the cloud
        return cls(network, path.stem, place, voxel_size, crop_radius, max_voxels, precision)

    @property
    def device(self) -> torch.device:
        """Where the network works now."""
        return self._way.placement.device

    @property
    def placement(self) -> Placement:
        """Device, precision and most voxels as they are now."""
        return self._way.placement

    @property
    def parameters(self) -> int:
        """How many numbers the network learned."""
        count = getattr(self.network, "parameters", None)
        return sum(parameter.numel() for parameter in count()) if count else 0

    @property
    def uses_previous(self) -> bool:
        """Whether the network's masks depend on the masks before the last click."""
        return bool(getattr(self.network, "uses_previous", False))

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the network's settings and weights: what was computed with others may look different."""
        tile = getattr(self.network, "edge", "")
        digest = hashlib.sha256(f"{self.name} {self.network.settings!r}{tile}".encode())
        network = self.network
        while not hasattr(network, "state_dict") and hasattr(network, "network"):
            network = network.network
        weights = network.state_dict() if hasattr(network, "state_dict") else {}
        for name in sorted(weights):
            digest.update(name.encode())
            digest.update(weights[name].detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
        return digest.hexdigest()

    def encode(
        self,
        xyz: np.ndarray,
        rgb: np.ndarray | None = None,
        up: Sequence[float] | None = None,
        only: NDArray[np.bool_] | None = None,
    ) -> Scene:
        """All that does not depend on clicks: expensive; once per cloud.

        `xyz` (N, 3) metres, float32 or float64, in any frame; `rgb` uint8 (N, 3) or None; `up` the up direction in
        that frame where it is known, otherwise it is found from the dominant plane. NaN and infinite points are left
        out and get label 0. Far from the origin (over 10 km) give float64. `only` (N,) are the points that take part
        where not all of them do.
        """
        said: list[str] = []
        while True:
            placement = self._way.placement
            most = min(self.preparation.max_voxels, placement.most_voxels or self.preparation.max_voxels)
            scene = dataclasses.replace(self.preparation, max_voxels=most)(xyz, rgb, up, only)
            try:
                return self._encoded(scene, placement, said)
            except torch.OutOfMemoryError as error:
                said += self._way.step_down(placement, len(scene.voxels), error)

    def _encoded(self, scene: Scene, placement: Placement, said: Sequence[str]) -> Scene:
        encoding = Encoding(scene.cloud, self._way.network(self.network, placement), placement)
        for sentence in said:
            warnings.warn(sentence, stacklevel=3)
        return dataclasses.replace(scene, encoded=encoding, notes=(*scene.notes, *said))

    def segment(
        self,
        scene: Scene,
        clicks: Sequence[Click],
        previous: Segmentation | np.ndarray | None = None,
        carried: np.ndarray | None = None,
    ) -> Segmentation:
        """Labels from all clicks given so far, in their order; a pure function.

        Where two clicks of different objects fall into one voxel the later one counts. Without a click on an object
        everything is background. `previous` is the last result or its labels, for networks that use it.
        `carried` are labels that an earlier cloud's masks give this one: networks that can `resume` go on from them.
        """
        start = time.perf_counter()
        numbering = Numbering.of(clicks)
        voxels = [scene.voxel_of(click) for click in clicks]
        if len(numbering.used) == 0:
            return nothing(scene, start)
        label = numbering.compact(np.array([int(click.object) for click in clicks]))
        resumes = carried is not None and hasattr(self.network, "resume")
        prediction = self._decode(scene, voxels, label, numbering, carried if resumes else previous, resumes)
        chance = _chances(prediction.logits.float()).cpu().numpy()
        chance[voxels] = np.eye(chance.shape[1], dtype=np.float32)[label]  # in order: the later click stays
        clicked = dict(zip(voxels, label, strict=True))
        classes = self._classes(prediction, numbering)
        return at_points(scene, chance, clicked, prediction, numbering, classes, start)

    def reset(self, scene: Scene) -> None:
        """Forget what the network has learned from this scene's corrections (`load(adapt=True)`)."""
        network, encoded, _ = self.opened(scene)
        if hasattr(network, "reset"):
            network.reset(encoded)

    def opened(self, scene: Scene) -> tuple[Any, Any, Placement]:
        """The network where it works now, what it made of the scene, and where: for what it can do besides masks."""
        placement = self._way.placement
        network = self._way.network(self.network, placement)
        return network, scene.encoded.on(network, placement), placement

    def show(self, scene: Scene, result: Segmentation, *names: Any, **options: Any) -> Any:
        """A picture and a table of the result for a notebook (`io.notebook.show`, which says what can be given)."""
        from iseg3d_ros.io.notebook import show

        return show(scene, result, *names, **options)

    def _decode(
        self,
        scene: Scene,
        voxels: Sequence[int],
        label: NDArray[np.int64],
        numbering: Numbering,
        previous: Segmentation | np.ndarray | None,
        resumes: bool = False,
    ) -> Prediction:
        given = Prompts(torch.tensor(voxels), torch.from_numpy(label), len(numbering.used))
        last = None
        if previous is not None:
            labels = previous.labels if isinstance(previous, Segmentation) else np.asarray(previous)
            if labels.shape != (scene.points,):
                raise ValueError(f"The previous labels have the shape {labels.shape}, not ({scene.points},).")
            last = torch.from_numpy(numbering.compact(labels[scene.voxels.representative]))
        while True:
            placement = self._way.placement
            try:
                return self._masks(scene, given, last, resumes)
            except torch.OutOfMemoryError as error:
                for sentence in self._way.step_down(placement, 0, error):
                    self.say(sentence)

    def _masks(self, scene: Scene, clicks: Prompts, last: torch.Tensor | None, resumes: bool) -> Prediction:
        network, encoded, placement = self.opened(scene)
        device = placement.device
        with placement.at_work():
            answer = network.resume if resumes else network.decode
            masks: Prediction = answer(encoded, [clicks.to(device)], [None if last is None else last.to(device)])[0]
        return masks

    def _classes(self, prediction: Prediction, numbering: Numbering) -> dict[int, tuple[tuple[str, float], ...]]:
        """The likeliest classes of each object by its number."""
        if prediction.classes is None:
            return {}
        chance = prediction.classes.float().softmax(1).cpu()
        names = class_names(getattr(self.network, "card", None) or {}, chance.shape[1])
        values, places = chance.topk(min(TOP_CLASSES, len(names)), dim=1)
        given = numbering.given()
        return {
            int(given[k]): tuple((names[place], value) for place, value in zip(row, likely, strict=True))
            for k, (row, likely) in enumerate(zip(places.tolist(), values.tolist(), strict=True), 1)
        }


def _chances(logits: torch.Tensor) -> torch.Tensor:
    """Softmax over the columns; few of them are summed column by column, which is several times as fast."""
    return logits.softmax(1) if logits.shape[1] > FEW_COLUMNS else logits.T.contiguous().softmax(0).T.contiguous()


def weights_file(name: str | os.PathLike[str]) -> Path:
    """The file of shipped weights by name, or the path itself."""
    path = Path(name)
    shipped = weights_dir() / f"{name}.safetensors"
    if path.suffix != ".safetensors" and shipped.is_file():
        return shipped
    if path.is_file():
        return path
    there = sorted(file.stem for file in weights_dir().glob("*.safetensors"))
    raise FileNotFoundError(
        f"There are no weights called {str(name)!r}: neither a file of that name nor shipped ones "
        f"({', '.join([*there, TRAINING_FREE])})."
    )


def _sizes(card: Mapping[str, Any]) -> dict[str, float]:
    """The voxel sizes of a checkpoint's card, kind of scene → metres."""
    voxel = card.get("voxel")
    if not isinstance(voxel, Mapping):
        return {}
    return {kind: float(size) for kind, size in voxel.items() if kind in VOXEL_SIZES and 0 < float(size) < 100}

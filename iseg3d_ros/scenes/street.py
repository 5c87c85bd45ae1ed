"""Streets and yards as a LiDAR sees them: one sweep, or several accumulated on the move."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from iseg3d_ros.data.folder import LabelledCloud
from iseg3d_ros.scenes import layouts
from iseg3d_ros.scenes.catalogue import Model
from iseg3d_ros.scenes.lidar import Lidar, Returns, World, accumulate, sensor, sweep
from iseg3d_ros.scenes.shapes import turn
from iseg3d_ros.scenes.site import Site
from iseg3d_ros.scenes.terrain import Road, Terrain

Array = NDArray[np.float32]
_RAYS = 240_000  # of an accumulated cloud, so that a scene stays below a second


@dataclass(frozen=True)
class Straight:
    """A vehicle that drives straight on over the ground."""

    terrain: Terrain
    place: Array  # x, y at time 0
    yaw: float
    speed: float

    def __call__(self, time: float) -> tuple[Array, Array]:
        """Rotation and ground point of the vehicle."""
        ahead = np.array([np.cos(self.yaw), np.sin(self.yaw)], np.float32)
        x, y = self.place + ahead * np.float32(self.speed * time)
        pitch, roll = self.terrain.tilt(x, y, self.yaw)
        tilt = np.array([[1, 0, pitch], [0, 1, -roll], [-pitch, roll, 1]], np.float32)  # small angles
        left, _ = np.linalg.qr(tilt)
        level = (left * np.sign(np.diag(left))).astype(np.float32)
        return turn(self.yaw) @ level, np.array([x, y, self.terrain.height(x, y)], np.float32)


def street(rng: np.random.Generator, models: Sequence[Model] = ()) -> LabelledCloud:
    """A street, junction, car park or yard with its labels; the vehicle stands at the origin, z up."""
    terrain, drive = _ground(rng)
    site = Site(rng, terrain, models)
    site.ground(label=bool(rng.random() < 0.1))
    site.keep_free(float(drive.place[0]), float(drive.place[1]), 3.2, 1.3)
    if len(terrain.roads) == 1 and terrain.roads[0].half_width > 40:
        layouts.fill_yard(site)
    else:
        layouts.fill_street(site)
    lidar = sensor(rng)
    returns = _scanned(site.world(), lidar, drive, rng)
    return _labelled(returns, site, lidar, drive)


def _ground(rng: np.random.Generator) -> tuple[Terrain, Straight]:
    if rng.random() < 0.2:  # a yard is one wide road
        terrain = Terrain(rng, (Road(0, 0.0, 60.0, 5.0),))
        return terrain, Straight(
            terrain, rng.uniform(-4, 4, 2).astype(np.float32), rng.uniform(0, 6.3), rng.uniform(0, 3)
        )
    terrain = Terrain(rng, layouts.roads(rng))
    main = terrain.roads[0]
    across = main.offset - rng.uniform(1.5, max(main.half_width - 2.6, 1.6))
    if rng.random() < 0.12:  # a robot on the pavement
        across = main.offset - main.half_width - main.pavement / 2
    place = np.array([0, across], np.float32)
    return terrain, Straight(terrain, place, rng.normal(0, 0.06), float(rng.choice([0, rng.uniform(2, 14)])))


def _scanned(world: World, lidar: Lidar, drive: Straight, rng: np.random.Generator) -> Returns:
    """One sweep in six of ten scenes; else up to twelve, with fewer steps a turn and over a longer way."""
    if rng.random() < 0.6:
        return sweep(world, lidar, *drive(0.0), 0.0, rng)
    count = int(rng.integers(2, 13))
    rays = len(lidar.elevations) * lidar.steps * len(lidar.mounts)
    thinner = replace(lidar, steps=int(lidar.steps * min(1.0, _RAYS / (rays * count))))
    apart = 0.1 * rng.choice([1, rng.uniform(1, 5)])
    times = (np.arange(count) - count + 1) * apart
    return accumulate(world, thinner, drive, times.tolist(), rng, compensated=bool(rng.random() < 0.6))


def _labelled(returns: Returns, site: Site, lidar: Lidar, drive: Straight) -> LabelledCloud:
    """In the vehicle's frame, with the labels of what was seen counted from 1."""
    level, place = drive(0.0)
    present, instance = np.unique(np.append(returns.label, 0), return_inverse=True)
    classes = tuple(site.composition.classes[k - 1] for k in present[1:])
    xyz = ((returns.xyz - place) @ level).astype(np.float32)
    mount = lidar.mounts[0]
    return LabelledCloud("street", xyz, None, returns.intensity, instance[:-1].astype(np.int32), classes, "street",
                         np.array([mount.x, 0, mount.z], np.float32))  # fmt: skip

"""The cloud that a grasp network wants: all points, and which of them are the object's, in the layout that it reads.

Run beside the segmenter: `python3 examples/grasp_cloud.py grasp.npz [plain|contact_graspnet|graspgen|gpd]`

plain             npz: xyz, indices, sure (to grasp at), centre
contact_graspnet  npz with the keys of its inference.py, xyz and xyz_color, and the object's points for pc_segments
graspgen          json as its demo_scene_pc.py reads it: object_info, scene_info, grasp_info
gpd               pcd of the whole cloud; its indices as gpd_ros/CloudIndexed takes them, in a text file beside it
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from iseg3d_ros.srv import GetObject

from iseg3d_ros.cloud import Cloud, write_cloud
from iseg3d_ros.io.pointcloud2_read import read_points


@dataclass
class Grasp:
    """A scene with an object to grasp."""

    xyz: np.ndarray
    rgb: np.ndarray
    indices: np.ndarray  # all points of the object
    sure: np.ndarray  # those of them to rely on
    centre: np.ndarray


def grasp_of(answer: Any) -> Grasp:
    """What get_object answers; points without colour are grey."""
    points, centre = read_points(answer.cloud), answer.pose.pose.position
    rgb = np.full((len(points), 3), 128, np.uint8) if points.rgb is None else points.rgb
    indices, sure = (np.asarray(rows, np.int64) for rows in (answer.indices, answer.sure_indices))
    return Grasp(points.xyz, rgb, indices, sure, np.array([centre.x, centre.y, centre.z]))


def plain(path: Path, grasp: Grasp) -> None:
    """For one's own programs."""
    np.savez(path, xyz=grasp.xyz, indices=grasp.indices, sure=grasp.sure, centre=grasp.centre)


def contact_graspnet(path: Path, grasp: Grasp) -> None:
    """In the camera's frame, metres; `object` is what predict_scene_grasps takes as pc_segments={1: object}."""
    np.savez(path, xyz=grasp.xyz, xyz_color=grasp.rgb, object=grasp.xyz[grasp.sure])


def graspgen(path: Path, grasp: Grasp) -> None:
    """Its grasps are computed anew: grasp_info is there, and empty."""
    thing = {"pc": grasp.xyz[grasp.sure].tolist(), "pc_color": grasp.rgb[grasp.sure].tolist()}
    scene = {"full_pc": [grasp.xyz.tolist()], "img_color": grasp.rgb.tolist()}
    content = {"object_info": thing, "scene_info": scene, "grasp_info": {"grasp_poses": [], "grasp_conf": []}}
    path.write_text(json.dumps(content), encoding="utf-8")


def gpd(path: Path, grasp: Grasp) -> None:
    """Grasps are sampled at the indices, and collide with all points."""
    write_cloud(path, Cloud(grasp.xyz, grasp.rgb))
    np.savetxt(path.with_suffix(".indices.txt"), grasp.sure, "%d")


LAYOUTS = {"plain": plain, "contact_graspnet": contact_graspnet, "graspgen": graspgen, "gpd": gpd}


def main(path: str, layout: str) -> int:
    """Calls get_object once and writes what it answers."""
    rclpy.init()
    node = rclpy.create_node("grasp_cloud")
    client = node.create_client(GetObject, "/segmenter/get_object")
    if not client.wait_for_service(5.0):
        print("no segmenter offers /segmenter/get_object", file=sys.stderr)
        return 1
    future = client.call_async(GetObject.Request())
    rclpy.spin_until_future_complete(node, future, timeout_sec=30.0)
    answer = future.result()
    if answer is None or not answer.success:
        print(answer.message if answer else "no answer within 30 s", file=sys.stderr)
        return 1
    LAYOUTS[layout](Path(path), grasp_of(answer))
    print(f"{path}: {answer.cloud.width} points, {len(answer.indices)} of them on {answer.object.name}")
    rclpy.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "grasp.npz", sys.argv[2] if len(sys.argv) > 2 else "plain"))

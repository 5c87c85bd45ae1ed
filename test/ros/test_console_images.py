"""A camera's images for the console's page: offered, heard while somebody watches, and in the shown cloud's frame."""

from __future__ import annotations

import io
import time
from collections.abc import Callable

import numpy as np
import pytest
from conftest import missing_ros

if missing_ros():
    pytest.skip(missing_ros(), allow_module_level=True)

import rclpy
from PIL import Image as Picture
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from std_msgs.msg import Header
from tables import photograph, table

from iseg3d_ros.console.photos import Photos
from iseg3d_ros.console.protocol import Watch
from iseg3d_ros.console.updates import CloudUpdate, ImagesUpdate, Update
from iseg3d_ros.io import pointcloud2_write as clouds
from iseg3d_ros.ros.console_backend import RosWork
from iseg3d_ros.ros.point_cloud2 import cloud_message

PATIENCE = 60.0


def calibration() -> CameraInfo:
    k = [300.0, 0.0, 159.5, 0.0, 300.0, 119.5, 0.0, 0.0, 1.0]
    p = [*k[:3], 0.0, *k[3:6], 0.0, *k[6:], 0.0]
    return CameraInfo(header=Header(frame_id="camera"), width=320, height=240, k=k, p=p)


def colour(compressed: bool, pixels: np.ndarray) -> Image | CompressedImage:
    header = Header(frame_id="camera")
    if not compressed:
        return Image(header=header, height=240, width=320, encoding="rgb8", step=960, data=pixels.tobytes())
    stream = io.BytesIO()
    Picture.fromarray(pixels).save(stream, "PNG")
    return CompressedImage(header=header, format="png", data=stream.getvalue())


@pytest.mark.timeout(200)
@pytest.mark.parametrize("compressed", [False, True])
def test_images_are_offered_and_come_while_somebody_watches(compressed: bool, ros_node: Node, ros_domain: int) -> None:
    xyz, rgb, _ = table()
    pixels, _, camera = photograph(xyz, rgb)
    pose = np.linalg.inv(np.array(camera["pose"]))
    xyz = (xyz @ pose[:3, :3].T + pose[:3, 3]).astype(np.float32)  # a depth camera's cloud: in the camera's own frame
    node = rclpy.create_node("console", context=ros_node.context)
    executor = SingleThreadedExecutor(context=ros_node.context)
    for each in (ros_node, node):
        executor.add_node(each)
    work = RosWork(node)
    mailbox, heard = work.subscribe(), list[Update]()
    kind, name = (CompressedImage, "console/image/compressed") if compressed else (Image, "console/image")
    seen = ros_node.create_publisher(kind, name, 1)
    info = ros_node.create_publisher(CameraInfo, "console/camera_info", 1)
    points = ros_node.create_publisher(PointCloud2, "console/points", 1)
    message = cloud_message(clouds.plain(xyz, rgb), Header(frame_id="camera"))

    def until(wanted: Callable[[Update], bool]) -> Update:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            for publisher, each in ((points, message), (info, calibration()), (seen, colour(compressed, pixels))):
                publisher.publish(each)
            executor.spin_once(timeout_sec=0.1)
            heard.extend(mailbox.take(timeout=0.0)[0])
            if found := [update for update in heard if wanted(update)]:
                return found[-1]
        raise AssertionError(f"never told: {heard}")

    try:
        until(lambda update: isinstance(update, ImagesUpdate) and update.offered and not update.images)
        assert info.get_subscription_count() == 0, "nobody watches yet"
        cloud = until(lambda update: isinstance(update, CloudUpdate))
        work.send(Watch(True))
        images = until(lambda update: isinstance(update, ImagesUpdate) and bool(update.images))
        assert isinstance(images, ImagesUpdate) and isinstance(cloud, CloudUpdate)
        assert (images.images[0].read() == pixels).all()
        top = (pose @ [0.0, 0.0, 0.105, 1.0])[:3]
        place = Photos(images.images, cloud).place(0, 300 * top[0] / top[2] + 159.5, 300 * top[1] / top[2] + 119.5)
        assert np.linalg.norm(np.array(place) - top) < 0.02
        work.send(Watch(False))
        end = time.monotonic() + PATIENCE
        while info.get_subscription_count() and time.monotonic() < end:
            executor.spin_once(timeout_sec=0.1)
        assert info.get_subscription_count() == 0
    finally:
        work.close()
        executor.remove_node(node)
        node.destroy_node()

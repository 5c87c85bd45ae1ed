"""What a segmenter is made of, between two of its transitions."""

from __future__ import annotations

from dataclasses import dataclass

from rclpy.timer import Timer

from iseg3d_ros.interaction.work_store import WorkStore
from iseg3d_ros.ros.bond import Bond
from iseg3d_ros.ros.click_request import CloudMessage
from iseg3d_ros.ros.cloud_preprocessing import CloudPreprocessor
from iseg3d_ros.ros.frames import Frames
from iseg3d_ros.ros.inference_thread import Worker
from iseg3d_ros.ros.publishers import Outputs
from iseg3d_ros.ros.segment_action import SegmentAction
from iseg3d_ros.ros.services import Services
from iseg3d_ros.ros.settings import SegmenterSettings
from iseg3d_ros.ros.stateless import StatelessSegmentation
from iseg3d_ros.ros.subscriptions import Inputs
from iseg3d_ros.ros.work import Work


@dataclass
class Parts:
    """What exists from configure to cleanup."""

    frames: Frames
    outputs: Outputs
    intake: CloudPreprocessor
    stateless: StatelessSegmentation
    work: Work
    store: WorkStore
    services: Services
    action: SegmentAction


@dataclass
class Running:
    """What exists from activate to deactivate; the services work with it."""

    work: Work
    worker: Worker[CloudMessage]
    inputs: Inputs
    store: WorkStore
    intake: CloudPreprocessor
    stateless: StatelessSegmentation
    settings: SegmenterSettings
    timers: list[Timer]
    bond: Bond | None

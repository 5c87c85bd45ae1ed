#!/usr/bin/env python3
"""Hostile messages to the segmenter: each is taken, or refused with a sentence; memory is bounded, nothing hangs.

    tools/hostile_messages.py [--count 100000] [--seed 0]       # to its work, in this process
    tools/hostile_messages.py --wire [--count 20000]            # to a running node, over DDS

In this process the model is a pretend one that fails now and then, at every stage and in every way.
"""

from __future__ import annotations

import argparse
import random
import resource
import sys
import tempfile
import threading
import time
import warnings
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "test"))

import numpy as np
import rclpy.clock
from counting import Counting
from geometry_msgs.msg import Point, PointStamped, PoseStamped
from iseg3d_ros.msg import Click
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

from iseg3d_ros.geometry.rgbd import Camera
from iseg3d_ros.geometry.transforms import TransformTree
from iseg3d_ros.interaction.scene_model import SceneModel
from iseg3d_ros.interaction.session import InteractiveSession
from iseg3d_ros.interaction.work_store import WorkStore
from iseg3d_ros.ros.click_request import ClickRequest, HeldCloud
from iseg3d_ros.ros.cloud_preprocessing import CloudPreprocessor
from iseg3d_ros.ros.frames import TopicFrames
from iseg3d_ros.ros.inference_thread import Answer
from iseg3d_ros.ros.node_support import stamp_of
from iseg3d_ros.ros.pointing import Pointing, Region
from iseg3d_ros.ros.settings import SegmenterSettings
from iseg3d_ros.ros.stateless import StatelessSegmentation
from iseg3d_ros.ros.work import Work

SENTENCES = (ValueError, LookupError, RuntimeError, OSError)
FAILURES = (
    RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"), MemoryError(), ValueError("no"), KeyError("x"),
    AssertionError(), ZeroDivisionError("division by zero"), RecursionError("maximum recursion depth"),
    FloatingPointError("overflow"), OSError(5, "Input/output error"), TypeError("None"), IndexError("7"),
)  # fmt: skip
CAMERA = Camera(50.0, 50.0, 31.5, 23.5, 64, 48)
SLOW = 10.0  # processor seconds for one message


class Messages:
    """Messages that no driver would send, and some that are as they should be."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.ids = ["cup", "größe", "", "a\nb", "x" * 300, "\u202e", "object_1", "../../etc/passwd", "\x00"]

    def number(self) -> float:
        """A coordinate."""
        rng = self.rng
        return rng.choice([0.0, rng.uniform(0, 30), rng.gauss(0, 1e6), float("nan"), float("inf"), -1e308, 5e-324])

    def word(self) -> str:
        """A name, an id, a frame."""
        rng = self.rng
        return rng.choice([*self.ids, f"frame_{rng.randrange(10_000)}", "sensor", "sensor", "map", "/sensor"])

    def header(self) -> Header:
        """A time at either end, or in between; a frame."""
        rng = self.rng
        seconds = rng.choice([0, 1, 2**31 - 1, -(2**31), rng.randrange(2**31)])
        header = Header(frame_id=self.word())
        header.stamp.sec, header.stamp.nanosec = seconds, rng.choice([0, 999_999_999, 2**32 - 1])
        return header

    def cloud(self) -> PointCloud2:
        """Fields, sizes and bytes that fit one another, or do not."""
        rng = self.rng
        fields = [
            PointField(name=name, offset=4 * k, datatype=7, count=1) for k, name in enumerate(("x", "y", "z", "rgb"))
        ]
        width = rng.choice([0, 1, 7, 100])
        message = PointCloud2(height=1, width=width, fields=fields, point_step=16, row_step=16 * width)
        points = np.random.default_rng(rng.randrange(2**32)).uniform(0, 30, (width, 4)).astype(np.float32)
        message.header = Header(frame_id=rng.choice(["sensor", self.word()]), stamp=stamp_of(rng.randrange(10**12)))
        message.data = points.tobytes()
        for _ in range(rng.choice([0, 0, 1, 2, 5])):
            self._spoil(message)
        return message

    def _spoil(self, message: PointCloud2) -> None:
        rng = self.rng
        large = rng.choice([0, 1, 3, 2**16, 2**31, 2**32 - 1, rng.randrange(2**32)])
        match rng.randrange(9):
            case 0:
                message.width = large
            case 1:
                message.height = large
            case 2:
                message.point_step = large
            case 3:
                message.row_step = large
            case 4:
                message.is_bigendian = True
            case 5:
                message.data = rng.randbytes(rng.randrange(3000))
            case 6:
                message.header = self.header()
            case 7 if message.fields:
                field = rng.choice(message.fields)
                field.name, field.datatype = rng.choice(["x", "rgba", "", "intensity", "x" * 999]), rng.randrange(256)
            case _:
                offset = rng.choice([large, rng.randrange(20)])
                field = PointField(name=rng.choice("xyzi"), offset=offset, datatype=rng.randrange(9), count=large)
                message.fields = [*message.fields, field][-rng.randrange(1, 9) :]

    def click(self) -> Click:
        """Anywhere, for anything."""
        label = self.rng.choice([0, 1, 1, 2, 2, 3, 255])
        header = self.header() if self.rng.random() < 0.3 else Header()
        return Click(header=header, id=self.word(), label=label, point=self.point())

    def point(self) -> Point:
        """A place."""
        if self.rng.random() < 0.5:
            x, y, z = np.arange(3.0) + 3 * self.rng.randrange(10)
            return Point(x=x, y=y, z=z)
        return Point(x=self.number(), y=self.number(), z=self.number())

    def mask(self) -> np.ndarray:
        """Some pixels of an image, or none."""
        mask = np.zeros((CAMERA.height, CAMERA.width), bool)
        left, top = self.rng.randrange(CAMERA.width), self.rng.randrange(CAMERA.height)
        mask[top : top + self.rng.choice([0, 1, 20]), left : left + self.rng.choice([1, 20])] = True
        return mask

    def goal(self) -> PoseStamped:
        """A pose, its quaternion no rotation."""
        goal = PoseStamped(header=self.header())
        goal.pose.position, goal.pose.orientation.w = self.point(), self.number()
        return goal


class Failing(Counting):
    """A model that fails now and then."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__()
        self._rng = rng

    def encode(self, *cloud: Any, **more: Any) -> Any:
        self._maybe()
        return super().encode(*cloud, **more)

    def segment(self, *given: Any, **more: Any) -> Any:
        self._maybe()
        self.asked.clear()
        return super().segment(*given, **more)

    def _maybe(self) -> None:
        if self._rng.random() < 0.02:
            raise self._rng.choice(FAILURES)


class Target:
    """The segmenter's work without DDS: what it says is counted, what it raises is a fault."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.messages, self.faults, self.said = Messages(seed), Counter[str](), 0
        self.rng = self.messages.rng
        self.settings = SegmenterSettings(tf_timeout=0.0, session_directory=str(folder))
        frames = TopicFrames.__new__(TopicFrames)
        frames._tree, frames._lock = TransformTree(), threading.Lock()
        self.frames = frames
        session = InteractiveSession(Failing(self.rng))  # type: ignore[arg-type]
        intake = CloudPreprocessor(lambda: self.settings, frames, self.tell, rclpy.clock.Clock())
        outputs: Any = SimpleNamespace(show=lambda *shown: None)
        self.work = Work(session, lambda: self.settings, intake, outputs, self)
        self.stateless = StatelessSegmentation(SceneModel(session.predictor, self.tell), intake)
        self.pointing = Pointing(self.work, intake, lambda: self.settings, self)
        self.store = WorkStore(folder / "segmenter", self.work.stage, self.tell)
        self.store.open()
        self.store.follow(session)
        self.newest: PointCloud2 | None = None

    def tell(self, sentence: str) -> None:
        self.said += 1

    notify_operator = tell

    def click_result(self, result: Any) -> None:
        if not result.accepted and not result.reason:
            self.faults["a click is refused without a reason"] += 1

    def updated(self) -> None:
        self.store.rest(self.work.session)

    def failed(self, error: Exception) -> None:
        self.tell(str(error))
        if not any(error is each for each in FAILURES) and not (isinstance(error, SENTENCES) and str(error)):
            self.faults[f"a cloud: {type(error).__name__}: {str(error)[:80]}"] += 1

    def send(self) -> None:
        """One message, or one call of a service."""
        rng, messages, work = self.rng, self.messages, self.work
        request = ClickRequest(messages.click(), time.perf_counter(), HeldCloud(self.newest, 0.0))
        kind = rng.randrange(16)
        newest = None
        if kind < 4:
            newest = self.newest = messages.cloud()
        calls = {
            4: lambda: work.click(request), 5: lambda: work.click(request), 6: lambda: work.click(request),
            7: lambda: self.pointing.goal(messages.goal(), request), 8: lambda: work.capture(self.newest, 0.0),
            9: lambda: work.add_objects(
                [messages.word() for _ in range(rng.choice([0, 1, 3]))],
                [messages.word() for _ in range(rng.choice([0, 1, 3]))], [request] * rng.choice([0, 1, 2])),
            10: lambda: rng.choice([work.remove, work.select])(messages.word()),
            11: lambda: rng.choice([work.undo, work.redo, work.redo, work.clear])(),
            12: lambda: work.save(self.store.folder, messages.word(), rng.choice(["", "ply", "label", "exe"])),
            14: lambda: self.pointing.pixel(CAMERA, request),
            15: lambda: self.pointing.region(CAMERA, Region(messages.mask(), messages.word()), request),
            13: lambda: self.stateless.segment(messages.cloud(), [messages.click() for _ in range(2)], 0.1),
        }  # fmt: skip
        self._transform()
        answers = [Answer(calls[kind], lambda: None)] if kind in calls else []
        if rng.random() < 0.001:
            mode = rng.choice(["frozen", "live", "accumulated"])
            self.settings = SegmenterSettings(tf_timeout=0.0, scene=mode, crop_radius=rng.choice([0.0, 1.0]))
        start = time.process_time()
        work.turn(newest if self.settings.scene != "frozen" else None, 0.0, answers)
        if time.process_time() - start > SLOW:
            self.faults["a message took long"] += 1
        for answer in answers:
            self._judge(answer)

    def _judge(self, answer: Answer[Any]) -> None:
        try:
            answer.result(0)
        except SENTENCES as error:
            if not str(error):
                self.faults[f"{type(error).__name__} without a sentence"] += 1
        except Exception as error:
            if not any(error is each for each in FAILURES):
                self.faults[f"{type(error).__name__}: {str(error)[:80]}"] += 1

    def _transform(self) -> None:
        rng, words = self.rng, self.messages
        pose = [words.number() for _ in range(7)]
        tree = self.frames._tree
        tree.insert(
            words.word(), words.word(), rng.choice([0, 1, 2**62, rng.randrange(10**12)]), pose, rng.random() < 0.3
        )


def megabytes() -> float:
    """What this process holds now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


def in_process(count: int, seed: int) -> int:
    """The trial without DDS; 1 where there was a fault."""
    warnings.simplefilter("ignore", RuntimeWarning)  # numpy's, of coordinates that overflow
    with tempfile.TemporaryDirectory() as folder:
        target = Target(Path(folder), seed)
        warm, start = 0.0, time.monotonic()
        for number in range(count):
            target.send()
            if number == count // 4:
                warm = megabytes()
        grown = megabytes() - warm
        objects, clicks = len(target.work.session.objects), len(target.work.session.clicks)
        target.store.close(target.work.session)
    print(f"{count} hostile messages in {time.monotonic() - start:.0f} s: {sum(target.faults.values())} faults, "
          f"{target.said} sentences, {objects} objects and {clicks} clicks at the end; grown by {grown:.0f} MB in the "
          "last three quarters")  # fmt: skip
    for fault, times in target.faults.most_common():
        print(f"  {times} times {fault}")
    return 1 if target.faults or grown > 100 else 0


def over_the_wire(count: int, seed: int) -> int:
    """The same kinds of messages to a node; 1 where it has ended, answers no more, or has grown."""
    from conftest import domain
    from ros_operator import operator, scene, segmenter_process
    from std_srvs.srv import Trigger

    messages = Messages(seed)
    with tempfile.TemporaryDirectory() as folder, domain() as number, operator(number) as robot:
        process = segmenter_process(Path(folder), f"session_directory:={folder}/work", "tf_timeout:=0.5")
        robot.arrive(*scene()[:2])
        memory = Path(f"/proc/{process.process.pid}/statm")
        sizes = []
        for sent in range(count):
            match messages.rng.randrange(4):
                case 0:
                    robot.send(messages.cloud())
                case 1:
                    robot.publisher("/goal_pose", PoseStamped).publish(messages.goal())
                case 2:
                    point = PointStamped(header=messages.header(), point=messages.point())
                    robot.publisher("~/click/positive", PointStamped).publish(point)
                case _:
                    robot.publisher("~/click", Click).publish(messages.click())
            robot.executor.spin_once(timeout_sec=0)
            if sent % 200 == 199:
                assert robot.call("clear", Trigger, 120) is not None
                sizes.append(int(memory.read_text().split()[1]) * resource.getpagesize() / 1e6)
        robot.arrive(*scene()[:2])
        well = robot.click((0.0, 0.0, 0.105))
        log = len(process.output)
        ended = process.end()
    grown = sizes[-1] - sizes[len(sizes) // 4]
    good = well is not None and well.accepted and ended == 0
    print(f"{count} hostile messages over the wire: a good click afterwards is {'accepted' if good else 'LOST'}, "
          f"{sizes[0]:.0f} -> {sizes[-1]:.0f} MB, log {log / 1e6:.1f} MB")  # fmt: skip
    return 0 if good and grown < 200 else 1


def main() -> int:
    """One line of figures; 1 where there was a fault."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--wire", action="store_true")
    arguments = parser.parse_args()
    if arguments.wire:
        return over_the_wire(arguments.count or 20_000, arguments.seed)
    return in_process(arguments.count or 100_000, arguments.seed)


if __name__ == "__main__":
    sys.exit(main())

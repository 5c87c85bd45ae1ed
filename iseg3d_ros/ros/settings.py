"""The parameters of the nodes. `python -m iseg3d_ros.ros.settings config` writes the files under config/ from them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from iseg3d_ros.interaction.cloud_source import SourceSettings
from iseg3d_ros.interaction.focus import Focus
from iseg3d_ros.models.placement import PRECISIONS
from iseg3d_ros.ros.parameters import as_yaml, parameter

RELIABILITY = ("best_effort", "reliable")
SCENES = ("frozen", "live", "accumulated")


@dataclass(frozen=True)
class SegmenterSettings:
    """Parameters of the node `segmenter`."""

    autostart: bool = parameter(False, "Configure and activate at once, without a lifecycle manager.")
    # The model.
    model: str = parameter("", "Name of a shipped model (`iseg3d models` lists them); empty: the best one there is.")
    weights: str = parameter("", "Path of a weights file, which goes before `model`; empty: the shipped weights.")
    device: str = parameter("auto", "auto, cpu, cuda or cuda:N: where the network runs.")
    precision: str = parameter(
        "auto", "auto, full or half: in which the network computes; auto is half on a GPU.", choices=PRECISIONS
    )
    memory_share: float = parameter(
        0.0, "Largest share of the GPU's memory that this node may take; 0: all of it.", low=0.0, high=1.0
    )
    max_voxels: int = parameter(
        0, "Voxels of a cloud at most; of more, larger ones are made. 0: what the model takes.", low=0, high=10_000_000
    )
    threads: int = parameter(0, "CPU threads of the network; 0: one, or all if that is faster.", low=0, high=256)
    niceness: int = parameter(0, "By how much the network's threads yield to other programs.", low=0, high=19)
    voxel_size: float = parameter(
        0.0, "Edge of a voxel in metres; 0: chosen from the first cloud's extent.", low=0.0, high=5.0
    )
    adapt: bool = parameter(
        False,
        "Adapt the network to the operator's clicks while they are given (networks that can only); slower per click.",
    )
    adapt_bound: float = parameter(
        0.05, "How far adapting weights may drift from the shipped ones, of their norm.", low=0.0001, high=10.0
    )
    cubes: str = parameter(
        "", "Half-widths of the click cubes in voxels, separated by commas (interobject3d); empty: the weights' own."
    )
    tile: float = parameter(
        0.0,
        "Edge in metres of overlapping squares around the clicks that the model is asked about, for clouds larger than "
        "it was trained on; 0: the whole cloud at once.",
        low=0.0,
        high=1000.0,
    )
    vocabulary: str = parameter(
        "", "File with the names of the classes (fewclick): a line each, further words after commas; empty: ours."
    )
    samples: int = parameter(
        0, "Samples of a network that samples (npiseg3d); 0: as many as its weights say.", low=0, high=1000
    )
    seed: int = parameter(0, "Seed of everything that is random, so that a run can be repeated.", low=0)
    # The scene.
    inputs: str = parameter(
        "",
        "Several sensors in place of ~/points, fused in fixed_frame: topics of clouds, separated by commas; an RGB-D "
        "camera is COLOUR+DEPTH+CAMERA_INFO. Empty: ~/points alone.",
    )
    fuse_window: float = parameter(
        0.1, "Seconds within which clouds of several sensors belong together.", low=0.0, high=10.0, live=True
    )
    scene: str = parameter(
        "frozen",
        "frozen: the cloud at the first click or capture is kept until cleared; live: every new cloud is segmented "
        "with the same objects; accumulated: the last sweeps are merged until the first click.",
        choices=SCENES,
    )
    target_frame: str = parameter("", "Frame that clouds are brought into before all else; empty: their own.")
    fixed_frame: str = parameter(
        "",
        "Frame that does not move (odom, map), through which live and accumulated clouds are compared; empty: "
        "target_frame, or the cloud's own where that is empty too.",
    )
    up_frame: str = parameter(
        "",
        "Frame whose z axis points up, asked of TF for every cloud; empty: target_frame where it is set, "
        "otherwise the library finds the ground itself.",
    )
    accumulate_seconds: float = parameter(
        2.0, "Age of the oldest sweep in an accumulated cloud, seconds.", low=0.05, high=600.0, live=True
    )
    accumulate_voxel: float = parameter(
        0.02, "One point is kept per cell of this size in an accumulated cloud, metres.", low=0.001, high=1.0, live=True
    )
    max_points: int = parameter(
        2_000_000, "Points of a cloud beyond this are thinned evenly, and the node says so.", low=100, live=True
    )
    crop_radius: float = parameter(
        0.0, "Points farther than this from the cloud frame's origin are cut off, metres; 0: none.", low=0.0, live=True
    )
    max_rate: float = parameter(
        0.0,
        "Clouds a second that are segmented in live mode at most; 0: as many as the model manages.",
        low=0.0,
        high=1000.0,
        live=True,
    )
    lost_after: float = parameter(
        0.3,
        "An object of which less than this share of points is found again in a new cloud is reported lost.",
        low=0.0,
        high=1.0,
        live=True,
    )
    focus_margin: float = parameter(
        1.0,
        "Of a live cloud the network is shown what is around the tracked objects, so many times their size on every "
        "side; 0: the whole cloud, which takes many times as long.",
        low=0.0,
        high=10.0,
        live=True,
    )
    focus_voxels: int = parameter(
        12_000,
        "Voxels that the network is shown of a live cloud at most, if less around the objects does for it.",
        low=100,
        high=10_000_000,
        live=True,
    )
    # Clicks.
    max_snap_distance: float = parameter(
        0.1,
        "A click farther than this from every point of the cloud is refused, metres.",
        low=0.0,
        high=100.0,
        live=True,
    )
    column_radius: float = parameter(
        0.3, "Radius of the vertical column that ~/click/goal chooses, metres.", low=0.01, high=100.0, live=True
    )
    goal_pose_clicks: bool = parameter(
        False,
        "Whether goal_pose selects the object at its place, as ~/click/goal always does; off, for it drives robots.",
        live=True,
    )
    image_rectified: bool = parameter(
        True,
        "Whether clicks, scribbles, boxes and masks in a camera's image are in the rectified one (image_rect); off: in "
        "the raw one, which camera_info's K and D say how the lens bends.",
        live=True,
    )
    # What may be acted on.
    grasp_probability: float = parameter(
        0.8,
        "Points of ~/object_points and sure_indices are at least that probable: a gripper that closes on the table "
        "below costs more than points that are missing at the object's rim.",
        low=0.0,
        high=1.0,
        live=True,
    )
    removal_probability: float = parameter(
        0.8,
        "Points that ~/scene_without_object leaves out are at least that probable: what the model is unsure of stays "
        "an obstacle.",
        low=0.0,
        high=1.0,
        live=True,
    )
    removal_margin: float = parameter(
        0.03,
        "Points are left out of ~/scene_without_object only so far beyond the box of the points to grasp at, metres: "
        "a sensor's noise and a rim, and not the thing beside.",
        low=0.0,
        high=1.0,
        live=True,
    )
    approach_distance: float = parameter(
        0.8, "How far from the object's nearest point ~/approach_pose is, metres.", low=0.05, high=20.0, live=True
    )
    robot_radius: float = parameter(
        0.35, "Radius of the free ground that ~/approach_pose needs, metres.", low=0.05, high=5.0, live=True
    )
    robot_height: float = parameter(
        1.5, "Height up to which things stand in the robot's way, metres.", low=0.2, high=5.0, live=True
    )
    robot_frame: str = parameter(
        "",
        "The robot's frame (base_link), from whose side objects are approached; empty: from where the cloud was taken.",
        live=True,
    )
    tf_timeout: float = parameter(
        0.5,
        "Seconds that a click or cloud waits for its transform before it is refused.",
        low=0.0,
        high=30.0,
        live=True,
    )
    # Topics.
    points_reliability: str = parameter(
        "best_effort",
        "Reliability asked of ~/points: best_effort hears every publisher, reliable only reliable ones.",
        choices=RELIABILITY,
    )
    clouds_reliability: str = parameter(
        "reliable", "Reliability offered by ~/object_points and ~/scene_without_object.", choices=RELIABILITY
    )
    pose_rate: float = parameter(
        5.0,
        "Times a second that ~/object_pose repeats a frozen scene's pose with a fresh stamp; 0: never.",
        low=0.0,
        high=100.0,
        live=True,
    )
    bond_heartbeat_period: float = parameter(
        0.1,
        "Seconds between heartbeats to Nav2's lifecycle manager on `bond`, where bond is installed and autostart is "
        "off; 0: none.",
        low=0.0,
        high=10.0,
    )
    bond_timeout: float = parameter(
        4.0, "Seconds without a heartbeat of the lifecycle manager after which the node says so.", low=0.1, high=60.0
    )
    diagnostics_period: float = parameter(1.0, "Seconds between messages on /diagnostics.", low=0.1, high=60.0)
    metrics_file: str = parameter(
        "",
        "File that is written with every message on /diagnostics: figures and times in Prometheus' text format; "
        "empty: none.",
        live=True,
    )
    metrics_listen: str = parameter(
        "", "Where the same figures are served under /metrics: HOST:PORT, or a port of 127.0.0.1; empty: nowhere."
    )
    # The work.
    session_directory: str = parameter(
        "~/.ros/iseg3d", "Directory of the work that is saved as it is done, and of what ~/save writes."
    )
    autosave: bool = parameter(True, "Save clicks, names and cloud after every change.", live=True)
    resume: bool = parameter(False, "Begin with the work that was saved last.")

    def __post_init__(self) -> None:
        if self.sensors and not (self.fixed_frame or self.target_frame):
            raise ValueError("inputs are fused in fixed_frame: set it to a frame that does not move (odom, map)")
        if wrong := [names for names in self.sensors if len(names) not in (1, 3) or not all(names)]:
            raise ValueError(
                f"inputs names '{'+'.join(wrong[0])}': give a topic of clouds, or COLOUR+DEPTH+CAMERA_INFO"
            )

    @property
    def sensors(self) -> tuple[tuple[str, ...], ...]:
        """The topics of every sensor in `inputs`: one of clouds, or a camera's three."""
        entries = (entry.strip() for entry in self.inputs.split(","))
        return tuple(tuple(part.strip() for part in entry.split("+")) for entry in entries if entry)

    def folder(self, node: str) -> Path:
        """Where a node's files are."""
        return Path(self.session_directory).expanduser() / node.strip("/").replace("/", "_")

    @property
    def source(self) -> SourceSettings:
        """Those that concern where clouds come from."""
        return SourceSettings(
            self.scene, self.max_rate, self.lost_after, self.accumulate_seconds, self.accumulate_voxel, self.max_points
        )

    @property
    def focus(self) -> Focus | None:
        """What of a cloud the network is shown; None: all of it."""
        return Focus(self.focus_margin, self.focus_voxels) if self.scene == "live" and self.focus_margin > 0 else None


@dataclass(frozen=True)
class RgbdSettings:
    """Parameters of the node `rgbd_cloud`."""

    reliability: str = parameter("best_effort", "Reliability asked of the images and camera_info.", choices=RELIABILITY)
    slop: float = parameter(
        0.02,
        "Largest difference between the stamps of a colour and a depth image that belong together, seconds.",
        low=0.0,
        high=1.0,
        live=True,
    )
    queue: int = parameter(8, "Images of each kind that wait for their partner.", low=1, high=100)
    depth_scale: float = parameter(
        0.001, "Metres per unit of an integer (16UC1) depth image; 32FC1 is in metres.", low=1e-6, high=1.0, live=True
    )
    near: float = parameter(0.05, "Depths below this are left out, metres.", low=0.0, live=True)
    far: float = parameter(20.0, "Depths above this are left out, metres.", low=0.0, live=True)
    stride: int = parameter(1, "Every n-th pixel in both directions becomes a point.", low=1, high=64, live=True)
    organised: bool = parameter(
        False, "Keep the image's rows and columns, with NaN where there is no depth; otherwise only returns.", live=True
    )


@dataclass(frozen=True)
class PlayerSettings:
    """Parameters of the node `player`."""

    path: str = parameter(
        "",
        "What is played: a cloud file, a folder of cloud files, a KITTI sequence (velodyne/, poses.txt, times.txt), "
        "a nuScenes-style folder (sweeps/, poses.json), or a rosbag2 folder or mcap file.",
    )
    topic: str = parameter("", "Topic of the bag that is played; empty: its first PointCloud2 topic.")
    rate: float = parameter(1.0, "Clouds a second; 0: as the sequence's times say.", low=0.0, high=1000.0, live=True)
    loop: bool = parameter(
        True, "Begin again at the end; the last cloud is repeated at `rate` otherwise only once.", live=True
    )
    frame: str = parameter("", "frame_id of the clouds; empty: the bag's own, or `sensor`.")
    fixed_frame: str = parameter("map", "Frame in which a sequence's poses are given: TF goes from it to `frame`.")
    reliability: str = parameter("reliable", "Reliability offered by ~/points.", choices=RELIABILITY)
    original_stamps: bool = parameter(False, "Stamp clouds with the sequence's own times instead of the present time.")


@dataclass(frozen=True)
class ConsoleSettings:
    """Parameters of the node `console`."""

    segmenter: str = parameter("segmenter", "Name of the segmenter node, relative to this node's namespace.")
    host: str = parameter("127.0.0.1", "Address that the page is served on; 0.0.0.0 for all of the machine's.")
    port: int = parameter(8080, "Port of the page; where it is taken, the next free one.", low=0, high=65535)
    points_reliability: str = parameter(
        "best_effort",
        "Reliability asked of ~/points, which is shown while nothing is held: best_effort hears every publisher.",
        choices=RELIABILITY,
    )
    most_points: int = parameter(1500000, "Points that a page draws at most; nearer by it draws others.", low=1000)


FILES = {
    "segmenter": SegmenterSettings,
    "rgbd_cloud": RgbdSettings,
    "player": PlayerSettings,
    "console": ConsoleSettings,
}


def write_files(folder: Path) -> None:
    """One YAML file per node."""
    for node, settings in FILES.items():
        (folder / f"{node}.yaml").write_text(as_yaml(settings, node))


if __name__ == "__main__":
    import sys

    write_files(Path(sys.argv[1]))

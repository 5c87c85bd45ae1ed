"""Every topic and service of the nodes: name, type, quality of service, meaning. Documentation and tests read this."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Topic:
    """One topic: `qos` in words, `needs` the package without which it is left out."""

    name: str
    type: str
    qos: str
    meaning: str
    needs: str = ""


@dataclass(frozen=True)
class Service:
    """One service."""

    name: str
    type: str
    meaning: str


SENSOR = "best effort, newest 1 (`points_reliability`)"
CLICK = "reliable, newest 1000"
RELIABLE = "reliable, newest 1"
LATCHED = "reliable, transient local, newest 1"
CHOSEN = "newest 1 (`clouds_reliability`)"
DEFAULT = "reliable, newest 10"

SUBSCRIBED = (
    Topic("~/points", "sensor_msgs/msg/PointCloud2", SENSOR, "the clouds, in any layout"),
    Topic("clicked_point", "geometry_msgs/msg/PointStamped", CLICK, "RViz's own topic: a click on the active object"),
    Topic("~/click/positive", "geometry_msgs/msg/PointStamped", CLICK, "a click on the active object"),
    Topic("~/click/negative", "geometry_msgs/msg/PointStamped", CLICK, "a click on what is no object"),
    Topic("~/click/new_object", "geometry_msgs/msg/PointStamped", CLICK, "the first click on a new object"),
    Topic("~/click", "iseg3d_ros/msg/Click", CLICK, "a click with object id and label, from a program"),
    Topic(
        "~/click/goal", "geometry_msgs/msg/PoseStamped", CLICK, "selects the object in that column, or begins a new one"
    ),
    Topic("~/camera_info", "sensor_msgs/msg/CameraInfo", "best effort, newest 10", "the cameras that images are of"),
    Topic("~/image_click", "geometry_msgs/msg/PointStamped", CLICK, "a pixel (x, y) of the active object"),
    Topic("~/image_click/negative", "geometry_msgs/msg/PointStamped", CLICK, "a pixel of what is no object"),
    Topic("~/image_click/new_object", "geometry_msgs/msg/PointStamped", CLICK, "the first pixel of a new object"),
    Topic("~/image_click/point", "geometry_msgs/msg/Point", CLICK, "rqt_image_view's click: as `~/image_click`"),
    Topic("~/image_scribble", "geometry_msgs/msg/PolygonStamped", CLICK, "a stroke of pixels on the active object"),
    Topic("~/image_scribble/negative", "geometry_msgs/msg/PolygonStamped", CLICK, "a stroke on what is no object"),
    Topic("~/image_scribble/new_object", "geometry_msgs/msg/PolygonStamped", CLICK, "a stroke on a new object"),
    Topic("~/image_mask", "sensor_msgs/msg/Image", DEFAULT, "pixels that are not 0 show a new object"),
    Topic("~/image_box", "vision_msgs/msg/Detection2D", DEFAULT, "a box around a new object", "vision_msgs"),
    Topic(
        "~/image_boxes",
        "vision_msgs/msg/Detection2DArray",
        DEFAULT,
        "the same, as a detector sends them: what is new becomes an object",
        "vision_msgs",
    ),
    Topic("goal_pose", "geometry_msgs/msg/PoseStamped", DEFAULT, "the same, if `goal_pose_clicks` is on"),
    Topic("bond", "bond/msg/Status", "reliable, newest 100", "a lifecycle manager's heartbeats", "bond"),
    Topic("/tf", "tf2_msgs/msg/TFMessage", "reliable, newest 100", "transforms", "tf2_msgs"),
    Topic(
        "/tf_static", "tf2_msgs/msg/TFMessage", "reliable, transient local", "transforms that hold always", "tf2_msgs"
    ),
)

PUBLISHED = (
    Topic(
        "~/labelled",
        "sensor_msgs/msg/PointCloud2",
        LATCHED,
        "x y z [rgb] instance (uint16) probability uncertainty (float32) of every return; variance from npiseg3d",
    ),
    Topic(
        "~/segmentation",
        "sensor_msgs/msg/PointCloud2",
        RELIABLE,
        "Autoware's PointXYZCPE in the source's order: class_id (255: no return), probability, entropy",
    ),
    Topic(
        "~/object_points",
        "sensor_msgs/msg/PointCloud2",
        CHOSEN,
        "x y z of the active object, as far as it may be grasped at",
    ),
    Topic(
        "~/scene_without_object",
        "sensor_msgs/msg/PointCloud2",
        CHOSEN,
        "x y z of all but what is the active object for certain",
    ),
    Topic(
        "~/objects", "iseg3d_ros/msg/Objects", LATCHED, "ids, names, clicks, boxes, confidence; the work's whole state"
    ),
    Topic("~/history", "iseg3d_ros/msg/History", LATCHED, "what was done and undone, step by step; after every change"),
    Topic(
        "~/classes",
        "std_msgs/msg/String",
        LATCHED,
        "the classes that the model knows, one a line: ~/propose finds things of one; empty from all but fewclick",
    ),
    Topic(
        "~/object_indices", "iseg3d_ros/msg/ObjectIndices", LATCHED, "full cloud and the active object's indices in it"
    ),
    Topic("~/detections", "vision_msgs/msg/Detection3DArray", RELIABLE, "the objects' oriented boxes", "vision_msgs"),
    Topic("~/object_pose", "geometry_msgs/msg/PoseStamped", RELIABLE, "centre of the active object's box, streamed"),
    Topic(
        "~/approach_pose",
        "geometry_msgs/msg/PoseStamped",
        RELIABLE,
        "a goal on free ground before the active object, facing it",
    ),
    Topic("~/uncertainty", "sensor_msgs/msg/PointCloud2", LATCHED, "x y z rgb, coloured by entropy (yellow: unsure)"),
    Topic("~/coloured", "sensor_msgs/msg/PointCloud2", LATCHED, "x y z rgb, every object in its colour of ~/objects"),
    Topic("~/suggested_click", "geometry_msgs/msg/PointStamped", LATCHED, "where the next click would help most"),
    Topic("~/markers", "visualization_msgs/msg/MarkerArray", LATCHED, "clicks, boxes, names, suggested click"),
    Topic("~/click_result", "iseg3d_ros/msg/ClickResult", CLICK, "what became of every click; why one was refused"),
    Topic("~/feedback", "std_msgs/msg/String", DEFAULT, "sentences for the operator"),
    Topic("bond", "bond/msg/Status", "reliable, newest 5", "heartbeats, where a lifecycle manager listens", "bond"),
    Topic("/diagnostics", "diagnostic_msgs/msg/DiagnosticArray", DEFAULT, "state, clouds received and dropped, times"),
    Topic("~/debug/receive_ms", "std_msgs/msg/Float64", DEFAULT, "from the cloud's stamp to its arrival in the node"),
    Topic("~/debug/convert_ms", "std_msgs/msg/Float64", DEFAULT, "message to arrays, transform, caps"),
    Topic("~/debug/encode_ms", "std_msgs/msg/Float64", DEFAULT, "the model's work for a cloud"),
    Topic("~/debug/segment_ms", "std_msgs/msg/Float64", DEFAULT, "the model's work for the clicks"),
    Topic("~/debug/publish_ms", "std_msgs/msg/Float64", DEFAULT, "result to messages on their way"),
    Topic("~/debug/total_ms", "std_msgs/msg/Float64", DEFAULT, "from the click or cloud to published labels"),
)

SERVICES = (
    Service("~/add_objects", "iseg3d_ros/srv/AddObjects", "named objects with their first clicks, in one step"),
    Service("~/remove_object", "iseg3d_ros/srv/RemoveObject", "removes an object; the others keep their ids"),
    Service("~/select_object", "iseg3d_ros/srv/SelectObject", "makes an object the active one"),
    Service("~/segment", "iseg3d_ros/srv/SegmentCloud", "cloud (or the newest) and clicks to labels, without state"),
    Service("~/propose", "iseg3d_ros/srv/ProposeObjects", "what could be an object, to be accepted with add_objects"),
    Service("~/peek", "iseg3d_ros/srv/PeekClick", "what a click would hold; whatever else waits goes first"),
    Service("~/get_object", "iseg3d_ros/srv/GetObject", "full cloud, indices, pose and boxes: for planners"),
    Service("~/capture", "std_srvs/srv/Trigger", "takes the newest cloud; objects and clicks that still fit stay"),
    Service("~/undo", "std_srvs/srv/Trigger", "takes the last step back"),
    Service("~/redo", "std_srvs/srv/Trigger", "does it again"),
    Service("~/go_to_step", "iseg3d_ros/srv/GoToStep", "to a state of `~/history` at once, back or forward"),
    Service("~/clear", "std_srvs/srv/Trigger", "forgets objects, clicks and cloud (undo brings the objects back)"),
    Service("~/save", "iseg3d_ros/srv/SaveSession", "writes the work, or the labelled cloud, to a file"),
    Service("~/enable", "std_srvs/srv/SetBool", "false: clouds and clicks are ignored until true"),
)

ACTIONS = (
    Service(
        "~/segment_object",
        "iseg3d_ros/action/SegmentObject",
        "clicks to an object's cloud, pose and boxes, with progress; can be cancelled, a newer goal pre-empts it",
    ),
)


def markdown_topics(topics: tuple[Topic, ...]) -> str:
    """A table for the documentation."""
    lines = ["| topic | type | QoS | meaning |", "|---|---|---|---|"]
    for topic in topics:
        needs = f" (where {topic.needs} is installed)" if topic.needs else ""
        lines.append(f"| `{topic.name}` | {topic.type.replace('/msg/', '/')} | {topic.qos} | {topic.meaning}{needs} |")
    return "\n".join(lines)


def markdown_services(services: tuple[Service, ...]) -> str:
    """A table of services, or of actions, for the documentation."""
    what = "action" if services is ACTIONS else "service"
    lines = [f"| {what} | type | meaning |", "|---|---|---|"]
    for each in services:
        package, _, kind = each.type.split("/")
        lines.append(f"| `{each.name}` | {package}/{kind} | {each.meaning} |")
    return "\n".join(lines)

"""The pictures of the documentation, made anew: `make pictures`. Needs Chromium and playwright; runs on the library.

`python tools/pictures.py NAME FILE` makes docs/NAME.png of a picture that another command drew (`iseg3d evaluate`).
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops
from scipy.ndimage import distance_transform_edt

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "test"))
from console_page import Page, chromium  # noqa: E402

from iseg3d_ros.cloud import Cloud  # noqa: E402
from iseg3d_ros.console.local_backend import LocalWork  # noqa: E402
from iseg3d_ros.console.page import Console  # noqa: E402
from iseg3d_ros.console.server import serve  # noqa: E402
from iseg3d_ros.demo.scenes import open_scene  # noqa: E402
from iseg3d_ros.demo.script import play  # noqa: E402
from iseg3d_ros.geometry.camera_view import CameraView  # noqa: E402
from iseg3d_ros.geometry.rgbd import Camera  # noqa: E402
from iseg3d_ros.io.camera_images import CameraImage  # noqa: E402
from iseg3d_ros.predictor import Predictor  # noqa: E402

DOCS = Path(__file__).resolve().parent.parent / "docs"
SIZES = {"console": (1920, 1080), "console_tablet": (1180, 820), "console_phone": (390, 844)}
MOST = 400_000  # bytes a picture
WIDTH = 920
WIDE = 1400  # … of rows of maps


def main() -> int:
    """All pictures of the product, or the one that the command line names."""
    if len(sys.argv) == 3:
        keep(trimmed(Image.open(sys.argv[2]), WIDE), sys.argv[1])
    else:
        product()
    return 0


def product() -> None:
    """The console after the demo's script: on a desk, a tablet, a phone; uncertainty, a camera's image, a box."""
    scene = open_scene("room")
    image = photograph(scene.cloud)
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        work = LocalWork(scene.cloud, lambda name, size: Predictor.load(name or None), "", Path(folder), images=[image])
        console = Console(work, serve("127.0.0.1", 18500))
        play(work, scene, print)
        for name, size in SIZES.items():
            page = Page(browser, console.server.address, size=size)
            page.ready()
            page.until("page.state.objects.length === 3")
            keep(seen(page), name)
            if name == "console":
                page.key("v")
                page.until("page.cloud.tiles.every(tile => tile.unsure.some(value => value > 0))")
                keep(seen(page), "console_uncertainty")
            if name == "console_tablet":
                more(page)
            page.context.close()
        console.close()
        work.close()


def more(page: Page) -> None:
    """A box with its handles, and a camera's image beside the cloud."""
    page.tells("(page.send({ do: 'select', id: page.state.objects[0].id }), 1)")
    page.until("page.state.active === page.state.objects[0].id")
    page.press("Edit the box")
    page.tells("(page.camera.pivot(page.state.objects[0].box.centre), page.camera.distance = 3.2, page.redraw(), 1)")
    keep(seen(page), "console_boxes")
    page.press("Edit the box")
    page.press("Images")
    page.until("page.photos.cells !== null && page.photos.picture.naturalWidth > 0")
    page.tells("(page.touched = false, page.frame(), 1)")
    keep(seen(page), "console_photos")


def photograph(cloud: Cloud) -> CameraImage:
    """What a camera in a corner of a made room sees of it: of each pixel the point that it shows."""
    low, high = cloud.xyz.min(axis=0), cloud.xyz.max(axis=0)
    eye, target = low + [0.4, 0.4, 2.0], (low + high) / 2 * [1, 1, 0] + low * [0, 0, 1] + [0, 0, 0.5]
    ahead = (target - eye) / np.linalg.norm(target - eye)
    right = np.cross(ahead, [0, 0, 1]) / np.linalg.norm(np.cross(ahead, [0, 0, 1]))
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = np.stack([right, np.cross(ahead, right), ahead], 1), eye
    camera = Camera(450.0, 450.0, 319.5, 239.5, 640, 480)
    rows = CameraView(cloud.xyz, camera, pose).grid(640, 480)[0]
    line, column = distance_transform_edt(rows < 0, return_distances=False, return_indices=True)
    assert cloud.rgb is not None  # the made room's
    pixels = cloud.rgb[rows[line, column]]
    return CameraImage("camera", camera, pose, lambda: pixels)


def seen(page: Page) -> Image.Image:
    """What the browser shows, no wider than a page of documentation."""
    page.page.wait_for_timeout(2000)
    image = Image.open(io.BytesIO(page.page.screenshot(timeout=120_000)))
    width = min(image.width, WIDTH)
    return image.resize((width, image.height * width // image.width), Image.Resampling.LANCZOS)


def trimmed(image: Image.Image, most: int = WIDTH) -> Image.Image:
    """Without the empty margin, and not wider than a page of documentation."""
    image = image.convert("RGB")
    box = ImageChops.difference(image, Image.new("RGB", image.size, image.getpixel((0, 0)))).getbbox()
    image = image.crop(box)
    width = min(image.width, most)
    return image.resize((width, round(image.height * width / image.width)), Image.Resampling.LANCZOS)


def keep(image: Image.Image, name: str) -> None:
    """A picture in docs/, with fewer colours so that it is small; also small objects keep theirs in an octree."""
    target = DOCS / f"{name}.png"
    image.convert("RGB").quantize(256, Image.Quantize.FASTOCTREE).save(target, optimize=True)
    print(f"wrote {target}: {target.stat().st_size} bytes")
    if target.stat().st_size > MOST:
        raise RuntimeError(f"{target} is larger than {MOST} bytes")


if __name__ == "__main__":
    sys.exit(main())

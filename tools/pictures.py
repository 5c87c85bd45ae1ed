"""The pictures of the documentation, made anew: `make pictures`. Needs Chromium and playwright; runs on the library.

`python tools/pictures.py NAME FILE` makes docs/NAME.png of a picture that another command drew (`iseg3d evaluate`).
"""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from PIL import Image, ImageChops

from iseg3d_ros.console.local_backend import LocalWork
from iseg3d_ros.console.page import Console
from iseg3d_ros.console.server import serve
from iseg3d_ros.demo.run import draw
from iseg3d_ros.demo.scenes import open_scene
from iseg3d_ros.demo.script import play
from iseg3d_ros.predictor import Predictor

DOCS = Path(__file__).resolve().parent.parent / "docs"
ARGUMENTS = ["--headless", "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking"]
ARGUMENTS += ["--disable-component-update", "--disable-sync"]
ARGUMENTS += ["--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
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
    """The demo's picture; the page after its script: objects, and uncertainty."""
    from playwright.sync_api import sync_playwright

    scene = open_scene("room")
    with tempfile.TemporaryDirectory() as folder:
        work = LocalWork(scene.cloud, lambda name, size: Predictor.load(name or None), "", Path(folder))
        console = Console(work, serve("127.0.0.1", 18500))
        console.look_at(cut=0.75)
        draw(play(work, scene, print), scene, Path(folder) / "demo.png")
        keep(trimmed(Image.open(Path(folder) / "demo.png")), "demo")
        try:
            with sync_playwright() as playwright:
                chromium = shutil.which("chromium") or shutil.which("google-chrome")
                browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
                page = browser.new_page(viewport={"width": 1280, "height": 800})
                page.goto(console.server.address)
                page.get_by_text("sure").first.wait_for(timeout=120_000)
                time.sleep(12)
                page.locator(".mantine-Notification-closeButton").first.click(timeout=60_000)
                time.sleep(4)
                keep(seen(page), "console")
                page.keyboard.press("v")
                time.sleep(8)
                keep(seen(page), "console_uncertainty")
                browser.close()
        finally:
            console.close()
            work.close()


def seen(page: Any) -> Image.Image:
    """What the browser shows."""
    return Image.open(io.BytesIO(page.screenshot(timeout=120_000)))


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

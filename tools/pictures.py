"""The pictures of the documentation, made anew: `make pictures`. Needs Chromium and playwright; runs on the library."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

from iseg3d_ros.console.console import Console
from iseg3d_ros.console.local import LocalWork
from iseg3d_ros.console.server import serve
from iseg3d_ros.demo.scenes import open_scene
from iseg3d_ros.demo.script import play
from iseg3d_ros.predictor import Predictor

DOCS = Path(__file__).resolve().parent.parent / "docs"
ARGUMENTS = ["--headless", "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking"]
ARGUMENTS += ["--disable-component-update", "--disable-sync"]
ARGUMENTS += ["--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
MOST = 400_000  # bytes a picture


def main() -> int:
    """The page after the demo's script: objects, and uncertainty."""
    from playwright.sync_api import sync_playwright

    scene = open_scene("room")
    with tempfile.TemporaryDirectory() as folder:
        work = LocalWork(scene.cloud, lambda name, size: Predictor.load(name or None), "", Path(folder))
        console = Console(work, serve("127.0.0.1", 18500))
        console.look_at(cut=0.75)
        play(work, scene, print)
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
                keep(page, "console")
                console.look_at(doubt=True)
                time.sleep(8)
                keep(page, "console_uncertainty")
                browser.close()
        finally:
            console.close()
            work.close()
    return 0


def keep(page: object, name: str) -> None:
    """A picture of the page, with fewer colours so that it is small."""
    target = DOCS / f"{name}.png"
    page.screenshot(path=target, timeout=120_000)  # type: ignore[attr-defined]
    Image.open(target).convert("RGB").quantize(256).save(target, optimize=True)
    print(f"wrote {target}: {target.stat().st_size} bytes")
    if target.stat().st_size > MOST:
        raise RuntimeError(f"{target} is larger than {MOST} bytes")


if __name__ == "__main__":
    sys.exit(main())

"""Builds messages against the ROS wheels in a virtual environment, and makes them importable there.

Besides ours these are tf2_msgs, which the wheels leave out and /tf needs.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from progress import environment, run

FOLDER = "lib/iseg3d_ros_messages"  # of the environment; iseg3d_ros.__path__ takes in its `msg`, `srv` and `action`


def build(source: Path, venv: Path) -> None:
    """CMake's three steps, and a path file."""
    name = source.name if source.name == "tf2_msgs" else "messages"
    repair_wheels(venv)
    cmake, work = find_cmake(venv), venv / "build" / name
    python = venv / "bin" / "python"
    env = environment(AMENT_PREFIX_PATH=str(venv), CMAKE_PREFIX_PATH=str(venv))
    env["PATH"] = f"{venv / 'bin'}:{env['PATH']}"
    shutil.rmtree(work, ignore_errors=True)
    definitions = {
        "MESSAGES_ONLY": "ON",
        "BUILD_TESTING": "OFF",
        "Python3_EXECUTABLE": python,
        "PYTHON_EXECUTABLE": python,
        "CMAKE_INSTALL_PREFIX": venv,
        "PYTHON_INSTALL_DIR": FOLDER,
    }
    settings = [f"-D{name}={value}" for name, value in definitions.items()]
    run(f"{name}: configure", [cmake, "-S", str(source), "-B", str(work), *settings], env)
    run(f"{name}: compile", [cmake, "--build", str(work), "--parallel", str(os.cpu_count() or 1)], env)
    run(f"{name}: install", [cmake, "--install", str(work)], env)
    make_importable(venv)
    shutil.rmtree(work)


def make_importable(venv: Path) -> None:
    """Add the folder to the environment's path, less what would pass itself off as the package."""
    folder = venv / FOLDER
    ours = folder / "iseg3d_ros" / "__init__.py"
    if ours.exists():
        ours.unlink()  # generated and empty: the package's own is in the source tree
    for info in folder.glob("*.egg-info"):
        shutil.rmtree(info)
    (site_packages(venv) / "iseg3d_ros_messages.pth").write_text(f"{folder}\n", encoding="utf-8")


def repair_wheels(venv: Path) -> None:
    """The wheels' CMake files name the folders of the machine that built them: put ours there."""
    python = str(venv / "bin" / "python")
    ask = [python, "-c", "import sysconfig; print(sysconfig.get_paths()['include'])"]
    include = subprocess.run(ask, capture_output=True, text=True, check=True, env=environment()).stdout.strip()
    places = (
        (re.compile(r"/opt/python/[^/;\"]+/lib/python3\.\d+/site-packages"), str(site_packages(venv))),
        (re.compile(r"/opt/python/[^/;\"]+/include/python3\.\d+"), include),
    )
    for path in venv.glob("share/*/cmake/*.cmake"):
        old = new = path.read_text(encoding="utf-8")
        for pattern, place in places:
            new = pattern.sub(place.replace("\\", "/"), new)
        if new != old:
            path.write_text(new, encoding="utf-8")


def find_cmake(venv: Path) -> str:
    """The system's cmake if it is new enough, else one from pip."""
    cmake = shutil.which("cmake")
    if cmake:
        words = subprocess.run([cmake, "--version"], capture_output=True, text=True, check=False).stdout
        found = re.search(r"version (\d+)\.(\d+)", words)
        if found and (int(found[1]), int(found[2])) >= (3, 19):
            return cmake
    if not (venv / "bin" / "cmake").exists():
        python = str(venv / "bin" / "python")
        run("cmake", [python, "-m", "pip", "install", "--disable-pip-version-check", "cmake>=3.19,<4"])
    return str(venv / "bin" / "cmake")


def site_packages(venv: Path) -> Path:
    """The environment's site-packages."""
    return next(venv.glob("lib/python3*/site-packages"))

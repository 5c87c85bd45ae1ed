"""The pip view of the package: a library and the `iseg3d` command. With ROS, colcon reads CMakeLists.txt instead."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).parent
LINUX = "sys_platform == 'linux' and platform_machine == 'x86_64'"
WHEELS = f"{LINUX} and python_version >= '3.11' and python_version < '3.13'"  # what ROS Jazzy's wheels are built for

# What runs the nodes, and what builds their messages (tools/ros_messages.py).
ROS = ["rclpy", "rmw-fastrtps-cpp", "common-interfaces", "rosidl-default-runtime"]
ROS_BUILD = ["rosidl-default-generators", "rosidl-core-generators", "python-cmake-module", "pybind11-vendor"]
ROS_BUILD += ["gtest-vendor", "ament-package", "ament-cmake"]
AMENT = "core export-definitions export-dependencies export-include-directories export-interfaces export-libraries "
AMENT += "export-link-flags export-targets gen-version-h gmock gtest include-directories libraries pytest python ros "
AMENT += "target-dependencies test vendor-package version"
ROS_BUILD += [f"ament-cmake-{part}" for part in AMENT.split()]

# numpy 2.5's types are written in Python 3.12's syntax: mypy, which checks for 3.10, does not read them.
EXTRAS = {
    # One of two builds: the CUDA 12.0 build ends at Python 3.11. Without a GPU: `pip install spconv`, the CPU build.
    "spconv": [
        f"spconv-cu120; {LINUX} and python_version < '3.12'",
        f"spconv-cu126; {LINUX} and python_version >= '3.12'",
    ],
    "open3d": [f"open3d-cpu>=0.18; {LINUX}", "open3d>=0.18; sys_platform != 'linux' or platform_machine != 'x86_64'"],
    "train": ["matplotlib"],
    "console": ["websockets>=13"],
    "ray": ["ray[default]>=2.9"],
    "bags": ["rosbags"],
    "scanners": ["laspy[lazrs]", "pye57"],
    "ros": [f"ros-jazzy-{name}; {WHEELS}" for name in ROS] + ["rosbags"],
    "ros-build": [f"ros-jazzy-{name}; {WHEELS}" for name in ROS_BUILD] + ["empy<4", "catkin_pkg", "lark"],
    "docs": ["mkdocs-material", "mkdocstrings[python]"],
    "dev": ["pytest", "pytest-timeout", "pytest-xdist", "ruff", "mypy", "types-PyYAML", "playwright"]
    + ["plyfile", "pandas", "colcon-common-extensions", "build", "setuptools", "wheel", "numpy<2.5"]
    + [f"spconv; {LINUX} and python_version <= '3.13'"],
}


class BuildWithShare(build_py):
    """Copies what lies beside the package into it: iseg3d_ros/io/package_files.py finds it there."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            for folder in ("weights", "config", "launch", "msg"):
                target = Path(self.build_lib, "iseg3d_ros", "share", folder)
                shutil.copytree(HERE / folder, target, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)


setup(
    name="iseg3d_ros",
    version=re.findall(r'__version__ = "(.+)"', (HERE / "iseg3d_ros" / "__init__.py").read_text())[0],
    description="Interactive 3D segmentation of point clouds: click, and get the object",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    packages=find_packages(include=["iseg3d_ros", "iseg3d_ros.*"]),
    package_dir={"": "."},  # said, not implied: an editable install is then a path, after which the messages' follows
    package_data={"": ["py.typed", "*.json", "*.yaml", "*.npz"], "iseg3d_ros.console": ["web/*"]},
    python_requires=">=3.10",
    install_requires=["torch>=2.4", "numpy>=1.23", "scipy>=1.10", "safetensors>=0.4", "pyyaml>=6", "pillow>=9"],
    extras_require=EXTRAS,
    entry_points={"console_scripts": ["iseg3d = iseg3d_ros.commands:main"]},
    cmdclass={"build_py": BuildWithShare},
    zip_safe=False,
)

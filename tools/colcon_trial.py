"""Builds, installs and tests the package with colcon in a workspace of its own, plainly and with symlinks.

The workspace lies outside the repository, as CMake refuses dependencies (the wheels in `.venv`) inside the sources.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from progress import Failed, environment, run

ROOT = Path(__file__).resolve().parent.parent
PARTS = "CMakeLists.txt package.xml setup.py pyproject.toml README.md LICENSE msg srv action iseg3d_ros launch "
PARTS += "config weights examples test tools"

# What a user of the installed workspace does, with nothing of the source tree on the path.
CHECK = """
import iseg3d_ros, pathlib
from iseg3d_ros.io import package_files as paths
from iseg3d_ros.msg import Click
from iseg3d_ros.srv import GetObject
assert iseg3d_ros.__version__, "rosidl's empty __init__.py has won"
assert "/install/" in iseg3d_ros.__file__, iseg3d_ros.__file__
assert (paths.share_dir() / "examples" / "click.py").is_file()
assert "/install/" in str(paths.share_dir()) and (paths.config_dir() / "segmenter.yaml").is_file(), paths.share_dir()
print("installed:", iseg3d_ros.__version__, Click(label=Click.POSITIVE).label)
"""


def main() -> int:
    """Both ways; 0 if everything worked."""
    try:
        for flags in ([], ["--symlink-install"]):
            with tempfile.TemporaryDirectory(prefix="iseg3d_colcon_") as folder:
                trial(Path(folder), flags)
    except (Failed, subprocess.CalledProcessError) as error:
        print(f"colcon: {error}", file=sys.stderr)
        return 1
    return 0


def trial(workspace: Path, flags: list[str]) -> None:
    """One build, its tests, and its use."""
    copy_sources(workspace / "src" / "iseg3d_ros")
    env, python = colcon_environment(), sys.executable
    colcon = [python, "-m", "colcon", "--log-base", "log"]
    definitions = [f"-DPython3_EXECUTABLE={python}", f"-DPYTHON_EXECUTABLE={python}", "-DBUILD_TESTING=ON"]
    title = " ".join(["colcon build", *flags])
    at = ["env", "-C", str(workspace)]
    env["CMAKE_BUILD_PARALLEL_LEVEL"] = str(os.cpu_count() or 1)
    run(
        title, [*at, *colcon, "build", *flags, "--event-handlers", "console_direct+", "--cmake-args", *definitions], env
    )
    check = 'source install/setup.bash && "$PYTHON" - <<< "$CHECK" && test -x install/iseg3d_ros/lib/iseg3d_ros/player'
    check += " && iseg3d --help > /dev/null"
    subprocess.run(["bash", "-c", check], cwd=workspace, env=env | {"CHECK": CHECK, "PYTHON": python}, check=True)
    run("colcon test", [*at, *colcon, "test", "--ctest-args", "-R", "package"], env)
    subprocess.run([*at, *colcon, "test-result", "--verbose"], env=env, check=True)


def copy_sources(target: Path) -> None:
    """What belongs to the package, without what was built."""
    target.mkdir(parents=True)
    for name in PARTS.split():
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target / name)


def colcon_environment() -> dict[str, str]:
    """As if the wheels' environment were a sourced ROS installation."""
    prefix = str(Path(sys.prefix))
    env = environment(AMENT_PREFIX_PATH=prefix, CMAKE_PREFIX_PATH=prefix, ROS_DISTRO="jazzy")
    env["PATH"] = f"{prefix}/bin:{os.environ['PATH']}"
    return env


if __name__ == "__main__":
    sys.exit(main())

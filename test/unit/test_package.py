"""The package as a whole: one version, one list of nodes, documented interfaces, and the layering of its imports."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

import iseg3d_ros
from iseg3d_ros.commands.run import NODES
from iseg3d_ros.io import package_files as paths

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "tools"))
import architecture  # noqa: E402

PACKAGE = Path(iseg3d_ros.__file__).parent
INTERFACES = [path for kind in ("msg", "srv", "action") for path in sorted(REPOSITORY.glob(f"{kind}/*.{kind}"))]
ROS_MODULES = re.compile(
    r"(rclpy|rosidl_\w+|tf2_ros|sensor_msgs_py|tf_transformations|launch|launch_ros|ament_index_python|iseg3d_ros\.(msg|srv|action)|\w+_(msgs|srvs|interfaces))(\.|$)"
)


def test_the_version_is_the_same_everywhere() -> None:
    manifest = ElementTree.parse(REPOSITORY / "package.xml").getroot()
    assert iseg3d_ros.__version__ == manifest.findtext("version")
    assert re.fullmatch(r"\d+\.\d+\.\d+", iseg3d_ros.__version__)


def test_the_maintainer_has_an_address() -> None:  # without one the messages do not build
    maintainer = ElementTree.parse(REPOSITORY / "package.xml").getroot().find("maintainer")
    assert maintainer is not None
    assert re.fullmatch(r"[\w.+-]+@[\w-]+(\.[\w-]+)+", maintainer.attrib["email"])


def test_cmake_and_pip_know_the_same_nodes() -> None:
    cmake = re.search(r"foreach\(node (.+?)\)", (REPOSITORY / "CMakeLists.txt").read_text())
    assert cmake is not None
    assert tuple(cmake[1].split()) == NODES


def test_colcon_installs_the_examples_and_the_command() -> None:
    cmake = (REPOSITORY / "CMakeLists.txt").read_text()
    folders = re.search(r"install\(DIRECTORY ([\w ]+) DESTINATION share/", cmake)
    assert folders is not None and "examples" in folders[1].split()
    assert "install(PROGRAMS ${command} DESTINATION bin)" in cmake and "/iseg3d)" in cmake


def test_the_manifest_names_what_python_and_the_launch_files_need() -> None:
    needed = {element.text for element in ElementTree.parse(REPOSITORY / "package.xml").getroot().iter("exec_depend")}
    assert {"tf2_ros_py", "rviz2", "launch_ros", "ament_index_python"} <= needed
    assert "tf2_ros" not in needed, "that one is C++ only"


@pytest.mark.parametrize("path", INTERFACES, ids=lambda path: path.name)
def test_every_field_of_an_interface_is_documented(path: Path) -> None:
    lines = [line for line in path.read_text().splitlines() if line and line != "---"]
    assert lines[0].startswith("# "), "the first line says what it is"
    for line in lines[1:]:
        assert re.fullmatch(r"\S+ \S+\s+# \S.*", line), f"field without a comment: {line}"


def test_the_package_depends_on_what_its_messages_use() -> None:
    used = {name for path in INTERFACES for name in re.findall(r"^(\w+)/", path.read_text(), re.MULTILINE)}
    declared = {element.text for element in ElementTree.parse(REPOSITORY / "package.xml").getroot().iter("depend")}
    assert used <= declared


def test_only_the_ros_folder_imports_ros() -> None:
    guilty = [
        f"{path.relative_to(PACKAGE)} imports {module}"
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.relative_to(PACKAGE).parts[0] not in ("ros", "msg", "srv", "action")
        for module in _imports(path)
        if ROS_MODULES.match(module) or (_is_library(path) and module.startswith("iseg3d_ros.ros."))
    ]
    assert not guilty


def test_imports_go_down_the_floors() -> None:
    """The layers of docs/architecture.md: a part imports what stands below it. So there is no circle."""
    assert not architecture.homeless(), "enter a new sub-package in FLOORS of tools/architecture.py"
    assert not architecture.upward()


def _is_library(path: Path) -> bool:  # programs may start what is in ros/
    return path.relative_to(PACKAGE).parts[0] not in ("commands", "benchmarks", "demo")


def _imports(path: Path) -> list[str]:
    modules = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            modules += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return modules


def test_what_is_imported_can_be_installed() -> None:
    """Every package from outside is one of setup.py's (its name there may differ from the one that is imported)."""
    known = (REPOSITORY / "setup.py").read_text().lower()
    names = {"yaml": "pyyaml", "PIL": "pillow", "triton": "torch"}  # triton comes with torch where there is CUDA
    roots = {module.split(".")[0] for path in PACKAGE.rglob("*.py") for module in _imports(path)}
    outside = {root for root in roots - {"iseg3d_ros"} - sys.stdlib_module_names if not ROS_MODULES.match(root)}
    assert {"torch", "numpy", "PIL"} <= outside
    assert not {root for root in outside if not re.search(rf'"{names.get(root, root)}\b', known)}


def test_importing_the_library_imports_nothing_optional() -> None:
    code = "import sys, iseg3d_ros, iseg3d_ros.commands; from iseg3d_ros import Click, Predictor; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"rclpy", "open3d", "spconv", "matplotlib", "viser", "ray", "trimesh", "iseg3d_ros.ros"} & set(loaded)


def test_weights_and_configuration_are_found() -> None:
    assert paths.weights_dir().is_dir()
    assert paths.config_dir().is_dir()
    assert (paths.share_dir() / "launch").is_dir()


def test_an_unknown_node_and_a_missing_ros_are_sentences(monkeypatch: pytest.MonkeyPatch) -> None:
    from iseg3d_ros.commands import run

    monkeypatch.setattr(run.importlib, "import_module", _without_rclpy)
    with pytest.raises(RuntimeError, match=r"need ROS 2.*make setup"):
        run.main_of("segmenter")


def _without_rclpy(name: str) -> None:
    raise ModuleNotFoundError("No module named 'rclpy'", name="rclpy")


def test_the_wheel_holds_what_the_package_needs(tmp_path: Path) -> None:
    """What `pip install .` would install, without building in the source tree."""
    pytest.importorskip("setuptools")
    source = tmp_path / "source"
    names = ["setup.py", "pyproject.toml", "README.md", "LICENSE", "iseg3d_ros", "weights", "config", "launch", "msg"]
    source.mkdir()
    for name in names:
        os.symlink(REPOSITORY / name, source / name)
    built = tmp_path / "built"
    command = [sys.executable, "setup.py", "-q", "build_py", "--build-lib", str(built)]
    subprocess.run(command, cwd=source, check=True, capture_output=True, timeout=120)
    assert (built / "iseg3d_ros" / "py.typed").is_file()
    for folder in ("weights", "config", "launch", "msg"):
        shipped = {path.name for path in (REPOSITORY / folder).iterdir() if path.name != "__pycache__"}
        assert {path.name for path in (built / "iseg3d_ros" / "share" / folder).iterdir()} == shipped


@pytest.mark.parametrize("path", sorted((REPOSITORY / "weights").glob("*.safetensors")), ids=lambda path: path.stem)
def test_shipped_weights_name_no_folder_of_the_machine_that_made_them(path: Path) -> None:
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    config = json.loads(json.loads(header["__metadata__"]["card"])["recipe"]["config"])
    folders = [config["out"], config["start"], *config["data"]["scenes"]]
    assert not any(Path(folder).is_absolute() for folder in folders), folders

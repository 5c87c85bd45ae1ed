"""What every test may use: bounded threads, a ROS domain of its own, node processes, and reasons to skip."""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import itertools
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# Before torch is imported anywhere: the tensors of tests are small, and several test runs may share a machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")

import pytest
import torch
from pretend_device import register

from iseg3d_ros.sparse.spconv_convolution import available

register()  # torch counts the devices when it first goes backward: it must be there by then

REPOSITORY = Path(__file__).resolve().parent.parent
REALSET = REPOSITORY.parent / "shared" / "realset"
# What the set-up cannot bring, or does not: a GPU and what only that needs, ROS packages without wheels, others'
# scenes and models, a browser where apt may not
BEYOND_REACH = (
    "no CUDA", "no spconv for CUDA", "triton is not", "launch_ros is not", "sensor_msgs_py is not",
    "the real scenes are not", "the furniture models are not", "no chromium is", "ray is not", "zsh is not",
    "fish is not",
)  # fmt: skip
DOMAINS = range(1, 102)  # what DDS' port numbers allow on Linux besides the ephemeral ports


def pytest_configure(config: pytest.Config) -> None:
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it, and so would nodes


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What tools/slow_tests.py has measured as slow is marked so: `-m "not slow"` leaves it out."""
    names = set((REPOSITORY / "test" / "slow_tests.txt").read_text(encoding="utf-8").split())
    for item in items:
        if item.nodeid.split("[")[0] in names:
            item.add_marker("slow")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Where everything can be installed, as on the machine of `.ci/run`, any other skip than these is a failure."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if not os.environ.get("ISEG3D_WHOLE") or reporter is None:
        return
    reasons = {report.longrepr[2] for report in reporter.stats.get("skipped", [])}
    if unexpected := sorted(reason for reason in reasons if not any(known in reason for known in BEYOND_REACH)):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        reporter.write_line(f"ISEG3D_WHOLE is set, but tests were skipped: {'; '.join(unexpected)}", red=True)


def missing_ros() -> str:
    """Why the ROS tests cannot run here, or an empty string."""
    if importlib.util.find_spec("rclpy") is None:
        return "rclpy is not installed"
    if importlib.util.find_spec("iseg3d_ros.msg") is None:
        return "the messages of iseg3d_ros are not built (make setup)"
    return ""


needs_ros = pytest.mark.skipif(bool(missing_ros()), reason=missing_ros())
needs_spconv = pytest.mark.skipif(not available("cpu"), reason="no spconv is installed that imports")
needs_realset = pytest.mark.skipif(not REALSET.is_dir(), reason="the real scenes are not beside the repository")


@pytest.fixture
def ros_domain() -> Iterator[int]:
    """A ROS domain that no other test on this machine has, set in the environment for this process and its children."""
    with domain() as number:
        yield number


@contextlib.contextmanager
def domain() -> Iterator[int]:
    """A ROS domain of one's own, set for the processes that are started; each time another one than the last."""
    before = {name: os.environ.get(name) for name in ("ROS_DOMAIN_ID", "ROS_AUTOMATIC_DISCOVERY_RANGE")}
    with contextlib.ExitStack() as stack:
        number = next((one for one in itertools.islice(_domains, len(DOMAINS)) if _locked(one, stack)), None)
        assert number is not None, f"all {len(DOMAINS)} ROS domains are taken by other tests on this machine"
        os.environ.update(ROS_DOMAIN_ID=str(number), ROS_AUTOMATIC_DISCOVERY_RANGE="LOCALHOST")
        try:
            yield number
        finally:
            for name, value in before.items():
                os.environ.pop(name, None)
                os.environ.update({name: value} if value is not None else {})


_domains = itertools.cycle(DOMAINS)


def _locked(number: int, stack: contextlib.ExitStack) -> bool:
    lock = open(Path(tempfile.gettempdir(), f"iseg3d_ros_domain_{number}.lock"), "a")  # noqa: SIM115
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # another test process has this one
        lock.close()
        return False
    stack.enter_context(lock)
    return True


@pytest.fixture(scope="module")
def two_workers() -> Iterator[None]:
    """Two workers of Ray on this machine, which find the tests' modules."""
    import ray

    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, runtime_env={"env_vars": {"PYTHONPATH": path}})
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def shared() -> Iterator[Any]:
    """One segmenter for all tests of a module; each test begins with it cleared."""
    from ros_operator import shared_segmenter

    with shared_segmenter() as one:
        yield one


@pytest.fixture
def robot(shared: Any) -> Any:
    """The operator with a cleared segmenter that has received the made scene."""
    from ros_operator import cleared

    return cleared(shared.robot)


class NodeProcess:
    """A process of ours, with its output in a file, that is ended with the test."""

    def __init__(self, command: list[str], log: Path) -> None:
        self.log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, cwd=log.parent)

    @property
    def output(self) -> str:
        """What it has printed so far."""
        return self.log.read_text(errors="replace")

    def wait_for(self, words: str, seconds: float = 30) -> str:
        """Wait until it has printed the words."""
        end = time.monotonic() + seconds
        while words not in self.output:
            if self.process.poll() is not None:
                raise AssertionError(f"ended with {self.process.returncode} before {words!r}:\n{self.output}")
            if time.monotonic() > end:
                raise AssertionError(f"no {words!r} within {seconds} s:\n{self.output}")
            time.sleep(0.05)
        return self.output

    def end(self, with_signal: int = signal.SIGINT, seconds: float = 10) -> int:
        """End it as Ctrl-C does; kill it if it does not obey. Its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(with_signal)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., NodeProcess]]:
    """Starts any program of ours: `start("run", "segmenter", "--ros-args", ...)` is `iseg3d run segmenter ...`."""
    processes: list[NodeProcess] = []

    def begin(*arguments: str) -> NodeProcess:
        code = "import sys; from iseg3d_ros.commands import main; sys.exit(main())"
        command = [sys.executable, "-c", code, *arguments]
        processes.append(NodeProcess(command, tmp_path / f"process_{len(processes)}.log"))
        return processes[-1]

    yield begin
    for process in reversed(processes):
        process.end()


@pytest.fixture
def run_node(start: Callable[..., NodeProcess], ros_domain: int) -> Callable[..., NodeProcess]:
    """Starts nodes in this test's domain: `run_node("player", "-p", "path:=scan.ply")`."""

    def begin(node: str, *ros_arguments: str) -> NodeProcess:
        return start("run", node, *(("--ros-args", *ros_arguments) if ros_arguments else ()))

    return begin


@pytest.fixture
def ros_node(ros_domain: int) -> Iterator[object]:
    """An rclpy node of the test itself, in its domain, with a context of its own."""
    import rclpy
    from rclpy.context import Context

    context = Context()
    rclpy.init(args=[], context=context, domain_id=ros_domain)
    node = rclpy.create_node("test", context=context)
    yield node
    node.destroy_node()
    context.shutdown()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless browser for the tests of a file."""
    from console_page import chromium

    with chromium() as one:
        yield one

"""The node `segmenter`: clouds and clicks in, labelled objects out. A lifecycle node; the work is done in work.py."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from lifecycle_msgs.msg import Transition
from rcl_interfaces.msg import SetParametersResult
from rclpy.callback_groups import CallbackGroup, MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

from iseg3d_ros import limits
from iseg3d_ros.geometry.transforms import ANEW
from iseg3d_ros.interaction.class_proposals import known_classes
from iseg3d_ros.interaction.scene_model import SceneModel
from iseg3d_ros.interaction.session import InteractiveSession
from iseg3d_ros.interaction.view import View
from iseg3d_ros.interaction.work_store import WorkStore
from iseg3d_ros.msg import Click, ClickResult
from iseg3d_ros.ros.bond import bond_with_manager
from iseg3d_ros.ros.click_request import CloudMessage
from iseg3d_ros.ros.cloud_preprocessing import CloudPreprocessor
from iseg3d_ros.ros.diagnostics import Health
from iseg3d_ros.ros.fleet import Metrics
from iseg3d_ros.ros.frames import frames_of
from iseg3d_ros.ros.inference_thread import Answer, Worker
from iseg3d_ros.ros.model_loading import load_model
from iseg3d_ros.ros.node_support import nanoseconds, run
from iseg3d_ros.ros.parameters import declare, read, refusal
from iseg3d_ros.ros.pointing import Pointing
from iseg3d_ros.ros.pose_stream import PoseStream
from iseg3d_ros.ros.publishers import Outputs
from iseg3d_ros.ros.segment_action import SegmentAction
from iseg3d_ros.ros.segmenter_parts import Parts, Running
from iseg3d_ros.ros.services import Services
from iseg3d_ros.ros.settings import SegmenterSettings
from iseg3d_ros.ros.stateless import StatelessSegmentation
from iseg3d_ros.ros.subscriptions import Inputs
from iseg3d_ros.ros.work import Work
from iseg3d_ros.sparse.freed_memory import give_back, trim
from iseg3d_ros.throttle import Throttle

CATCH_UP = 0.2  # seconds between two looks for topics that gained a subscriber after the last view
SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


class Segmenter(LifecycleNode):
    """Configure: load the weights, warm up, advertise. Activate: subscribe, begin. Deactivate keeps the work."""

    _group: CallbackGroup | None = None

    def __init__(self) -> None:
        super().__init__("segmenter")
        declare(self, SegmenterSettings)
        self.settings = read(self, SegmenterSettings)
        self.add_on_set_parameters_callback(self._changed)
        self._parts: Parts | None = None
        self._running: Running | None = None
        self._health = Health()
        self._log = Throttle(self.get_logger().warning)
        self._metrics = Metrics(self.get_fully_qualified_name(), self.notify_operator)
        self._newest_stamp = 0
        self._loading: Answer[InteractiveSession] | None = None
        self._service_change_state.callback_group = ReentrantCallbackGroup()  # it waits for the model

    @property
    def default_callback_group(self) -> CallbackGroup:
        """A new one each time that it is configured: rclpy's groups never forget what was made in them."""
        return self._group or super().default_callback_group

    # Lifecycle

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Loads and warms up the model, makes publishers and services."""
        try:
            self.settings = read(self, SegmenterSettings)
            self._health = Health()
            self._metrics.listen(self.settings.metrics_listen)
            session = self._loading.result() if self._loading else self._load(self.settings)
        except (ValueError, RuntimeError, OSError, ImportError) as error:
            self.get_logger().error(f"cannot configure: {error}")
            return FAILURE
        self._group = MutuallyExclusiveCallbackGroup()
        frames = frames_of(self)
        intake = CloudPreprocessor(lambda: self.settings, frames, self.notify_operator, self.get_clock())
        poses = PoseStream(lambda: self.settings, frames, self.notify_operator)
        outputs = Outputs(self, lambda: self.settings, poses, self._shown)
        outputs.tell_classes(known_classes(session.predictor))
        work = Work(session, lambda: self.settings, intake, outputs, self)
        stateless = StatelessSegmentation(SceneModel(session.predictor, self.notify_operator), intake)
        folder = self.settings.folder(self.get_fully_qualified_name())
        store = WorkStore(folder, work.stage, self.notify_operator, lambda: self.settings.autosave)
        services, action = Services(self, self._active), SegmentAction(self, self._active)
        self._parts = Parts(frames, outputs, intake, stateless, work, store, services, action)
        if self.settings.resume:
            found = store.resume(session)
            if found is not None:
                work.resume(found)
            else:
                self.notify_operator(f"there is no saved work in {folder}: beginning anew")
        elif self.settings.autosave:
            store.open()
        store.follow(session)
        return SUCCESS

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Begins to listen and to work."""
        assert self._parts is not None  # a lifecycle node is configured before it is activated
        parts, work = self._parts, self._parts.work
        worker: Worker[CloudMessage] = Worker(
            work.turn, self._wake, lambda: self.settings.scene != "frozen", self._arrived, trim
        )
        pointing = Pointing(work, parts.intake, lambda: self.settings, self)
        inputs = Inputs(self, lambda: self.settings, worker, work.click, pointing, self._refused)
        timers = [
            self.create_timer(CATCH_UP, self._catch_up),
            self.create_timer(self.settings.diagnostics_period, self._diagnose),
        ]
        if self.settings.pose_rate > 0:
            timers.append(self.create_timer(1.0 / self.settings.pose_rate, self._repeat_pose))
        bond = bond_with_manager(self, self.settings, self.get_logger().info)
        self._running = Running(
            work, worker, inputs, parts.store, parts.intake, parts.stateless, self.settings, timers, bond
        )
        worker.start()
        worker.call(work.refresh)
        self.get_logger().info(f"ready: clouds on {self.resolve_topic_name('~/points')}, mode {self.settings.scene}")
        return SUCCESS

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stops listening; the work stays in memory."""
        if self._running is not None:
            for timer in self._running.timers:
                self.destroy_timer(timer)
            if self._running.bond is not None:
                self._running.bond.close()
            self._running.inputs.close()
            self._running.worker.stop()
            self._running.store.rest(self._running.work.session, now=True)
            self._running = None
        return SUCCESS

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Frees the model and everything else; saved work can be resumed."""
        if self._parts is not None:
            self._parts.store.close(self._parts.work.session)
            self._parts.services.close()
            self._parts.action.close()
            self._parts.outputs.close()
            self._parts.frames.close()
            self._metrics.close()
            self._parts = self._group = None
        give_back()
        return SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """As deactivate and cleanup."""
        self.on_deactivate(state)
        return self.on_cleanup(state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Back to unconfigured, so that it can be tried again."""
        return self.on_shutdown(state)

    def _load(self, settings: SegmenterSettings) -> InteractiveSession:
        return load_model(settings, self.get_logger().info, self.notify_operator)

    async def _LifecycleNodeMixin__on_change_state(self, request: Any, response: Any) -> Any:  # noqa: N802
        """rclpy's own handler, which raises where a state has no such transition: that must not end the node.

        Before it configures, the model is loaded on a thread of its own: services and timers go on meanwhile.
        """
        if self._loading is not None:
            self.get_logger().warning(f"the transition {request.transition.id} is refused: the model is being loaded")
            response.success = False
            return response
        try:
            if request.transition.id == Transition.TRANSITION_CONFIGURE and self._parts is None:
                self._loading = Answer(partial(self._load, read(self, SegmenterSettings)), self._wake)
                threading.Thread(target=self._loading.run, name="loading", daemon=True).start()
                with contextlib.suppress(Exception):  # on_configure hears of it and says why
                    await self._loading
            return super()._LifecycleNodeMixin__on_change_state(request, response)  # type: ignore[misc]
        except (RuntimeError, ValueError) as error:
            self.get_logger().warning(f"the transition {request.transition.id} is refused: {error}")
            response.success = False
            return response
        finally:
            self._loading = None

    def destroy_node(self) -> None:
        """Ends threads and ports as well, and services of lifecycle and action, which rclpy leaves to callers."""
        self.on_deactivate(LifecycleState(0, ""))
        if self._parts is not None:
            self._parts.store.close(self._parts.work.session)
            self._parts.action.close()
        self._metrics.close()
        super().destroy_node()
        self._state_machine.destroy_when_not_in_use()

    def _active(self) -> Running:
        if self._running is None:
            raise RuntimeError("the segmenter is not active: configure and activate it (or start it with autostart)")
        return self._running

    # Clouds, timers and parameters; on the executor's thread

    def _arrived(self) -> None:
        """A cloud is there: one much older than the last begins another time, of which transforms are to be learned."""
        self._health.arrived()
        if self._running is None or self._parts is None or self._running.worker.newest is None:
            return
        stamp = nanoseconds(self._running.worker.newest.header.stamp)
        if 0 < stamp < self._newest_stamp - ANEW:
            self._parts.frames.begin_anew()
        self._newest_stamp = stamp

    def _catch_up(self) -> None:
        running, parts = self._running, self._parts
        if running is None or parts is None or running.work.view is None:
            return
        if parts.outputs.behind(running.work.view):
            running.worker.call(lambda: parts.outputs.publish(running.work.view) if running.work.view else None)

    def _repeat_pose(self) -> None:
        running, parts = self._running, self._parts
        if running is None or parts is None or running.work.view is None or self.settings.scene == "live":
            return
        parts.outputs.repeat_pose(running.work.view)

    def _diagnose(self) -> None:
        if self._running is not None and self._parts is not None:
            running = self._running
            level, sentence, values = self._health.report(
                running.worker, running.inputs, running.work.view, self, self.settings
            )
            values["journal"] = running.store.trouble or "well"
            self._parts.outputs.diagnostics(level, sentence, values)
            self._metrics.tell(self.settings.metrics_file, values, self._health.histogram)

    def _changed(self, changes: list[Any]) -> SetParametersResult:
        """Takes what may change at run time; the rest is refused in words while the node is configured."""
        reason = refusal(SegmenterSettings, changes, active=self._parts is not None)
        if not reason:
            known = {change.name: change.value for change in changes if hasattr(self.settings, change.name)}
            self.settings = replace(self.settings, **known)
            if self._running is not None:
                self._running.settings = self.settings
        return SetParametersResult(successful=not reason, reason=reason)

    # What the work tells; on the inference thread

    def _shown(self, total_ms: float, view: View) -> None:
        """A new view is out."""
        if self.executor is not None and self._parts is not None:
            self.executor.create_task(self._parts.outputs.withdraw_stale, view)
        for sentence in self._health.shown(total_ms, view):
            self.notify_operator(sentence)

    def updated(self) -> None:
        """Masks are up to date, and out: the state may be written."""
        if self._running is not None:
            self._running.store.rest(self._running.work.session)

    def click_result(self, result: ClickResult) -> None:
        """What became of a click: an accepted one is on the disk before anybody hears of it."""
        if self._parts is None:
            return
        outputs = self._parts.outputs

        def publish(sentence: str) -> None:
            if sentence:
                result.accepted, result.reason = False, sentence
            if self.context.ok():
                outputs.click_result(result)

        if result.accepted:
            self._parts.store.when_kept(publish)
        else:
            publish("")

    def _refused(self, click: Click, reason: str) -> None:
        """A click that nobody had time for."""
        self.click_result(ClickResult(click=click, accepted=False, reason=reason, distance=float("nan")))

    def notify_operator(self, sentence: str) -> None:
        """A sentence for the operator: feedback, log and diagnostics."""
        sentence = limits.one_line(sentence)
        self._log(sentence)
        self._health.told(sentence)
        if self._parts is not None:
            self._parts.outputs.notify_operator(sentence)

    def failed(self, error: Exception) -> None:
        """A cloud that could not be taken, or a model that failed on one: said, and the node goes on."""
        if not self.context.ok():
            return  # ROS was shut down while the model ran: nobody is left to be told
        self._health.failed(str(error))
        self.notify_operator(f"a cloud could not be segmented: {error}")

    def _wake(self) -> None:
        executor = self.executor
        if executor is not None:
            with contextlib.suppress(AttributeError):  # it is being shut down meanwhile, and has forgotten its guard
                executor.wake()


def main(args: Sequence[str] | None = None) -> int:
    """Runs the node."""
    return run(_started, args)


def _started() -> Segmenter:
    """The node, configured and active if autostart says so."""
    node = Segmenter()
    if node.settings.autostart and (node.trigger_configure() != SUCCESS or node.trigger_activate() != SUCCESS):
        raise RuntimeError("the segmenter could not start by itself: the reason is in its log")
    return node


if __name__ == "__main__":
    raise SystemExit(main())

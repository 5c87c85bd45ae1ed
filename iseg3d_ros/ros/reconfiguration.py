"""Another model, voxel size or mode for a running segmenter: through its lifecycle, with its work kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy import Future
from rclpy.node import Node
from rclpy.parameter import Parameter, parameter_value_to_python

from iseg3d_ros.console.protocol import Setup
from iseg3d_ros.console.updates import Message, Update

DOWN = {  # what leads from a state to unconfigured; a transition that a state does not have is not asked for
    State.PRIMARY_STATE_ACTIVE: (Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP),
    State.PRIMARY_STATE_INACTIVE: (Transition.TRANSITION_CLEANUP,),
}
LEADS_TO = {
    Transition.TRANSITION_CONFIGURE: State.PRIMARY_STATE_INACTIVE,
    Transition.TRANSITION_ACTIVATE: State.PRIMARY_STATE_ACTIVE,
    Transition.TRANSITION_DEACTIVATE: State.PRIMARY_STATE_INACTIVE,
    Transition.TRANSITION_CLEANUP: State.PRIMARY_STATE_UNCONFIGURED,
}
PRIMARY = set(LEADS_TO.values())
NAMES = ("model", "weights", "voxel_size", "scene", "resume")
PATIENCE = 3.0  # s until a question is put once more: DDS drops what is asked before both ends know one another
TRIES = 20  # configuring may take a minute


class Reconfigure:
    """Deactivate, clean up, set parameters, configure, activate; where that fails, back to what was before."""

    def __init__(
        self, node: Node, segmenter: str, clients: Mapping[str, Any], publish: Callable[[Update], None]
    ) -> None:
        self._node, self._clients, self._publish = node, clients, publish
        self._state = node.create_client(ChangeState, f"{segmenter}/change_state")
        self._asked = node.create_client(GetState, f"{segmenter}/get_state")

    @property
    def there(self) -> bool:
        """Whether the node runs, active or not."""
        return bool(self._state.service_is_ready())

    def close(self) -> None:
        """End what was made."""
        self._node.destroy_client(self._state)
        self._node.destroy_client(self._asked)

    async def run(self, wanted: Setup, working: bool) -> None:
        """Carry it out; `working`: there are objects, which are taken up again from the autosaved work."""
        if not self.there:
            self._publish(Message("There is no segmenter to set up: nothing was done.", refused=True))
            return
        answer = await self._answer(self._clients["get_parameters"], GetParameters.Request(names=list(NAMES)))
        if answer is None:
            self._publish(Message("The segmenter does not answer: nothing was done.", refused=True))
            return
        before = dict(zip(NAMES, map(parameter_value_to_python, answer.values), strict=True))
        after = {**before, "resume": working}
        if wanted != Setup(""):  # nothing chosen: a segmenter that is not active is brought up as it was started
            after["voxel_size"] = float(wanted.voxel_size)
        after |= {"scene": wanted.mode} if wanted.mode else {}
        after |= {"model": wanted.model, "weights": ""} if wanted.model else {}
        if await self._restart(after):
            self._publish(Message("The segmenter works with what was chosen."))
            return
        self._publish(
            Message(f"{wanted.model or 'That'} could not be used; the segmenter's log says why.", refused=True)
        )
        await self._restart({**before, "resume": working})

    async def _restart(self, values: dict[str, Any]) -> bool:
        found = await self._answer(self._asked, GetState.Request())
        for transition in DOWN.get(found.current_state.id, ()) if found else ():
            await self._change(transition)
        changes = [Parameter(name, value=value).to_parameter_msg() for name, value in values.items()]
        answer = await self._answer(self._clients["set_parameters"], SetParameters.Request(parameters=changes))
        if found is None or answer is None:
            return False
        refused = [result.reason for result in answer.results if not result.successful]
        if refused:
            self._publish(Message(refused[0], refused=True))
        return (
            await self._change(Transition.TRANSITION_CONFIGURE)
            and await self._change(Transition.TRANSITION_ACTIVATE)
            and not refused
        )

    async def _change(self, transition: int) -> bool:
        """Whether the node came to the state that a transition leads to; its answer may get lost, or the question."""
        request = ChangeState.Request(transition=Transition(id=transition))
        asked = [self._state.call_async(request)]
        for _ in range(TRIES):
            await self._done(asked[0])
            found = await self._answer(self._asked, GetState.Request())
            state = found.current_state.id if found else State.PRIMARY_STATE_UNKNOWN
            if state == LEADS_TO[transition] or any(future.done() and future.result().success for future in asked):
                return True
            if asked[0].done():
                return False
            if state in PRIMARY:  # not on its way: loading a model, which refuses this one, or it never heard
                asked.append(self._state.call_async(request))
        return False

    async def _answer(self, client: Any, request: Any) -> Any:
        """The answer to what may be asked twice, or None where the node gives none."""
        for _ in range(TRIES):
            future = client.call_async(request)
            if await self._done(future):
                return future.result()
            future.cancel()
        return None

    async def _done(self, future: Any) -> bool:
        """Whether there is an answer, waited for a while."""
        either: Any = Future()

        def over(*_: Any) -> None:
            if not either.done():
                either.set_result(None)

        timer = self._node.create_timer(PATIENCE, over)
        future.add_done_callback(over)
        await either
        self._node.destroy_timer(timer)
        return bool(future.done())

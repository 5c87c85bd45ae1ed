"""A node's parameters are the fields of one frozen dataclass: default, range and reason are written only there.

`declare` tells ROS about them, `read` gives them back typed, `as_yaml` writes the file under config/.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from dataclasses import Field, dataclass, field, fields
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from rcl_interfaces.msg import ParameterDescriptor
    from rclpy.node import Node
    from rclpy.parameter import Parameter

Settings = TypeVar("Settings")
Value = TypeVar("Value", bool, int, float, str)
LARGEST_INTEGER = 2**31 - 1
KINDS = {bool: "true or false", int: "a whole number", float: "a number with a point (5.0, not 5)", str: "a text"}


@dataclass(frozen=True)
class About:
    """What ROS is told of a parameter besides its default."""

    description: str
    low: float | None
    high: float | None
    choices: tuple[str, ...]
    live: bool


def parameter(
    default: Value,
    description: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    live: bool = False,
) -> Value:
    """A dataclass field that is a ROS parameter; `live` ones take effect while the node is active."""
    return field(default=default, metadata={"about": About(description, low, high, choices, live)})


def about(item: Field[Any]) -> About:
    """What `parameter` was told."""
    told: About = item.metadata["about"]
    return told


def declare(node: Node, settings: type[Any]) -> None:
    """Declares every field with its description and range; what the node was started with wins over the default."""
    from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException

    for item in fields(settings):
        if node.has_parameter(item.name):
            continue
        try:
            node.declare_parameter(item.name, item.default, _descriptor(item))
        except InvalidParameterTypeException:
            raise ValueError(
                f"the parameter {item.name} is of the wrong type: give it {KINDS[type(item.default)]}, "
                f"as its default {_yaml(item.default)} is"
            ) from None
        except InvalidParameterValueException:
            raise ValueError(f"the parameter {item.name} is out of its range: {_comment(item)}") from None


def read(node: Node, settings: type[Settings]) -> Settings:
    """The node's present values, checked."""
    values = {item.name: node.get_parameter(item.name).value for item in fields(settings)}  # type: ignore[arg-type]
    for problem in problems(settings, values):
        raise ValueError(problem)
    return settings(**values)


def problems(settings: type[Any], values: dict[str, Any]) -> Iterable[str]:
    """A sentence for every value that is none of its parameter's choices (ROS itself keeps types and ranges)."""
    for item in fields(settings):
        choices = about(item).choices
        if choices and item.name in values and values[item.name] not in choices:
            yield f"{item.name} is '{values[item.name]}': it must be one of {', '.join(choices)}"


def refusal(settings: type[Any], changes: Iterable[Parameter], active: bool) -> str:
    """Why these changes cannot be made now; empty if they can."""
    changes = list(changes)
    for problem in problems(settings, {change.name: change.value for change in changes}):
        return problem
    fixed = {item.name for item in fields(settings) if not about(item).live}
    for change in changes:
        if active and change.name in fixed:
            return f"{change.name} takes effect when the node is configured: deactivate and clean it up, then set it"
    return ""


def _descriptor(item: Field[Any]) -> ParameterDescriptor:
    from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor

    told = about(item)
    descriptor = ParameterDescriptor(description=told.description)
    if told.choices:
        descriptor.additional_constraints = f"one of {', '.join(told.choices)}"
    if isinstance(item.default, float) and told.low is not None:
        highest = told.high if told.high is not None else 1e9
        descriptor.floating_point_range = [FloatingPointRange(from_value=float(told.low), to_value=float(highest))]
    elif isinstance(item.default, int) and told.low is not None:
        highest = told.high if told.high is not None else LARGEST_INTEGER
        descriptor.integer_range = [IntegerRange(from_value=int(told.low), to_value=int(highest), step=1)]
    return descriptor


def as_yaml(settings: type[Any], node: str) -> str:
    """The parameter file of a node: every default with its description as a comment."""
    lines = [f"# Every parameter of {node} with its default, as `ros2 param describe` tells it.", f"/**/{node}:"]
    lines.append("  ros__parameters:")
    for item in fields(settings):
        lines += [f"    # {line}" for line in textwrap.wrap(_comment(item), 110)]
        lines.append(f"    {item.name}: {_yaml(item.default)}")
    return "\n".join(lines) + "\n"


def _comment(item: Field[Any]) -> str:
    told = about(item)
    words = [told.description]
    if told.choices:
        words.append(f"One of {', '.join(told.choices)}.")
    if told.low is not None:
        words.append(f"From {told.low:g}{f' to {told.high:g}' if told.high is not None else ''}.")
    if told.live:
        words.append("Can change at run time.")
    return " ".join(words)


def _yaml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    return repr(value)

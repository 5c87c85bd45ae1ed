"""`iseg3d completion bash|zsh|fish`: the script that completes commands, options and choices, made from the parsers.

bash: source <(iseg3d completion bash); zsh: source <(iseg3d completion zsh); fish: iseg3d completion fish | source
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import NamedTuple


class Option(NamedTuple):
    """One option: its spellings, its line of help, whether a value follows, and the values where they are few."""

    names: tuple[str, ...]
    help: str
    takes_value: bool
    choices: tuple[str, ...]


class Command(NamedTuple):
    """One sub-command; `words` are the choices of its positional arguments."""

    name: str
    help: str
    options: tuple[Option, ...]
    words: tuple[str, ...]


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the arguments."""
    parser = subparsers.add_parser("completion", help="print the completion script of a shell", description=__doc__)
    parser.add_argument("shell", choices=tuple(SHELLS), help="for which shell")
    parser.set_defaults(run=run, light=True)


def run(arguments: argparse.Namespace) -> int:
    """Print the script."""
    print(SHELLS[arguments.shell](described()), end="")
    return 0


def described() -> list[Command]:
    """All sub-commands, as their parsers declare them."""
    from iseg3d_ros.commands import installed, whole_parser

    summaries = dict(installed())
    return [_command(name, summaries[name], parser) for name, parser in whole_parser().items()]


def _command(name: str, summary: str, parser: argparse.ArgumentParser) -> Command:
    options: list[Option] = []
    words: list[str] = []
    for action in parser._actions:
        choices = tuple(str(choice) for choice in action.choices or ())
        if action.option_strings:
            line = " ".join((action.help or "").replace("%(default)s", str(action.default)).split())
            options.append(Option(tuple(action.option_strings), line, action.nargs != 0, choices))
        else:
            words += choices
    return Command(name, summary, tuple(options), tuple(words))


def bash(commands: list[Command]) -> str:
    """A function for `complete -F`; files where nothing else is known."""
    lines = [
        "_iseg3d() {",
        '    local word="${COMP_WORDS[COMP_CWORD]}" before="${COMP_WORDS[COMP_CWORD-1]}" command="${COMP_WORDS[1]}"',
        "    if ((COMP_CWORD == 1)); then",
        f'        COMPREPLY=($(compgen -W "{" ".join(c.name for c in commands)} --help" -- "$word")); return',
        "    fi",
        '    case "$command $before" in',
    ]
    for command in commands:
        for option in command.options:
            if option.choices:
                spelt = "|".join(f'"{command.name} {name}"' for name in option.names)
                words = " ".join(option.choices)
                lines.append(f'        {spelt}) COMPREPLY=($(compgen -W "{words}" -- "$word")); return;;')
    lines += ["    esac", '    case "$command" in']
    for command in commands:
        options = " ".join(name for option in command.options for name in option.names)
        words = " ".join(command.words)
        choice = f'local options="{options}" words="{words}"'
        lines.append(f"        {command.name}) {choice};;")
    lines += [
        "    esac",
        '    if [[ "$word" == -* ]]; then COMPREPLY=($(compgen -W "$options" -- "$word")); return; fi',
        '    COMPREPLY=($(compgen -W "$words" -- "$word"))',
        "}",
        "complete -o default -F _iseg3d iseg3d",
    ]
    return "\n".join(lines) + "\n"


def zsh(commands: list[Command]) -> str:
    """A function for compdef, with the lines of help."""
    lines = ["#compdef iseg3d", "_iseg3d() {", "    local -a commands=("]
    lines += [f"        {_quoted(f'{c.name}:{c.help}')}" for c in commands]
    lines += ["    )", "    if ((CURRENT == 2)); then _describe command commands; return; fi"]
    lines += ['    local command="${words[2]}"', "    shift words; ((CURRENT--))", '    case "$command" in']
    for command in commands:
        lines.append(f"        {command.name}) _arguments \\")
        lines += [f"            {_quoted(spec)} \\" for option in command.options for spec in _zsh_specs(option)]
        rest = f"({' '.join(command.words)})" if command.words else "_files"
        lines.append(f"            {_quoted(f'*:argument:{rest}')};;")
    return "\n".join([*lines, "    esac", "}", "compdef _iseg3d iseg3d"]) + "\n"


def _zsh_specs(option: Option) -> list[str]:
    line = option.help.replace("[", "(").replace("]", ")").replace(":", ".")
    value = f":value:({' '.join(option.choices)})" if option.choices else ":value:_files"
    return [f"*{name}[{line}]{value if option.takes_value else ''}" for name in option.names]


def fish(commands: list[Command]) -> str:
    """`complete` lines."""
    lines = [f"complete -c iseg3d -n __fish_use_subcommand -f -a {c.name} -d {_fish(c.help)}" for c in commands]
    for command in commands:
        seen = f"complete -c iseg3d -n '__fish_seen_subcommand_from {command.name}'"
        if command.words:
            lines.append(f"{seen} -f -a {_fish(' '.join(command.words))}")
        for option in command.options:
            names = " ".join(f"-l {n[2:]}" if n.startswith("--") else f"-s {n[1:]}" for n in option.names)
            value = f" -x -a {_fish(' '.join(option.choices))}" if option.choices else " -r" * option.takes_value
            lines.append(f"{seen} {names}{value} -d {_fish(option.help)}")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _fish(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


SHELLS: Mapping[str, Callable[[list[Command]], str]] = {"bash": bash, "zsh": zsh, "fish": fish}

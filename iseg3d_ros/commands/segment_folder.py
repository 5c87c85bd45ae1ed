"""`iseg3d segment FOLDER`: every cloud that a clicks file names; a run that was interrupted goes on where it was."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import warnings
from pathlib import Path
from typing import Any, NamedTuple

from iseg3d_ros.commands.click_arguments import CloudClicks, read_clicks
from iseg3d_ros.commands.progress import Progress

RECORD = "segment.jsonl"  # in the output folder: what was made from which clicks


class Job(NamedTuple):
    """One cloud; `digest` stands for all that its result depends on."""

    cloud: Path
    output: Path
    given: CloudClicks
    digest: str


def run(arguments: argparse.Namespace) -> int:
    """Check everything, then segment what is not done yet."""
    from iseg3d_ros.commands.segment import load, read, segment_cloud

    if arguments.clicks is None or arguments.output is None or arguments.picture is not None:
        raise ValueError("For a folder of clouds give --clicks FILE and -o FOLDER (--click and --picture are for one).")
    jobs = _jobs(arguments)
    record = Record(arguments.output)
    todo = [job for job in jobs if not record.is_done(job)]
    _check(todo, arguments)
    progress = Progress(quiet=arguments.json)
    warnings.showwarning = lambda message, *_, **__: progress.say(message)
    predictor = load(arguments) if todo else None
    for number, job in enumerate(todo, len(jobs) - len(todo) + 1):
        progress.show(f"{number}/{len(jobs)} {job.cloud.name}")
        try:
            cloud = read(job.cloud)
            record.begin(job)
            figures = segment_cloud(predictor, cloud, job.given, arguments, job.output, progress)
        except ValueError as error:
            where = f"{job.cloud.name} ({number} of {len(jobs)})"
            raise ValueError(f"{where}: {error} Mend it and run again: the run goes on here.") from error
        record.end(job)
        progress.clear()
        _report(job, figures, arguments)
    print(f"{arguments.output}: {len(jobs)} clouds, {len(todo)} of them new", file=sys.stderr)
    return 0


def _jobs(arguments: argparse.Namespace) -> list[Job]:
    from iseg3d_ros.cloud import READABLE
    from iseg3d_ros.io.exports import FORMATS

    rows, name = read_clicks(arguments.clicks), arguments.format or "ply"
    clouds = [arguments.cloud / cloud for cloud in rows]
    if "" in rows or not rows:
        raise ValueError(f'{arguments.clicks} does not say which cloud its clicks are for: {{"scan.ply": [...], ...}}.')
    if missing := [path for path in clouds if not path.is_file()]:
        raise FileNotFoundError(f"{arguments.clicks} speaks of {missing[0].name}, which is not in {arguments.cloud}.")
    if other := [path for path in clouds if path.suffix.lower() not in READABLE]:
        raise ValueError(f"{other[0]}: clouds of this kind cannot be read; the formats are {', '.join(READABLE)}.")
    stems = [Path(cloud).with_suffix("").as_posix().replace("/", "_") for cloud in rows]
    if twice := [stem for stem in stems if stems.count(stem) > 1]:
        raise ValueError(f"Two clouds are called {twice[0]}: their results would have one name. Rename one of them.")
    ending = "" if FORMATS[name].folder else f".{name}"
    outputs = [arguments.output / f"{stem}{ending}" for stem in stems]
    settings = [arguments.model, arguments.voxel_size, arguments.crop_radius, arguments.up, name]
    return [Job(cloud, output, given, _digest(cloud, given, settings))
            for cloud, output, given in zip(clouds, outputs, rows.values(), strict=True)]  # fmt: skip


def _digest(cloud: Path, given: CloudClicks, settings: list[Any]) -> str:
    state = cloud.stat()
    return hashlib.sha256(json.dumps([given, settings, state.st_size, state.st_mtime_ns]).encode()).hexdigest()


def _check(jobs: list[Job], arguments: argparse.Namespace) -> None:
    """The folder, and that no result of other clicks is in the way."""
    from iseg3d_ros.io.exports import check_export, check_needs

    check_needs(arguments.format or "ply")
    arguments.output.mkdir(parents=True, exist_ok=True)
    for job in jobs:
        check_export(job.output, arguments.format or "ply", arguments.overwrite)


def _report(job: Job, figures: dict[str, Any], arguments: argparse.Namespace) -> None:
    if arguments.json:
        print(json.dumps({"cloud": str(job.cloud), "output": str(job.output), **figures}), flush=True)
    else:
        objects = ", ".join(f"{figures['names'].get(label, label)} {n}" for label, n in figures["objects"].items())
        print(f"{job.output}: {objects}", flush=True)


class Record:
    """A line before a result is written and one after: after a crash it says which results are from which clicks."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / RECORD
        self._rows: dict[str, dict[str, Any]] = {}
        lines = self._path.read_text(encoding="utf-8").splitlines() if self._path.is_file() else []
        for line in lines:
            try:
                row = json.loads(line)
                self._rows[row["output"]] = row
            except (ValueError, KeyError, TypeError):
                continue  # the last line of a run that was killed

    def is_done(self, job: Job) -> bool:
        """Whether the result is there and is of these clicks."""
        row = self._rows.get(job.output.name, {})
        same = row.get("digest") == job.digest and job.output.exists()
        return same and (bool(row.get("done")) or not row.get("replaces", True))

    def begin(self, job: Job) -> None:
        """What will be written; where nothing is there yet, what is found later under the name is it."""
        self._add({"output": job.output.name, "digest": job.digest, "replaces": job.output.exists(), "done": False})

    def end(self, job: Job) -> None:
        """It is written."""
        self._add({"output": job.output.name, "digest": job.digest, "done": True})

    def _add(self, row: dict[str, Any]) -> None:
        self._rows[row["output"]] = row
        with self._path.open("ab") as stream:
            whole = stream.tell() == 0 or self._path.read_bytes().endswith(b"\n")
            stream.write(("" if whole else "\n").encode() + json.dumps(row).encode() + b"\n")
            stream.flush()
            os.fsync(stream.fileno())

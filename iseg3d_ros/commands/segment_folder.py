"""`iseg3d segment FOLDER`: every cloud that a clicks file names; a run that was interrupted goes on where it was."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import warnings
from collections.abc import Iterator
from functools import partial
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
    if arguments.clicks is None or arguments.output is None or arguments.picture is not None:
        raise ValueError("For a folder of clouds give --clicks FILE and -o FOLDER (--click and --picture are for one).")
    jobs = _jobs(arguments)
    record = Record(arguments.output)
    todo = [job for job in jobs if not record.is_done(job)]
    _check(todo, arguments)
    progress, done = Progress(quiet=arguments.json), len(jobs) - len(todo)
    for number, (job, figures) in enumerate(_segmented(todo, arguments, record, progress), done + 1):
        record.end(job)
        progress.clear()
        _report(job, figures, arguments)
        progress.show(f"{number}/{len(jobs)}")
    progress.clear()
    print(f"{arguments.output}: {len(jobs)} clouds, {len(todo)} of them new", file=sys.stderr)
    return 0


def _segmented(
    jobs: list[Job], arguments: argparse.Namespace, record: Record, progress: Progress
) -> Iterator[tuple[Job, dict[str, Any]]]:
    """Jobs with their figures as they are done, here or by a cluster's workers."""
    if arguments.ray:
        from iseg3d_ros.ray_items import over_ray

        for job in jobs:
            record.begin(job)
        yield from over_ray(partial(_on_worker, arguments), jobs, arguments.ray)
        return
    from iseg3d_ros.commands.segment import load

    warnings.showwarning = lambda message, *_, **__: progress.say(message)
    predictor = load(arguments) if jobs else None
    for job in jobs:
        record.begin(job)
        progress.show(job.cloud.name)
        yield job, _segment(predictor, job, arguments, progress)


def _segment(predictor: Any, job: Job, arguments: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    from iseg3d_ros.commands.segment import read, segment_cloud

    try:
        return segment_cloud(predictor, read(job.cloud), job.given, arguments, job.output, progress)
    except ValueError as error:
        raise ValueError(f"{job.cloud.name}: {error} Mend it and run again: the run goes on here.") from error


def _on_worker(arguments: argparse.Namespace, job: Job) -> dict[str, Any]:
    """One job on a worker, which keeps its model; a result that a killed worker left behind is replaced."""
    again = argparse.Namespace(**{**vars(arguments), "overwrite": True})
    key = (arguments.model, arguments.device, arguments.voxel_size, arguments.crop_radius)
    if key not in _LOADED:
        from iseg3d_ros.commands.segment import load

        _LOADED.clear()
        _LOADED[key] = load(arguments)
    return _segment(_LOADED[key], job, again, Progress(quiet=True))


_LOADED: dict[tuple[Any, ...], Any] = {}  # a worker's model


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

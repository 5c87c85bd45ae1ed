"""Many samples, many models: in parallel processes, resumable, deterministic."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import resource
import sys
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from iseg3d_ros.evaluation.metrics import Row
from iseg3d_ros.evaluation.protocol import Outcome, Task, choose_objects, evaluate
from iseg3d_ros.evaluation.user import RULES, tempered

PROTOCOLS = ("multi", "single")


@dataclass(frozen=True)
class EvaluationConfig:
    """What decides the figures besides the model and the data."""

    protocol: str = "multi"
    budget: int = 20
    rule: str = "agile3d"
    temperature: float | None = None  # ClickEnhance's Eq. 5 instead of the rule
    least_points: int = 50
    most_objects: int = 10
    voxel_size: float | None = None
    limit: int | None = None
    seed: int = 42
    device: str = "auto"


@dataclass(frozen=True)
class Job:
    """One sample for one model; `index` and `target` say which part of which data."""

    model: str
    path: str
    index: int
    target: int | None  # the instance, in single-object evaluation
    name: str


def plan(model: str, paths: Sequence[str], config: EvaluationConfig) -> list[Job]:
    """The jobs of one model over all data, in a fixed order."""
    from iseg3d_ros.data.open import open_data

    jobs = []
    for path in paths:
        samples = open_data(path)
        for index in range(min(len(samples), config.limit or len(samples))):
            jobs += _targets(model, path, index, samples[index], config)
    return jobs


def _targets(model: str, path: str, index: int, sample: Any, config: EvaluationConfig) -> list[Job]:
    if config.protocol == "multi":
        return [Job(model, path, index, None, sample.name)]
    truth, count = choose_objects(
        sample.cloud.instance, config.least_points, config.most_objects, sample.objects or None
    )
    ids = [int(sample.cloud.instance[truth == k][0]) for k in range(1, count + 1)]
    return [Job(model, path, index, target, f"{sample.name} #{target}") for target in ids]


def outcomes(jobs: Sequence[Job], config: EvaluationConfig, workers: int, kept: Path | None) -> Iterator[Outcome]:
    """Evaluate the jobs in `workers` processes, in order; rows that `kept` holds from an earlier run are not redone."""
    done = _read(kept) if kept else {}
    keys = {job: _key(job, config) for job in jobs}
    missing = [job for job in jobs if keys[job] not in done]
    context = multiprocessing.get_context("spawn")
    with context.Pool(min(workers, max(len(missing), 1)), _start_worker, (config,)) as pool:
        for job, values in zip(missing, pool.imap(_work, missing), strict=True):
            done[keys[job]] = values
            if kept:
                with open(kept, "a") as file:
                    file.write(json.dumps({"key": keys[job], **values}) + "\n")
            print(_line(job, values), file=sys.stderr, flush=True)
    for job in jobs:
        if "error" not in done[keys[job]]:
            yield _outcome(done[keys[job]])


_config = EvaluationConfig()
_predictors: dict[str, Any] = {}


def _start_worker(config: EvaluationConfig) -> None:
    """A worker process keeps its settings and the predictor it loaded."""
    import torch

    global _config
    _config = config
    torch.set_num_threads(1)


def _work(job: Job) -> dict[str, Any]:
    """One job's outcome as JSON holds it; a sample that cannot be evaluated is named and left out."""
    try:
        outcome = evaluate(_predictor(job.model), _task(job), _config.budget, _rule(job), _seed(job))
    except (ValueError, OSError, RuntimeError) as error:
        return {"error": f"{job.name}: {error}"}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {**asdict(outcome), "peak_mb": peak}


def _predictor(model: str) -> Any:
    from iseg3d_ros.predictor import Predictor

    if model not in _predictors:
        _predictors.clear()
        _predictors[model] = Predictor.load(model, device=_config.device, voxel_size=_config.voxel_size)
    return _predictors[model]


def _task(job: Job) -> Task:
    from iseg3d_ros.data.open import open_data

    sample = open_data(job.path)[job.index]
    objects = (job.target,) if job.target is not None else (sample.objects or None)
    truth, count = choose_objects(sample.cloud.instance, _config.least_points, _config.most_objects, objects)
    if count == 0:
        raise ValueError(f"has no object of at least {_config.least_points} points")
    return Task(job.name, sample.cloud.xyz, sample.cloud.rgb, truth, count)


def _rule(job: Job) -> Any:
    if _config.temperature is not None:
        return tempered(_config.temperature, _seed(job))
    return RULES[_config.rule](_seed(job))


def _seed(job: Job) -> int:
    return zlib.crc32(f"{_config.seed} {job.name}".encode())


def _key(job: Job, config: EvaluationConfig) -> str:
    """What a kept row belongs to: the sample, the settings, and the very weights."""
    weights = hashlib.sha256(_weights(job.model)).hexdigest()
    settings = json.dumps(asdict(config) | {"limit": None, "device": ""}, sort_keys=True)
    return hashlib.sha256(f"{job} {settings} {weights}".encode()).hexdigest()[:24]


def _weights(model: str) -> bytes:
    from iseg3d_ros.paths import weights_dir

    for path in (Path(model), weights_dir() / f"{model}.safetensors"):
        if path.is_file():
            return path.read_bytes()
    return b""


def _read(kept: Path) -> dict[str, dict[str, Any]]:
    """Rows of an earlier run; a last line that was cut off is left out."""
    rows = {}
    for line in kept.read_text().splitlines() if kept.exists() else ():
        try:
            values = json.loads(line)
        except json.JSONDecodeError:
            continue
        rows[values.pop("key")] = values
    return rows


def _outcome(values: dict[str, Any]) -> Outcome:
    rows = [Row(row["clicks"], tuple(row["ious"])) for row in values["rows"]]
    scores = [tuple(row) for row in values["scores"]]
    outcome = Outcome(values["name"], values["objects"], rows, scores, values["encode_seconds"])
    outcome.click_seconds, outcome.calibration = values["click_seconds"], values["calibration"]
    outcome.peak_mb = values["peak_mb"]
    return outcome


def _line(job: Job, values: dict[str, Any]) -> str:
    if "error" in values:
        return f"left out: {values['error']}"
    at = {row["clicks"]: sum(row["ious"]) / len(row["ious"]) for row in values["rows"]}
    shown = "  ".join(f"@{k} {100 * at[float(k)]:5.1f}" for k in (1, 3, 5, 10) if float(k) in at)
    return f"{job.model:14} {job.name:40} {values['objects']:3} objects  {shown}"

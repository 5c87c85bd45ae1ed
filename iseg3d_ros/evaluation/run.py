"""Many samples, many models: in parallel processes, resumable, deterministic whatever the number of processes."""

from __future__ import annotations

import json
import multiprocessing
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from iseg3d_ros.data.sample import Samples
from iseg3d_ros.evaluation import results_store
from iseg3d_ros.evaluation.config import EvaluationConfig, Part
from iseg3d_ros.evaluation.metrics import Row
from iseg3d_ros.evaluation.protocol import Outcome, choose_objects
from iseg3d_ros.ray_items import over_ray


def plan(paths: Sequence[str], config: EvaluationConfig) -> list[Part]:
    """All that is to be evaluated, in a fixed order; a sample that cannot be read is named and left out."""
    from iseg3d_ros.data.open import open_data

    parts: list[Part] = []
    for path in paths:
        samples = open_data(path, split=config.split)
        for index in range(min(len(samples), config.limit or len(samples))):
            try:
                parts += _parts(path, samples, index, config)
            except (ValueError, OSError) as error:
                _say(f"left out: {error}")
    if not parts:
        raise ValueError(f"There is nothing to evaluate in {', '.join(paths)}.")
    return parts


def _parts(path: str, samples: Samples, index: int, config: EvaluationConfig) -> list[Part]:
    name = samples.names[index]
    if config.protocol == "multi":
        return [Part(path, index, name)]
    sample = samples[index]
    instance = sample.cloud.instance
    truth, count = choose_objects(
        instance, config.least_points, config.most_objects, sample.objects or None, config.draw
    )
    ids = [int(instance[truth == k][0]) for k in range(1, count + 1) if (truth == k).any()]
    return [Part(path, index, name, number) for number in ids]


def outcomes(
    model: str,
    parts: Sequence[Part],
    config: EvaluationConfig,
    workers: int = 1,
    kept: Path | None = None,
    ray: str | None = None,
) -> list[Outcome]:
    """One model's outcomes in the order of the parts; rows that `kept` holds from an earlier run are not redone."""
    done, failed = results_store.ResultsStore(kept), 0
    keys = {part: _key(model, part, config) for part in parts}
    missing = [part for part in parts if keys[part] not in done.rows]
    if len(missing) < len(parts):
        _say(f"{model}: {len(parts) - len(missing)} of {len(parts)} were evaluated before")
    started = time.monotonic()
    for count, (part, values) in enumerate(_evaluated(model, missing, config, workers, ray), 1):
        if "error" in values:
            failed += 1
            _say(f"left out: {part.name}: {values['error']}")
            continue
        done.add(keys[part], values)
        left = (time.monotonic() - started) / count * (len(missing) - count)
        _say(_line(model, part, values, f"{count}/{len(missing)}", left))
    if failed:
        _say(f"{model}: {failed} of {len(parts)} were left out, as said above")
    return [_outcome(done.rows[keys[part]]) for part in parts if keys[part] in done.rows]


def _evaluated(
    model: str, parts: Sequence[Part], config: EvaluationConfig, workers: int, ray: str | None
) -> Iterator[tuple[Part, dict[str, Any]]]:
    """Parts with their rows as they are finished, by processes that each load the model once; 0: by this one."""
    from iseg3d_ros.evaluation.worker import evaluate_part, evaluated, initialise_process

    if parts and ray is not None:
        yield from over_ray(partial(_with_model, model, config), parts, ray)
        return
    if not parts or workers < 1:
        yield from ((part, evaluated(model, part, config)) for part in parts)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(parts)), context, initialise_process, (model, config)) as pool:
        futures = {pool.submit(evaluate_part, part): part for part in parts}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BrokenProcessPool as error:
            raise RuntimeError("A process that evaluated was killed, most likely for lack of memory; try --workers 1. "
                               "What was evaluated is kept where --json was given.") from error  # fmt: skip
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _with_model(model: str, config: EvaluationConfig, part: Part) -> dict[str, Any]:
    from iseg3d_ros.evaluation.worker import evaluated

    return evaluated(model, part, config)


def _key(model: str, part: Part, config: EvaluationConfig) -> str:
    settings = json.dumps(asdict(config) | {"limit": None, "device": ""}, sort_keys=True)
    hashes = results_store.hash_of_data(part.path), results_store.hash_of_weights(model), results_store.hash_of_code()
    return results_store.key(str(part), settings, *hashes)


def _outcome(values: dict[str, Any]) -> Outcome:
    rows = [Row(row["clicks"], tuple(row["ious"])) for row in values["rows"]]
    scores = [tuple(row) for row in values["scores"]]
    strata = tuple(map(tuple, values.get("strata", ())))
    lists = {name: tuple(values.get(name, ())) for name in ("classes", "recalls")}
    return Outcome(**values | lists | {"rows": rows, "scores": scores, "strata": strata})


def _line(model: str, part: Part, values: dict[str, Any], place: str, left: float) -> str:
    at = {row["clicks"]: sum(row["ious"]) / len(row["ious"]) for row in values["rows"]}
    shown = "  ".join(f"@{k} {100 * at[float(k)]:5.1f}" for k in (1, 3, 5, 10) if float(k) in at)
    rest = f"  {left / 60:.0f} min left" if left >= 60 else f"  {left:.0f} s left"
    line = f"{Path(model).stem:14} {place:>7}  {part.name:36} {values['objects']:3} objects  {shown}{rest}"
    return "\n".join([line, *(f"    {note}" for note in values["notes"])])


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)

"""Workers that torchrun has started anew find each other, not those that are gone."""

from __future__ import annotations

import os
import subprocess
import sys

import torch.distributed as dist

WORKER = """
import os
import torch
from iseg3d_ros.training import distributed
world = distributed.join()
one = torch.ones(1)
torch.distributed.all_reduce(one)
print(world.rank, int(one), flush=True)
os._exit(0)  # as a killed one: it leaves its address in torchrun's store
"""


def test_a_restart_does_not_call_workers_that_are_gone() -> None:
    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    shared = {
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(store.port), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2",
        "TORCHELASTIC_USE_AGENT_STORE": "True", "GLOO_SOCKET_IFNAME": "lo", "CUDA_VISIBLE_DEVICES": "",
    }  # fmt: skip
    for count in ("0", "1", "2"):
        ranks = [{**os.environ, **shared, "TORCHELASTIC_RESTART_COUNT": count, "RANK": rank} for rank in "01"]
        workers = [
            subprocess.Popen([sys.executable, "-c", WORKER], env=each, stdout=subprocess.PIPE, text=True)
            for each in ranks
        ]
        assert [worker.communicate()[0] for worker in workers] == ["0 2\n", "1 2\n"], f"restart {count}"

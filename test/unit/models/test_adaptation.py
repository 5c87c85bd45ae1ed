from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from model_scenes import SIZE, boxes_on_a_table, first_clicks

from iseg3d_ros.clicks import Prompts
from iseg3d_ros.models.adaptation import Adapted, adapting, correction_loss
from iseg3d_ros.models.base import VoxelCloud
from iseg3d_ros.models.build import build, settings_of

NAMES = ("interobject3d", "clickenhance", "agile3d")


def network_of(name: str) -> torch.nn.Module:
    torch.manual_seed(0)
    return build(settings_of(name, "tiny")).eval()


def corrected(label: torch.Tensor, count: int) -> Prompts:
    """The first clicks, and some on the background."""
    clicks = first_clicks(label, 4)
    return Prompts(clicks.voxel[: 3 + count], clicks.label[: 3 + count], 3)


def test_the_loss_of_corrections_directly() -> None:
    logits, first = torch.randn(6, 3), torch.tensor([0, 1, 2, 0, 1, 2])
    clicks = Prompts(torch.tensor([4, 1]), torch.tensor([0, 2]), 2)
    log = logits.log_softmax(1)
    at_clicks = -(log[4, 0] + log[1, 2]) / 2
    elsewhere = -sum(log[v, first[v]] for v in (0, 2, 3, 5)) / 4
    torch.testing.assert_close(correction_loss(logits, clicks, first, 0.1), at_clicks + 0.1 * elsewhere)


@pytest.mark.parametrize("name", NAMES)
def test_shipped_weights_stay_and_a_new_scene_starts_from_them(name: str) -> None:
    network = network_of(name)
    shipped = {key: value.clone() for key, value in network.state_dict().items()}
    cloud, label = boxes_on_a_table(network.settings)
    adapted = Adapted(network, learning_rate=1e-2, steps=2)
    with torch.inference_mode():
        before = adapted.decode(adapted.encode([cloud]), [corrected(label, 0)])[0].logits
        scene = adapted.encode([cloud])
        adapted.decode(scene, [corrected(label, 0)])
        learned = adapted.decode(scene, [corrected(label, 2)])[0].logits
        plain = network.decode(network.encode([cloud]), [corrected(label, 2)])[0].logits
        assert not torch.allclose(learned, plain, atol=1e-3)
        again = adapted.decode(adapted.encode([cloud]), [corrected(label, 0)])[0].logits
    assert torch.equal(before, again)
    assert all(torch.equal(value, shipped[key]) for key, value in network.state_dict().items())
    assert all(p.grad is None for p in network.parameters())


def test_first_clicks_alone_change_nothing() -> None:
    network = network_of("interobject3d")
    cloud, label = boxes_on_a_table(network.settings)
    adapted, clicks = Adapted(network, learning_rate=1e-2), corrected(label, 0)
    with torch.no_grad():
        expected = network.decode(network.encode([cloud]), [clicks])[0].logits
    assert torch.equal(adapted.decode(adapted.encode([cloud]), [clicks])[0].logits, expected)


def test_undo_forgets_and_asking_again_learns_nothing_more() -> None:
    network = network_of("interobject3d")
    cloud, label = boxes_on_a_table(network.settings)
    adapted = Adapted(network, learning_rate=1e-2, steps=2)
    scene = adapted.encode([cloud])
    first = adapted.decode(scene, [corrected(label, 0)])[0].logits
    one = adapted.decode(scene, [corrected(label, 1)])[0].logits
    assert torch.equal(adapted.decode(scene, [corrected(label, 1)])[0].logits, one)
    assert not torch.equal(adapted.decode(scene, [corrected(label, 2)])[0].logits, one)
    assert torch.equal(adapted.decode(scene, [corrected(label, 0)])[0].logits, first)  # two clicks undone
    assert torch.equal(adapted.decode(scene, [corrected(label, 1)])[0].logits, one)


def disc(seed: int, exposure: float = 0.0) -> tuple[VoxelCloud, torch.Tensor]:
    """A plane with a brighter disc, which nothing but its colour tells from the rest."""
    generator = torch.Generator().manual_seed(seed)
    coords = torch.nn.functional.pad(torch.cartesian_prod(torch.arange(16), torch.arange(16)), (0, 1)).int()
    middle = torch.randint(5, 11, (2,), generator=generator)
    label = ((coords[:, :2] - middle).square().sum(1) <= 16).long()
    shade = 0.8 * label - 0.4 + exposure + 0.1 * torch.randn(len(label), generator=generator)
    return VoxelCloud(coords, (coords + 0.5) * SIZE, shade[:, None].repeat(1, 3), SIZE), label


def clicks_on_mistakes(decode: torch.nn.Module, cloud: VoxelCloud, label: torch.Tensor) -> Iterator[float]:
    """IoU after each of five clicks, each in the middle of what is wrong."""
    scene, mask, voxels = decode.encode([cloud]), torch.zeros_like(label), []
    for _ in range(5):
        wrong = torch.nonzero(mask != label)[:, 0]
        if len(wrong):
            middle = cloud.points[wrong].mean(0)
            voxels.append(wrong[(cloud.points[wrong] - middle).norm(dim=1).argmin()])
        clicked = torch.stack(voxels)
        with torch.no_grad():
            mask = decode.decode(scene, [Prompts(clicked, label[clicked], 1)])[0].logits.argmax(1)
        yield float((mask & label).sum() / (mask | label).sum())


def test_corrections_teach_another_domain() -> None:
    """Trained on well exposed clouds, used on dark ones, where the fixed network sees no object whatever is clicked."""
    torch.manual_seed(0)
    network = build(settings_of("interobject3d", "tiny", features=("rgb",), cubes=(1.0,), momentum=0.3))
    optimiser = torch.optim.AdamW(network.parameters(), lr=3e-3)
    for step in range(40):
        cloud, label = disc(step)
        inside, outside = torch.nonzero(label)[:, 0], torch.nonzero(label == 0)[:, 0]
        voxel = torch.stack([inside[torch.randint(len(inside), ())], outside[torch.randint(len(outside), ())]])
        clicks = Prompts(voxel[: 1 + step % 2], torch.tensor([1, 0])[: 1 + step % 2], 1)
        optimiser.zero_grad()
        network.loss(network.encode([cloud]), [clicks], [label])["total"].backward()
        optimiser.step()
    network.eval()
    fixed, adapted = network, Adapted(network, learning_rate=1e-3, steps=5)
    assert min(clicks_on_mistakes(fixed, *disc(100))) > 0.9
    dark = [disc(seed, -0.6) for seed in (100, 101)]
    learned, stuck = ([list(clicks_on_mistakes(n, *scene))[-1] for scene in dark] for n in (adapted, fixed))
    assert sum(learned) / 2 > sum(stuck) / 2 + 0.15


def drift(adapted: Adapted, network: torch.nn.Module) -> float:
    pairs = list(zip(network.parameters(), adapted.network.parameters(), strict=True))
    far = torch.stack([(own - shipped).norm() for own, shipped in pairs]).norm()
    return float(far / torch.stack([shipped.norm() for _, shipped in pairs]).norm())


def test_the_weights_drift_to_the_bound_and_no_farther() -> None:
    network = network_of("interobject3d")
    cloud, label = boxes_on_a_table(network.settings)
    for bound in (0.01, 0.03):
        adapted = adapting(network, learning_rate=0.1, steps=3, bound=bound)
        scene = adapted.encode([cloud])
        adapted.decode(scene, [corrected(label, 2)])
        assert scene.memory.network is not None
        assert drift(adapted, scene.memory.network) == pytest.approx(bound, rel=1e-3)
    adapted.reset(scene)
    assert scene.memory.network is None
    with pytest.raises(ValueError, match="no weights that could adapt"):
        adapting(object())

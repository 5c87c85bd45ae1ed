"""Each equation of NPISeg3D's latents against a small direct computation, and what the paper compares them with."""

from __future__ import annotations

import pytest
import torch
from model_scenes import boxes_on_a_table, first_clicks

from iseg3d_ros.clicks import Prompts
from iseg3d_ros.models.build import build, settings_of
from iseg3d_ros.models.layers.latents import Gaussian, Latents


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def test_divergence_against_torch() -> None:
    a, b = (Gaussian(torch.randn(3, 4), torch.rand(3, 4) + 0.1) for _ in range(2))
    normal = [torch.distributions.Normal(g.mean, g.deviation) for g in (a, b)]
    torch.testing.assert_close(a.divergence(b), torch.distributions.kl_divergence(*normal).sum())


@pytest.mark.parametrize("form", ["paper", "code"])
def test_object_latents_eq_7(form: str) -> None:
    latents = Latents(settings_of("npiseg3d", "tiny", latent=form, scene_share=0.3))
    prototypes, label, z = torch.randn(4, 32), torch.tensor([0, 1, 1, 2]), torch.randn(32)
    clicks = prototypes[1:3]
    if form == "paper":
        context = 0.3 * z + 0.7 * clicks.sum(0)
    else:
        context = 0.3 * z * clicks.mean(0) + 0.7 * clicks.mean(0)
    expected = latents.object(context)
    found = latents.of_objects(z, prototypes, label, 3)
    torch.testing.assert_close(found.mean[1], expected.mean)
    torch.testing.assert_close(found.deviation[1], expected.deviation)


def test_modulation_eq_8() -> None:
    latents = Latents(settings_of("npiseg3d", "tiny"))
    prototypes, label, z = torch.randn(4, 32), torch.tensor([0, 1, 1, 2]), torch.randn(5, 3, 32)
    modulated = latents.modulate(prototypes, label, z)
    for sample in range(5):
        for i in range(4):
            gamma, beta = latents.film(z[sample, label[i]]).chunk(2)
            torch.testing.assert_close(modulated[sample, i], gamma * prototypes[i] + beta, atol=1e-5, rtol=1e-5)


def test_scene_latent_does_not_care_for_the_objects_order() -> None:
    latents = Latents(settings_of("npiseg3d", "tiny"))
    prototypes, label = torch.randn(6, 32), torch.tensor([0, 1, 1, 2, 3, 3])
    swapped = torch.tensor([0, 3, 3, 2, 1, 1])
    a, b = latents.of_scene(prototypes, label, 4), latents.of_scene(prototypes, swapped, 4)
    torch.testing.assert_close(a.mean, b.mean, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("cosine", [False, True])
def test_masks_and_variance_over_samples_eqs_11_13_14(cosine: bool) -> None:
    network = build(settings_of("npiseg3d", "tiny", cosine=cosine, relation=False, samples=6)).eval()
    torch.nn.init.normal_(network.latents.film[-1].weight, std=0.3)  # as if trained: samples differ
    cloud, label = boxes_on_a_table(network.settings)
    clicks = first_clicks(label, 1)
    with torch.inference_mode():
        process = network.process(network.encode([cloud]).clouds[0], clicks, None)
        modulated = network.latents.modulate(process.prototypes, process.label, torch.randn(6, 4, 32))
        x = process.scene
        if cosine:
            unit = torch.nn.functional.normalize
            each = 10 * torch.einsum("skc,vc->skv", unit(modulated, dim=-1), unit(x, dim=-1))
        else:
            each = torch.einsum("skc,vc->skv", modulated, x)
        means, variances = each.mean(0), each.var(0, unbiased=False)
        scores = torch.stack([means[process.label == m].amax(0) for m in range(4)])
        worst = torch.stack([variances[process.label == m].amax(0) for m in range(4)]).amax(0)
        torch.testing.assert_close(network.mean_scores(process, modulated), scores, atol=1e-3, rtol=1e-3)
        torch.testing.assert_close(network.variance(process, modulated), worst, atol=1e-3, rtol=1e-3)


def test_the_evidence_lower_bound_grows_with_progress_only_by_its_divergence() -> None:
    network = build(settings_of("npiseg3d", "tiny"))
    cloud, label = boxes_on_a_table(network.settings)
    clicks, losses = first_clicks(label), []
    for progress in (0.0, 1.0):
        network.progress = progress
        encoded = network.eval().encode([cloud])
        torch.manual_seed(3)
        losses.append(network.loss(encoded, [clicks], [label]))
    grown = losses[1]["total"] - losses[0]["total"]
    expected = 0.9 * network.settings.kl_weight * losses[0]["divergence"]
    torch.testing.assert_close(grown.detach(), expected, atol=1e-4, rtol=1e-2)


def test_what_tables_4_to_6_compare_the_modulator_with() -> None:
    prototypes, label, z = torch.randn(4, 32), torch.tensor([0, 1, 1, 2]), torch.randn(5, 3, 32)

    def modulated(**changes: object) -> tuple[Latents, torch.Tensor]:
        latents = Latents(settings_of("npiseg3d", "tiny", **changes))
        found = latents.modulate(prototypes, label, z, torch.Generator().manual_seed(3))
        assert found.shape == (5, 4, 32)
        return latents, found

    _, found = modulated(modulation="sum")
    torch.testing.assert_close(found[2, 3], prototypes[3] + z[2, 2])
    latents, found = modulated(modulation="add")
    torch.testing.assert_close(found[2, 3], prototypes[3] + latents.blend(z[2, 2]))
    latents, found = modulated(modulation="concat")
    torch.testing.assert_close(found[2, 3], prototypes[3] + latents.blend(torch.cat([prototypes[3], z[2, 2]])))
    latents, found = modulated(modulation="deterministic")
    gamma, beta = latents.film(prototypes[1:3].mean(0)).chunk(2)
    torch.testing.assert_close(found[4, 1], gamma * prototypes[1] + beta, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found[0], found[4])
    _, found = modulated(modulation="dropout", dropout=0.25)
    kept = found != 0
    assert 0.6 < kept.float().mean() < 0.9
    torch.testing.assert_close(found[kept], (prototypes / 0.75).expand_as(found)[kept])
    assert torch.equal(found, modulated(modulation="dropout", dropout=0.25)[1])


def test_without_object_latents_all_objects_share_the_scenes() -> None:
    latents = Latents(settings_of("npiseg3d", "tiny", object_latent=False))
    z = torch.randn(32)
    found = latents.of_objects(z, torch.randn(4, 32), torch.tensor([0, 1, 1, 2]), 3)
    torch.testing.assert_close(found.mean, latents.object(z).mean.expand(3, -1))


@pytest.mark.parametrize("way", ["concat", "add", "sum", "deterministic", "dropout"])
def test_every_modulation_learns(way: str) -> None:
    network = build(settings_of("npiseg3d", "tiny", modulation=way, relation=False))
    cloud, label = boxes_on_a_table(network.settings)
    clicks = Prompts(torch.stack([(label == k).nonzero()[0, 0] for k in (1, 2)]), torch.tensor([1, 2]), 3)
    losses = network.loss(network.encode([cloud]), [clicks], [label])
    losses["total"].backward()
    assert torch.isfinite(losses["total"])
    for name in ("film", "blend"):
        if hasattr(network.latents, name):
            assert getattr(network.latents, name)[-1].weight.grad.any()

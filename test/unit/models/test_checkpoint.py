"""Weights on disk: what goes in comes out, pruned networks too, and hostile files are refused early."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
import torch
from model_scenes import boxes_on_a_table, first_clicks
from torch import nn

from iseg3d_ros.models import checkpoint
from iseg3d_ros.models.build import NETWORKS, build, settings_from_json, settings_of
from iseg3d_ros.predictor import weights_file


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "e2i3d.safetensors"
    network = build(settings_of("e2i3d", "tiny"))
    checkpoint.save(path, network, voxel={"size": 0.01}, recipe={"steps": 3, "seeds": [1, 2]}, metrics={"iou@1": 0.5})
    return path


def rewritten(stored: Path, target: Path, change: object) -> Path:
    """The same file with its header changed by a function."""
    raw = stored.read_bytes()
    length = struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8 : 8 + length])
    card = json.loads(header["__metadata__"]["card"])
    change(header, card)  # type: ignore[operator]
    header.setdefault("__metadata__", {})["card"] = json.dumps(card)
    text = json.dumps(header).encode()
    target.write_bytes(struct.pack("<Q", len(text)) + text + raw[8 + length :])
    return target


def test_a_network_comes_back(stored: Path) -> None:
    torch.manual_seed(0)
    network = build(settings_of("e2i3d", "tiny")).eval()
    loaded = checkpoint.load(stored)
    assert not loaded.training
    assert loaded.settings == network.settings
    assert loaded.card["recipe"] == {"steps": 3, "seeds": [1, 2]}
    assert loaded.card["voxel"] == {"size": 0.01}
    for (name, a), b in zip(network.state_dict().items(), loaded.state_dict().values(), strict=True):
        assert b.dtype == a.dtype, name
        torch.testing.assert_close(b, a, atol=2e-3, rtol=1e-3)
        if name.endswith("frequencies"):
            assert torch.equal(a, b)  # the Fourier matrix is stored as it was drawn


def test_half_precision_on_disk(stored: Path) -> None:
    count = sum(p.numel() for p in build(settings_of("e2i3d", "tiny")).parameters())
    assert stored.stat().st_size < 2.6 * count
    assert not list(stored.parent.glob("*.part"))


def narrow(network: nn.Module) -> nn.Module:
    """What pruning does by hand: half of one block's inner channels, one attention head, half of an FFN."""
    block = network.backbone.encoder[2][0]
    keep = block.conv1.weight.shape[2] // 2
    block.conv1.weight = nn.Parameter(block.conv1.weight[:, :, :keep].clone())
    block.conv2.weight = nn.Parameter(block.conv2.weight[:, :keep].clone())
    for name in ("weight", "bias", "running_mean", "running_var"):
        tensor = getattr(block.norm1, name)
        kept = tensor.detach()[:keep].clone()
        setattr(block.norm1, name, nn.Parameter(kept) if isinstance(tensor, nn.Parameter) else kept)
    attention = network.attention[0].layers[0].scene_to_click
    inner = attention.query.out_features // attention.heads
    for linear in (attention.query, attention.key, attention.value):
        linear.weight = nn.Parameter(linear.weight[:inner].clone())
        linear.bias = nn.Parameter(linear.bias[:inner].clone())
        linear.out_features = inner
    attention.out.weight = nn.Parameter(attention.out.weight[:, :inner].clone())
    attention.out.in_features, attention.heads = inner, 1
    return network


def test_a_pruned_network_comes_back_without_the_pruning_code(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = narrow(build(settings_of("e2i3d", "tiny"))).eval()
    checkpoint.save(tmp_path / "narrow.safetensors", network)
    loaded = checkpoint.load(tmp_path / "narrow.safetensors")
    assert loaded.attention[0].layers[0].scene_to_click.heads == 1
    cloud, label = boxes_on_a_table(network.settings)
    clicks = first_clicks(label)
    with torch.inference_mode():
        a, b = (n.decode(n.encode([cloud]), [clicks])[0].logits for n in (network, loaded))
    torch.testing.assert_close(a, b, atol=0.05, rtol=0.05)


def test_missing_and_surplus_tensors_are_named(stored: Path) -> None:
    network = build(settings_of("agile3d", "tiny"))
    shapes = {name: tuple(t.shape) for name, t in network.state_dict().items()}
    with pytest.raises(ValueError, match="lacks head.norm.bias"):
        checkpoint.fit_shapes(network, {n: s for n, s in shapes.items() if n != "head.norm.bias"})
    with pytest.raises(ValueError, match="besides what the network knows, surplus"):
        checkpoint.fit_shapes(network, shapes | {"surplus": (3,)})
    with pytest.raises(ValueError, match=r"head.norm.bias has shape \(99,\)"):
        checkpoint.fit_shapes(network, shapes | {"head.norm.bias": (99,)})
    with pytest.raises(ValueError, match="parts of head.norm have different widths"):
        checkpoint.fit_shapes(network, shapes | {"head.norm.bias": (3,)})


@pytest.mark.parametrize(
    "raw", [b"", b"12345678", b"\xff" * 8, struct.pack("<Q", 1 << 40) + b"{}", struct.pack("<Q", 4) + b"nope"]
)
def test_no_weights_file(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "bad.safetensors"
    path.write_bytes(raw)
    with pytest.raises(ValueError, match="is no weights file"):
        checkpoint.load(path)


def test_a_truncated_file(stored: Path, tmp_path: Path) -> None:
    path = tmp_path / "short.safetensors"
    path.write_bytes(stored.read_bytes()[:-100])
    with pytest.raises(ValueError, match="truncated"):
        checkpoint.load(path)


def huge_tensor(header: dict, card: dict) -> None:
    name = next(n for n in header if n != "__metadata__")
    header[name]["shape"] = [1 << 40, 1 << 20]


def overlap(header: dict, card: dict) -> None:
    names = [n for n in header if n != "__metadata__" and header[n]["shape"] == [12]]
    header[names[0]]["data_offsets"] = header[names[1]]["data_offsets"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (huge_tensor, "impossible|does not fit"),
        (overlap, "overlap"),
        (lambda h, c: c["settings"].update(width=1 << 30), "width is"),
        (lambda h, c: c["settings"].update(blocks=[10**6] * 8), "blocks is"),
        (lambda h, c: c["settings"].update(ffn=-1), "ffn is"),
        (lambda h, c: c["settings"].update(ffn="3"), "must be of type int"),
        (lambda h, c: c["settings"].update(network="other"), "no network 'other'"),
        (lambda h, c: c["settings"].update(code="import os"), "no setting 'code'"),
        (lambda h, c: c.pop("settings"), "no card"),
        (lambda h, c: c.update(format=99), "format 99"),
        (lambda h, c: c.update(heads=[1]), "attention heads"),
        (lambda h, c: c["heads"].update({"attention.0.layers.0.click_to_scene": 7}), "cannot have 7 heads"),
        (lambda h, c: c["settings"].update(stem=960, planes=[80 * p for p in c["settings"]["planes"]]), None),
    ],
)
def test_hostile_headers(stored: Path, tmp_path: Path, change: object, words: str | None) -> None:
    path = rewritten(stored, tmp_path / "hostile.safetensors", change)
    if words is None:  # wide settings over narrow weights are a heavily pruned network; they cost no memory
        checkpoint.load(path)
        return
    with pytest.raises(ValueError, match=words):
        checkpoint.load(path)


def test_widths_that_do_not_fit_together(tmp_path: Path) -> None:
    network = narrow(build(settings_of("agile3d", "tiny")))
    block = network.backbone.encoder[2][0]
    block.conv2.weight = nn.Parameter(block.conv2.weight[:, :-1].clone())
    checkpoint.save(tmp_path / "x.safetensors", network)
    with pytest.raises(ValueError, match="do not fit together"):
        checkpoint.load(tmp_path / "x.safetensors")


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network(name: str, tmp_path: Path) -> None:
    network = build(settings_of(name, "tiny"))
    checkpoint.save(tmp_path / "x.safetensors", network)
    loaded = checkpoint.load(tmp_path / "x.safetensors")
    assert type(loaded) is type(network)
    assert checkpoint.read_card(tmp_path / "x.safetensors")["network"] == name


def test_diverged_weights_are_not_saved(tmp_path: Path) -> None:
    network = build(settings_of("agile3d", "tiny"))
    with torch.no_grad():
        network.head.mlp[0].weight[0, 0] = 1e6
    with pytest.raises(ValueError, match="diverged"):
        checkpoint.save(tmp_path / "x.safetensors", network)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", NETWORKS)
def test_shipped_files_of_the_first_format_name_their_own_settings_alone(name: str) -> None:
    card = checkpoint.read_card(weights_file(name))
    settings = settings_from_json(card["settings"])
    assert set(settings.to_json()) >= set(card["settings"]), "nothing of another network is left"
    assert checkpoint.load(weights_file(name)).settings == settings


def test_an_unknown_option_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ValueError, match="agile3d has no setting 'layer'; the nearest is 'layers'"):
        settings_of("agile3d", "tiny", layer=2)
    with pytest.raises(ValueError, match="no setting 'scale_layers'"):
        settings_of("agile3d", "tiny", scale_layers=(1, 2))

import copy

import pytest
import torch

from picochat.core.errors import PicochatError
from picochat.model.config import ModelConfig
from picochat.model.init import init_weights
from picochat.model.transformer import Transformer
from picochat.training.config import OptimConfig
from picochat.training.ema import Ema
from picochat.training.optim import OptimizerSet, is_block_matrix, orthogonalise

CONFIGS = [
    OptimConfig(lr=1e-2),
    OptimConfig(optimizer="muon", lr=1e-2),
    OptimConfig(optimizer="muon", lr=1e-2, muon_weight_decay=0.1),
]


def build_model() -> Transformer:
    model = Transformer(ModelConfig(vocab_size=24, dim=16, n_layers=2, n_heads=2, n_kv_heads=1, max_seq_len=8))
    init_weights(model, torch.Generator().manual_seed(0))
    return model


def set_gradients(model: torch.nn.Module, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator)


def train(model, optimizer, seeds) -> None:
    for seed in seeds:
        set_gradients(model, seed)
        optimizer.clip(1.0)
        optimizer.step(1.0 / (seed + 1))
        optimizer.zero_grad()


@pytest.mark.parametrize("shape", [(3, 32, 96), (3, 96, 32), (1, 40, 120)])
def test_orthogonalised_matrices_have_singular_values_near_one_and_keep_their_directions(shape):
    update = torch.randn(shape, generator=torch.Generator().manual_seed(1)) * 37.0
    found = orthogonalise(update)
    assert found.shape == update.shape and found.dtype == torch.float32
    values = torch.linalg.svdvals(found)
    assert values.min() > 0.6 and values.max() < 1.3
    u, _, vh = torch.linalg.svd(update, full_matrices=False)
    cosine = torch.nn.functional.cosine_similarity(found.flatten(1), (u @ vh).flatten(1))
    assert cosine.min() > 0.95


def test_a_stack_is_orthogonalised_matrix_by_matrix():
    update = torch.randn((4, 16, 24), generator=torch.Generator().manual_seed(2))
    apart = torch.cat([orthogonalise(matrix[None]) for matrix in update])
    torch.testing.assert_close(orthogonalise(update), apart)
    assert not orthogonalise(torch.zeros(1, 4, 4)).any()


def test_only_the_matrices_of_blocks_decay():
    model = build_model()
    optimizer = OptimizerSet(model, OptimConfig(lr=0.5, weight_decay=0.1))
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    optimizer.step(1.0)
    for name, p in model.named_parameters():
        factor = 1 - 0.5 * 0.1 if name.startswith("blocks.") and p.ndim == 2 else 1.0
        torch.testing.assert_close(p.detach(), before[name] * factor)
    assert any(is_block_matrix(name, p) for name, p in before.items())
    assert not is_block_matrix("embedding.weight", torch.zeros(2, 2))
    assert not is_block_matrix("blocks.0.norm.weight", torch.zeros(2))


def test_muon_has_the_matrices_of_blocks_and_adamw_all_others():
    model = build_model()
    optimizer = OptimizerSet(model, CONFIGS[1])
    train(model, optimizer, [1])
    owned = {
        part: {key.split("/")[1] for key in optimizer.state_tensors() if key.startswith(part)}
        for part in optimizer.parts
    }
    names = {name: is_block_matrix(name, p) for name, p in model.named_parameters()}
    assert owned["muon"] == {name for name, matrix in names.items() if matrix}
    assert owned["adamw"] == {name for name, matrix in names.items() if not matrix}


def test_a_muon_step_has_the_length_of_its_rate():
    model = build_model()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer = OptimizerSet(model, OptimConfig(optimizer="muon", lr=1e-3, muon_lr=0.02))
    set_gradients(model, 3)
    optimizer.step(0.5)
    for name, p in model.named_parameters():
        if is_block_matrix(name, p):
            rows, columns = p.shape
            largest = torch.linalg.matrix_norm(p.detach() - before[name], ord=2)
            expected = 0.5 * 0.02 * max(1.0, rows / columns) ** 0.5
            assert 0.6 * expected < largest < 1.3 * expected


@pytest.mark.parametrize("config", CONFIGS)
def test_a_restored_optimizer_goes_on_to_the_bit(config):
    model = build_model()
    optimizer = OptimizerSet(model, config)
    train(model, optimizer, range(3))
    twin = copy.deepcopy(model)
    restored = OptimizerSet(twin, config)
    restored.load_state_tensors({name: t.clone() for name, t in optimizer.state_tensors().items()})
    train(model, optimizer, range(3, 6))
    train(twin, restored, range(3, 6))
    for (name, p), q in zip(model.named_parameters(), twin.parameters(), strict=True):
        assert torch.equal(p, q), name
    saved, again = optimizer.state_tensors(), restored.state_tensors()
    assert saved.keys() == again.keys()
    assert all(torch.equal(saved[name], again[name]) for name in saved)


def test_without_its_state_an_optimizer_goes_elsewhere():
    model = build_model()
    optimizer = OptimizerSet(model, CONFIGS[0])
    train(model, optimizer, range(3))
    twin = copy.deepcopy(model)
    train(model, optimizer, [3])
    train(twin, OptimizerSet(twin, CONFIGS[0]), [3])
    assert not torch.equal(model.head_weight, twin.head_weight)


def test_a_restored_state_shares_no_memory():
    model = build_model()
    optimizer = OptimizerSet(model, CONFIGS[1])
    train(model, optimizer, [0])
    tensors = optimizer.state_tensors()
    restored = OptimizerSet(build_model(), CONFIGS[1])
    restored.load_state_tensors(tensors)
    for name, tensor in restored.state_tensors().items():
        assert tensor.data_ptr() != tensors[name].data_ptr()


def test_a_state_that_is_not_whole_or_misshapen_is_refused_by_name():
    model = build_model()
    optimizer = OptimizerSet(model, CONFIGS[1])
    train(model, optimizer, [0])
    whole = optimizer.state_tensors()
    for name in whole:
        for wrong in ({key: t for key, t in whole.items() if key != name}, whole | {name: whole[name].reshape(1, -1)}):
            with pytest.raises(PicochatError) as caught:
                OptimizerSet(build_model(), CONFIGS[1]).load_state_tensors(wrong)
            assert caught.value.code == "checkpoint.state" and name in caught.value.detail
    OptimizerSet(build_model(), CONFIGS[1]).load_state_tensors({})


def test_the_state_of_another_optimizer_is_refused_by_name():
    model = build_model()
    adamw = OptimizerSet(model, CONFIGS[0])
    train(model, adamw, [0])
    with pytest.raises(PicochatError) as caught:
        OptimizerSet(model, CONFIGS[1]).load_state_tensors(adamw.state_tensors())
    assert caught.value.code == "config.conflict"
    assert "adamw/blocks." in caught.value.detail


def test_the_rate_is_the_peak_times_the_factor():
    model = build_model()
    optimizer = OptimizerSet(model, OptimConfig(optimizer="muon", lr=0.4, muon_lr=0.2))
    set_gradients(model, 0)
    optimizer.step(0.25)
    assert {group["lr"] for group in optimizer.parts["adamw"].param_groups} == {0.1}
    assert {group["lr"] for group in optimizer.parts["muon"].param_groups} == {0.05}


def test_clipping_scales_all_gradients_alike_and_tells_the_norm_before():
    model = build_model()
    optimizer = OptimizerSet(model, CONFIGS[0])
    set_gradients(model, 0)
    before = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    norm = optimizer.clip(1.0)
    assert float(norm) == pytest.approx(float(torch.cat([g.flatten() for g in before]).norm()))
    for p, g in zip(model.parameters(), before, strict=True):
        torch.testing.assert_close(p.grad, g / norm)
    assert float(optimizer.clip(1e9)) == pytest.approx(1.0, rel=1e-4)
    optimizer.zero_grad()
    assert all(p.grad is None for p in model.parameters())


def test_the_average_follows_the_weights_and_lends_them_out():
    model = torch.nn.Linear(1, 1, bias=False)
    model.weight.data.fill_(1.0)
    ema = Ema(model, 0.75)
    model.weight.data.fill_(2.0)
    ema.update()
    assert ema.averages["weight"].item() == 1.25
    with ema.applied():
        assert model.weight.item() == 1.25
    assert model.weight.item() == 2.0
    with pytest.raises(RuntimeError), ema.applied():
        raise RuntimeError
    assert model.weight.item() == 2.0


def test_an_average_is_restored_to_the_bit():
    model = build_model()
    ema = Ema(model, 0.9)
    set_gradients(model, 0)
    OptimizerSet(model, CONFIGS[0]).step(1.0)
    ema.update()
    again = Ema(model, 0.9)
    again.load_state_dict({name: t.clone() for name, t in ema.state_dict().items()}, ema.updates)
    for twin in (ema, again):
        twin.update()
    assert again.updates == 2
    assert all(torch.equal(ema.averages[name], again.averages[name]) for name in ema.averages)
    with pytest.raises(KeyError):
        again.load_state_dict({}, 1)

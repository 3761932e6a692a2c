"""The step: any number of workers computes what one process with all micro-batches in order computes."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from vision import freezing, optimisers
from vision.classification.learning import Objective
from vision.order import share
from vision.schedules import Schedule
from vision.training import Batch, Micro, Recipe, Step

OBJECTIVE = Objective(3, ("a", "b", "c"))


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def small(drop: float = 0.0) -> nn.Module:
    torch.manual_seed(1)
    layers = nn.Sequential(
        nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8, momentum=0.3), nn.ReLU(),
        nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Dropout(drop), nn.Linear(8, 3),
    )  # fmt: skip
    return layers.to(memory_format=torch.channels_last)


def recipe(**changed: object) -> Recipe:
    words = {"schedule": Schedule("cosine", 0.1, 50, 5), "decay": 1e-2, "seed": 3}
    return Recipe(**{**words, **changed})  # type: ignore[arg-type]


def batches(count: int, rows: int = 22, micro: int = 5) -> list[tuple[Batch, list[Micro]]]:
    """Global batches of 22 rows in micro-batches of 5, the last of them short."""
    drawn = torch.Generator().manual_seed(0)
    found = []
    for step in range(count):
        inputs, targets = torch.randn(rows, 3, 8, 8, generator=drawn), torch.randint(0, 3, (rows,), generator=drawn)
        cut = [Micro(i, inputs[s : s + micro], targets[s : s + micro]) for i, s in enumerate(range(0, rows, micro))]
        found.append((Batch(step, rows, len(cut)), cut))
    return found


class Sum:
    """An all-reduce between threads, in the order of the workers."""

    def __init__(self, workers: int) -> None:
        self._parts: list[torch.Tensor] = [torch.empty(0)] * workers
        self._barrier = threading.Barrier(workers)

    def of(self, worker: int) -> Callable[[torch.Tensor], None]:
        def add_up(vector: torch.Tensor) -> None:
            self._parts[worker] = vector.clone()
            self._barrier.wait()
            vector.copy_(torch.stack(self._parts).sum(0))
            self._barrier.wait()

        return add_up


def trained(workers: int, count: int, **changed: object) -> tuple[nn.Module, list[torch.Tensor]]:
    """A net after `count` steps on so many workers (threads), and what each step said."""
    together, nets, said = Sum(workers), [small() for _ in range(workers)], [[] for _ in range(workers)]

    def work(worker: int) -> None:
        step = Step(nets[worker], OBJECTIVE, recipe(**changed), add_up=together.of(worker) if workers > 1 else None)
        for batch, micros in batches(count):
            mine = share(batch.micros, worker, workers)
            part = Batch(batch.step, batch.rows, batch.micros, batch.micros - mine.stop, len(mine))
            said[worker].append(step(part, micros[mine.start : mine.stop]))

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for net in nets[1:]:
        for name, tensor in net.state_dict().items():
            assert torch.equal(tensor, nets[0].state_dict()[name]), f"workers disagree about {name}"
    return nets[0], said[0]


@pytest.mark.parametrize("workers", [2, 3, 4, 7])
def test_any_number_of_workers_computes_the_same_steps(workers: int) -> None:
    one, said = trained(1, 20)
    many, also = trained(workers, 20)
    assert torch.allclose(torch.stack(said), torch.stack(also), atol=1e-4)
    for name, tensor in one.state_dict().items():
        assert torch.allclose(tensor, many.state_dict()[name], atol=1e-4), name


def test_one_and_two_workers_learn_the_same_bits() -> None:
    nets = []
    for workers in (1, 2):
        together, pair = Sum(workers), [small() for _ in range(workers)]

        def work(worker: int, workers: int = workers, together: Sum = together, pair: list[nn.Module] = pair) -> None:
            step = Step(pair[worker], OBJECTIVE, recipe(), add_up=together.of(worker) if workers > 1 else None)
            for batch, micros in batches(10, rows=30, micro=10):
                mine = share(3, worker, workers)
                step(Batch(batch.step, 30, 3, 3 - mine.stop, len(mine)), micros[mine.start : mine.stop])

        threads = [threading.Thread(target=work, args=(worker,)) for worker in range(workers)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        nets.append(pair[0])
    for one, two in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
        assert torch.equal(one, two)


def test_a_step_is_that_of_plain_torch() -> None:
    """The gradient of the mean over all rows, norms by micro-batch: written out with nothing of ours."""
    plain, ours = small(), small()
    optimizer = torch.optim.SGD(
        [{"params": [p], "weight_decay": 1e-2 if p.ndim > 1 else 0.0} for p in plain.parameters()], lr=0.1, momentum=0.9
    )
    step = Step(ours, OBJECTIVE, recipe(clip=1.0))
    for batch, micros in batches(8):
        optimizer.zero_grad()
        losses = [nn.functional.cross_entropy(plain(m.inputs), m.targets) * len(m.targets) for m in micros]
        (sum(losses) / batch.rows).backward()
        norm = nn.utils.clip_grad_norm_(plain.parameters(), 1.0)
        for group in optimizer.param_groups:
            group["lr"] = recipe().schedule.rate(batch.step)
        optimizer.step()
        said = step(batch, micros)
        assert said[0].item() == pytest.approx(sum(loss.item() for loss in losses) / batch.rows, abs=1e-5)
        assert said[2].item() == pytest.approx(norm.item(), rel=1e-4)
    for one, other in zip(plain.state_dict().values(), ours.state_dict().values(), strict=True):
        assert torch.allclose(one.float(), other.float(), atol=1e-5)


def test_gradients_stay_views_of_one_vector() -> None:
    net = small()
    step = Step(net, OBJECTIVE, recipe())
    places = [p.grad.data_ptr() for p in net.parameters() if p.grad is not None]
    for batch, micros in batches(2):
        step(batch, micros)
    assert places == [p.grad.data_ptr() for p in net.parameters() if p.grad is not None]
    assert len({p.grad.untyped_storage().data_ptr() for p in net.parameters() if p.grad is not None}) == 1


def test_dropout_is_the_same_wherever_a_micro_batch_is_computed() -> None:
    (batch, micros), *_ = batches(1)
    said = []
    for order in (micros, micros[::-1]):
        torch.manual_seed(len(said))
        net = small(drop=0.5)
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.training = False
        said.append(Step(net, OBJECTIVE, recipe(), frozen=("1", "4"))(batch, order)[0].item())
    assert said[0] == pytest.approx(said[1], abs=1e-6)
    assert said[0] != pytest.approx(Step(small(), OBJECTIVE, recipe(), frozen=("1", "4"))(batch, micros)[0].item())


def test_frozen_layers_do_not_change_and_are_counted() -> None:
    net = small()
    before = copy.deepcopy(net.state_dict())
    frozen = freezing.freeze(net, "4")
    assert freezing.counts(net) == (27, sum(p.numel() for p in net.parameters()))
    step = Step(net, OBJECTIVE, recipe(average=0.9), frozen=frozen)
    for batch, micros in batches(3):
        step(batch, micros)
    changed = {name for name, tensor in net.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {"9.weight", "9.bias"}
    head = small()
    freezing.freeze(head, "all-but-head")
    assert freezing.counts(head)[0] == 27
    with pytest.raises(ValueError, match="no layer 'conv9'"):
        freezing.freeze(small(), "conv9")
    with pytest.raises(ValueError, match="leaves nothing to train"):
        freezing.freeze(small(), "9")


@pytest.mark.parametrize("name", optimisers.NAMES)
def test_an_optimiser_restored_goes_on_to_the_last_bit(name: str) -> None:
    whole, first = small(), small()
    step = Step(whole, OBJECTIVE, recipe(optimizer=name, average=0.9))
    half = Step(first, OBJECTIVE, recipe(optimizer=name, average=0.9))
    for number, (batch, micros) in enumerate(batches(6)):
        step(batch, micros)
        if number < 3:
            half(batch, micros)
    second = small()
    second.load_state_dict(first.state_dict())
    rest = Step(second, OBJECTIVE, recipe(optimizer=name, average=0.9))
    optimisers.restore(rest.optimizer, optimisers.packed(half.optimizer))
    assert rest.average and half.average and step.average
    rest.average.load(half.average.state)
    for batch, micros in batches(6)[3:]:
        rest(batch, micros)
    for key, tensor in whole.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[key])
        assert torch.equal(step.average.state[key], rest.average.state[key])


def test_rows_without_a_label_cost_nothing_and_smoothing_is_torchs() -> None:
    logits, targets = torch.randn(6, 3), torch.tensor([0, 1, 2, -1, 1, -1])
    loss, right = Objective(3, ("a", "b", "c"), 0.1).loss(logits, targets)
    kept = targets >= 0
    wanted = nn.functional.cross_entropy(logits[kept], targets[kept], reduction="sum", label_smoothing=0.1)
    assert loss.item() == pytest.approx(wanted.item())
    assert right.item() == (logits.argmax(1)[kept] == targets[kept]).sum()
    both, _ = OBJECTIVE.loss((logits, logits), targets)
    assert both.item() == pytest.approx(1.3 * OBJECTIVE.loss(logits, targets)[0].item())


def test_a_census_names_classes_that_are_missing() -> None:
    assert OBJECTIVE.census(np.array([0, 0, 2, -1])).tolist() == [2, 0, 1, 1]
    with pytest.raises(ValueError, match="b: no record"):
        OBJECTIVE.check(OBJECTIVE.census(np.array([0, 2])))
    with pytest.raises(ValueError, match=r"shape \(1, 4\) where the corpus has 3"):
        OBJECTIVE.check_outputs(torch.zeros(1, 4))


def test_schedules() -> None:
    cosine = Schedule("cosine", 0.1, 110, 10)
    assert [round(cosine.rate(s), 6) for s in (0, 4, 9, 10, 60)] == [0.01, 0.05, 0.1, 0.1, 0.05]
    assert cosine.rate(109) < 1e-4
    step = Schedule("step", 0.1, 64_000)
    assert [step.rate(s) for s in (0, 31_999, 32_000, 48_000)] == pytest.approx([0.1, 0.1, 0.01, 0.001])
    assert step.drops_at() == [32_000, 48_000]
    with pytest.raises(ValueError, match="warmup must be at most the 5 steps"):
        Schedule("cosine", 0.1, 5, 6)

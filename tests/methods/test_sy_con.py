"""Sy-CON: what it keeps from task to task, and what it contrasts with what."""

import copy

import numpy as np
import pytest
import torch
from composing import build, moved, student, teacher, views_of
from tiny_encoders import images
from torch.nn.functional import cross_entropy, normalize

import tacit
from tacit.methods.contrastive.sy_con import SyCON
from tacit.objectives.contrastive import NTXent
from tacit.objectives.queue_contrastive import QueueContrast


def sampled(count=12, seed=50):
    """What begin() is given: all samples with one view each."""

    def samples():
        for rows in torch.arange(count).split(5):
            views = images(count, seed)["views"]
            yield {"index": rows, "views": [{"x": views[0]["x"][rows]}]}

    return samples


@pytest.mark.parametrize("form", ["moco", "simclr"])
def test_sy_con_keeps_the_model_that_it_starts_from(form):
    method = moved(build("sy-con", form=form, norm="batch", queue=8, out=4))
    method.begin(sampled())
    assert int(method.task) == 0
    method(views_of(method))
    method.after_step(0.5)
    later = build("sy-con", form=form, norm="batch", queue=8, out=4)
    later.load_state_dict(method.state_dict())
    later.eval().begin(sampled())
    later.train()
    assert int(later.task) == 1
    assert later.queue.filled.all()
    for kept, now in ((later.earlier_encoder, later.encoder), (later.earlier_projector, later.projector)):
        assert not kept.training
        for name, value in kept.state_dict().items():
            assert torch.equal(value, now.state_dict()[name])
    before = copy.deepcopy(later.earlier_projector.state_dict())
    terms = later(views_of(later))
    terms["loss"].backward()
    assert set(terms) == {"loss", "plasticity", "stability"}
    assert all(p.grad is None for p in (*later.earlier_encoder.parameters(), *later.earlier_projector.parameters()))
    reached = {n.partition(".")[0] for n, p in later.named_parameters() if p.grad is not None and bool(p.grad.any())}
    assert reached == {"encoder", "projector", "predictor"}
    for name, value in later.earlier_projector.state_dict().items():
        assert torch.equal(value, before[name])


def test_sy_con_contrasts_with_both_models():
    method = moved(build("sy-con", norm="layer", queue=8, out=4, temperature=0.3, distillation_temperature=0.5))
    method.after_step(0.0)
    method.begin(sampled())
    moved(method)
    batch = views_of(method, 3)
    rows = method.queue.read()
    views = batch["views"]
    q = [normalize(student(method, v)) for v in views]
    p = [normalize(method.predictor(x)) for x in q]
    k = [teacher(method, v) for v in views]
    r = [normalize(method.earlier_projector(method.earlier_encoder(v["x"]))) for v in views]

    def contrast(a, positive, negatives, t):
        logits = torch.cat(((a * positive).sum(1, keepdim=True), a @ negatives.T), 1) / t
        return cross_entropy(logits, torch.zeros(3, dtype=torch.int64))

    both = [torch.cat((rows[1], rows[2])), torch.cat((rows[0], rows[3]))]
    assert len(both[0]) == 16  # |Qc| + |Qp|
    terms = method(batch)
    expected = sum(contrast(q[i], k[1 - i], both[i], 0.3) for i in (0, 1)) / 2
    torch.testing.assert_close(terms["plasticity"], expected)
    expected = sum(contrast(p[i], r[i], both[i], 0.5) for i in (0, 1)) / 2
    torch.testing.assert_close(terms["stability"], expected)
    for part, wanted in zip(method.queue.read(), [*k, *r], strict=True):
        # twelve rows were pushed at the start of the task: the eight of the queue, from slot 5 on in turn
        at = (int(method.queue.entered) - 3 + torch.arange(3)) % 8
        torch.testing.assert_close(part[at], wanted)


def test_sy_con_without_shared_negatives_has_those_of_one_model_each():
    options = {"norm": "layer", "queue": 8, "out": 4}
    losses = []
    for shared in (True, False):
        method = build("sy-con", **options, earlier_in_plasticity=shared, present_in_stability=shared)
        method.after_step(0.0)
        method.begin(sampled())
        losses.append({n: v.item() for n, v in method(views_of(method, 3)).items()})
    assert all(losses[0][name] > losses[1][name] for name in ("plasticity", "stability"))


@pytest.mark.parametrize("form", ["moco", "simclr"])
def test_the_first_task_teaches_the_encoder_what_moco_or_simclr_does(form):
    method = moved(build("sy-con", form=form, norm="layer", queue=8, out=4, temperature=0.3))
    batch = views_of(method)
    present = method.queue.read()
    method(batch)["loss"].backward()
    found = [p.grad.clone() for p in method.encoder.parameters()]
    method.zero_grad()
    z1, z2 = (student(method, v) for v in batch["views"])
    if form == "simclr":
        NTXent(0.3)(z1, z2).backward()
    else:
        keys = [teacher(method, v) for v in batch["views"]]
        contrast = QueueContrast(0.3)
        ((contrast(z1, keys[1], present[1]) + contrast(z2, keys[0], present[0])) / 2).backward()
    for grad, parameter in zip(found, method.encoder.parameters(), strict=True):
        torch.testing.assert_close(grad, parameter.grad)


def test_sy_con_over_two_runs(tmp_path):
    data = np.random.default_rng(0).integers(0, 256, (24, 1, 16, 16), dtype=np.uint8)
    options = {"queue": 16, "hidden": 16, "out": 8, "encoder.width": 4}
    runs = [None]
    for task in range(3):
        runs.append(
            tacit.pretrain(
                data[: 24 - 4 * task], SyCON, steps=3, batch_size=8, out=tmp_path / str(task), quiet=True,
                continue_from=runs[-1], options=options,
            )
        )  # fmt: skip
    last, before = (tacit.load(run.folder) for run in (runs[3], runs[2]))
    assert int(last.method.task) == 2
    for name, value in last.method.earlier_projector.state_dict().items():
        assert torch.equal(value, before.method.projector.state_dict()[name])

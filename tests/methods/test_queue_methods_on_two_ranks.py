"""Forms that are not the default, and objectives, on two processes with half a batch each against one."""

import torch
from tiny_encoders import TinyEncoder, batch_for, part

from tacit.objectives.graphs import GraphBarlowTwins, GraphContrast, GraphFactorisation, GraphVICReg
from tacit.objectives.ordering import GroupOrdering
from tacit.objectives.queue_contrastive import BatchContrast, SoftCosine, SymmetricContrast
from tacit.parts import ranks
from tacit.parts.relations import Relations
from tacit.registry import find
from two_ranks import on_two_ranks

ROWS = 8
FORMS = {
    "ascl, byol": ("ascl", {"form": "byol", "neighbours": 3}),
    "ascl, queue": ("ascl", {"neighbours": 3, "queue": 12}),
    "sy-con, moco": ("sy-con", {"queue": 12}),
    "sy-con, simclr": ("sy-con", {"form": "simclr", "queue": 12}),
    "pal, simclr": ("pal", {}),
    "pal, vicreg": ("pal", {"form": "vicreg"}),
    "pal, barlow": ("pal", {"form": "barlow"}),
    "pal, squared": ("pal", {"form": "squared"}),
    "mls": ("mls", {"queue": 8, "labels": 3, "contrast": 0.5}),
    "relational": ("relational-reasoning", {"aggregation": "max"}),
}
SMALL = {"hidden": 8, "out": 6, "norm": "layer"}


def make(form):
    name, options = FORMS[form]
    torch.manual_seed(0)
    kind = find(name, "method")
    small = {k: v for k, v in SMALL.items() if not (name == "relational-reasoning" and k == "out")}
    method = kind(TinyEncoder(), **(small | options))
    method.sized(16)
    method.double()
    if name == "sy-con":  # the second task
        method.stepped.fill_(True)
        method.begin(lambda: iter([batch_for(method, 16, 900)]))
    if name == "pal":
        known = Relations(16)
        known.add(torch.tensor([[0, 5], [5, 6], [1, 2]]), torch.tensor([1, 1, 0]))
        method.remember(known)
    return method


def train(form, rows):
    method = make(form)
    weights = [p for p in method.parameters() if p.requires_grad]
    losses = []
    for step in range(4):
        method.zero_grad()
        loss = method(part(batch_for(method, ROWS, 100 * step), rows))["loss"]
        loss.backward()
        with torch.no_grad():
            for weight in weights:
                weight -= 0.05 * ranks.total(weight.grad) / ranks.world()[1]
        method.after_step(step / 4)
        losses.append(loss.detach())
    return torch.stack(losses), method.state_dict()


def objectives():
    graph = torch.eye(ROWS) + torch.eye(ROWS)[torch.tensor([1, 0, 3, 2, 6, 5, 4, 7])]
    return {
        "batch": lambda z: BatchContrast(0.3)(z[0], z[1]),
        "cosine": lambda z: SoftCosine("ascl", 3, 0.3)(z[0], z[1]),
        "symmetric": lambda z: SymmetricContrast(0.3, 0.4)(*z),
        "order": lambda z: GroupOrdering(3)(z[0], z[1], z[2], full=2),
        "graph contrast": lambda z: GraphContrast(0.3)(z[0], graph),
        "graph vicreg": lambda z: GraphVICReg()(z[0], graph),
        "graph barlow": lambda z: GraphBarlowTwins()(z[0], graph),
        "graph factorisation": lambda z: GraphFactorisation()(z[0], graph),
    }


def run(compute, rows):
    z = torch.randn(6, ROWS, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    own = [t[rows].requires_grad_() for t in z]
    value = compute(own)
    value.backward()
    return value.detach(), [torch.zeros_like(t) if t.grad is None else t.grad for t in own]


def close(found, wanted, name):
    torch.testing.assert_close(found, wanted, rtol=1e-8, atol=1e-10, msg=lambda text: f"{name}: {text}")


def check(rank, together):
    everything, own = slice(0, ROWS), slice(rank * ROWS // 2, (rank + 1) * ROWS // 2)
    alone = {form: train(form, everything) for form in FORMS}
    values = {name: run(compute, everything) for name, compute in objectives().items()}
    with together():
        for name, compute in objectives().items():
            value, gradients = run(compute, own)
            close(ranks.total(value) / 2, values[name][0], name)
            for found, wanted in zip(gradients, values[name][1], strict=True):
                close(found / 2, wanted[own], name)
        for form, (losses, weights) in alone.items():
            part_losses, part_weights = train(form, own)
            close(ranks.total(part_losses) / 2, losses, form)
            for key, value in weights.items():
                close(part_weights[key], value, f"{form}: {key}")


def test_two_ranks_equal_one(tmp_path):
    on_two_ranks(check, tmp_path)

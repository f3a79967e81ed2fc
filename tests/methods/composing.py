"""Methods around a tiny encoder, and what they are made of."""

import torch
from tiny_encoders import TinyEncoder, batch_for
from torch.nn.functional import normalize

from tacit.registry import find


def build(name, count=16, dtype=torch.float64, **options):
    torch.manual_seed(0)
    method = find(name, "method")(TinyEncoder(), **options).to(dtype)
    method.sized(count)
    return method.to(dtype)


def views_of(method, rows=6, seed=0):
    return batch_for(method, rows, seed)


def teacher(method, view):
    return normalize(method.teacher_projector.network(method.teacher_encoder.network(view["x"])))


def student(method, view):
    return method.projector(method.encoder(view["x"]))


def moved(method):
    """With a teacher that is no longer its student."""
    for parameter in method.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.3)
    return method

"""Permutations that are easy to tell from each other."""

from __future__ import annotations

import functools
import itertools

import torch
from torch import Tensor


@functools.lru_cache(maxsize=4)
def distant_permutations(length: int, count: int, seed: int = 0) -> Tensor:
    """Permutations chosen one after another, each as far as possible from the nearest one before it.

    The distance is Hamming's: the number of places that differ.

    Args:
        length: number of things that are permuted, at most 9.
        count: how many permutations.
        seed: of the first one.

    Returns:
        int64 ``[count, length]``.

    Source: Noroozi and Favaro 2016, Unsupervised Learning of Visual Representations by Solving Jigsaw Puzzles,
    algorithm 1 with the minimal in place of the mean distance.

    Raises:
        ValueError: for a length above 9, or more than there are.
    """
    if not 1 <= length <= 9:
        raise ValueError(f"permutations are chosen among all of at most 9 things, not {length}")
    everyone = torch.tensor(list(itertools.permutations(range(length))), dtype=torch.int8)
    if not 1 <= count <= len(everyone):
        raise ValueError(f"count must be from 1 to {len(everyone)}, not {count}")
    chosen = [int(torch.randint(len(everyone), (), generator=torch.Generator().manual_seed(seed)))]
    nearest = torch.full((len(everyone),), length + 1)
    while len(chosen) < count:
        nearest = torch.minimum(nearest, (everyone != everyone[chosen[-1]]).sum(1))
        chosen.append(int(nearest.argmax()))
    return everyone[chosen].long()

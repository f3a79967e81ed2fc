"""Contrast by labels: all samples of the anchor's class are positives."""

from __future__ import annotations

import warnings
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor

from tacit.objectives.base import Crossing, Objective, check_pairs, full_precision
from tacit.objectives.contrastive import log_sum_exp_others, unit_views
from tacit.objectives.learned import Gaussian
from tacit.objectives.relation import Relation
from tacit.objectives.supervisory import Given, Labels
from tacit.parts import ranks

Form = Literal["out", "in"]
Anchors = Literal["all", "one"]


class SupCon(Objective):
    """Supervised contrastive loss.

    Over the V B rows i (V views of B samples, of all ranks), with s_ij the cosine over t, A(i) all rows but i and P(i)
    those of them with i's label,

        out:  loss = 1/VB sum_i -1/|P(i)| sum_{p in P(i)} log( exp(s_ip) / sum_{a in A(i)} exp(s_ia) )
        in:   loss = 1/VB sum_i -log( 1/|P(i)| sum_{p in P(i)} exp(s_ip) / sum_{a in A(i)} exp(s_ia) )

    times t / base_temperature where there is one. ``in`` is never larger than ``out``. A row without positives counts
    as 0 in the mean. Without labels every sample is a class of its own, and the loss is NT-Xent. Every anchor weighs
    the same, so a frequent class weighs more than a rare one. Both are :class:`~tacit.objectives.relation.Relation`
    with labels as supervision; ``out`` is computed by sums over classes. Memory grows linearly with B.

    Shape: one or more views ``[B, D]``; ``labels`` integers ``[B]``, or ``mask`` ``[B, R*B]``: which samples (of all
        ranks) are of one class with each of this rank's, not necessarily symmetric; ``-> []``.

    Source: Khosla et al. 2020, Supervised Contrastive Learning, eq. 2 and 3.

    Args:
        temperature: t > 0. The paper has 0.1, its code 0.07.
        form: the sum over positives outside or inside the logarithm; the paper found ``out`` better.
        anchors: rows of every view, or of the first ``one`` only, are anchors.
        base_temperature: scales the loss by t / base_temperature; the code has 0.07. None leaves it as it is.

    Raises:
        ValueError: for an unknown option, a temperature that is not positive, labels and mask at once, or shapes that
            do not fit.

    Warns:
        UserWarning: if all samples of a batch have one label: there is nothing to tell apart.
    """

    crosses: ClassVar[Crossing] = "gather"

    def __init__(
        self,
        temperature: float = 0.1,
        form: Form = "out",
        anchors: Anchors = "all",
        base_temperature: float | None = None,
    ) -> None:
        super().__init__()
        for name, value in (("temperature", temperature), ("base_temperature", base_temperature)):
            if value is not None and not value > 0:
                raise ValueError(f"{name} must be positive, not {value}")
        for choice, known in ((form, Form), (anchors, Anchors)):
            if choice not in get_args(known):
                raise ValueError(f"'{choice}' is not one of {', '.join(get_args(known))}")
        self.temperature = temperature
        self.form = form
        self.anchors = anchors
        self.base_temperature = base_temperature

    @full_precision
    def forward(self, *projections: Tensor, labels: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        samples = check_pairs(*projections)
        views, own = len(projections), len(projections[0])
        if labels is not None and mask is not None:
            raise ValueError("give labels or mask, not both")
        if labels is None and mask is None:
            labels = ranks.local(torch.arange(samples, device=projections[0].device))
        if labels is not None and labels.shape != (own,):
            raise ValueError(f"labels must be one for each of {own} samples, not {tuple(labels.shape)}")
        if labels is not None and self.form == "out":
            rows = self._by_class(*projections, labels=labels)
        else:
            divergence: Literal["cross-entropy", "inner"] = "cross-entropy" if self.form == "out" else "inner"
            learned = Gaussian((self.temperature / 2) ** 0.5)
            relation = Relation(Given() if labels is None else Labels(), learned, divergence)
            rows = relation.rows(*projections, labels=labels, graph=mask)
        if self.anchors == "one":
            rows = rows.view(own, views)[:, 0]
        return rows.mean() * (self.temperature / (self.base_temperature or self.temperature))

    def _by_class(self, *projections: Tensor, labels: Tensor) -> Tensor:
        """Each row's loss, positives summed class by class: ``[V B]``."""
        views = len(projections)
        u = unit_views(projections, self.temperature)
        classes, code = ranks.gather(labels).unique(return_inverse=True)
        if len(classes) == 1 and len(code) > 1:
            warnings.warn("all samples of the batch have one label: there is nothing to tell apart", stacklevel=3)
        sums = u.new_zeros(len(classes), u.shape[2]).index_add(0, code, ranks.gather(u.sum(1)))
        positives = views * code.bincount(minlength=len(classes)) - 1
        mine = ranks.local(code).repeat_interleave(views)
        rows, count = u.flatten(0, 1), positives[mine]
        mean = (rows * (sums[mine] - rows)).sum(1) / count.clamp_min(1)
        return torch.where(count > 0, log_sum_exp_others(rows) - mean, 0)

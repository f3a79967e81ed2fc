"""SeLa (Asano et al. 2020): labels that are used equally, against labels by the likeliest class alone."""

from __future__ import annotations

from typing import Any

import torch
from sklearn.metrics import normalized_mutual_info_score

from tacit.claims.harness import Result, Trial, experiment
from tacit.claims.small import GENTLE, digits, probed, trained, untrained
from tacit.methods.clustering.sela import SeLa
from tacit.run import Run

OPTIONS: dict[str, Any] = {
    "batch_size": 100, "epochs": 18, "lr": 2e-3, "clusters": 32, "heads": 5, "updates": 18, "encoder.width": 16,
    **GENTLE,
}  # fmt: skip


class Likeliest(SeLa):
    """The label step without the constraint."""

    @torch.no_grad()
    def relabel(self) -> None:
        self.labels.copy_(self._logits(self.embeddings).argmax(2).T)


@experiment(
    name="sela",
    statement="Labels that the method gives itself teach more when all of them must be used equally.",
    baseline="the same with the likeliest label of each sample",
    method="sela",
    metric="linear probe accuracy, %",
    data="1,500 scattered digits of 15 to 20 pixels at 20×20 without clutter, 2,000 of other writers to test",
    seeds=(0, 1, 2, 3, 4),
)
def sela(trial: Trial) -> Result:
    data = digits(trial.seed, train=1500, test=2000, size=20, scale=(1.9, 2.5))

    def measure(run: Run) -> dict[str, Any]:
        labels = run.method.get_buffer("labels")
        return {
            "linear": probed(data)(run),
            "labels_in_use": [len(row.unique()) for row in labels],
            "nmi": [float(normalized_mutual_info_score(data.y, row.numpy())) for row in labels],
        }

    likeliest = trained(data.x, Likeliest, measure, **OPTIONS, seed=trial.seed)
    balanced = trained(data.x, "sela", measure, **OPTIONS, seed=trial.seed)
    notes = {"likeliest": likeliest, "balanced": balanced}
    if trial.seed == 0:
        notes["untrained"] = trained(data.x, "sela", untrained(data), **(OPTIONS | {"epochs": 1}))
    return Result(likeliest["linear"], balanced["linear"], notes)

"""I-Con (Alshammari et al. 2025): clustering frozen features, with debiasing and neighbours in the supervision."""

from __future__ import annotations

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from tacit.claims.harness import Result, Trial, experiment
from tacit.claims.small import digits, trained
from tacit.evaluation.knn import knn_accuracy
from tacit.modalities import modality
from tacit.objectives.learned import Cluster
from tacit.objectives.relation import Relation
from tacit.objectives.supervisory import Augmentation, Neighbours, Sum, Supervisory, Walk
from tacit.parts.draws import Draws
from tacit.run import Run

CROP = (0.4, 1.0)
OPTIONS = {
    "batch_size": 128, "epochs": 20, "lr": 3e-3, "temperature": 0.2, "hidden": 256, "out": 64, "encoder.width": 24,
    "views.flip": 0.0, "views.crop_scale": CROP,
}  # fmt: skip
CLUSTERS, VIEWS, STEPS, BATCH, K, ALPHA, STARTS = 10, 8, 400, 256, 5, 0.6, 3


@experiment(
    name="i-con",
    statement="Debiasing and neighbours in the supervision make a clustering head on frozen features more accurate.",
    baseline="augmentation, no debiasing",
    method="augmentation + neighbours + walk, alpha=0.6",
    metric="Hungarian accuracy of 10 clusters, mean of 3 starts of the head, %",
    data="simclr's frozen features of 1,500 scattered digits of 18 to 23 pixels at 24×24 without clutter, 2,000 of "
    "other writers to test",
)
def i_con(trial: Trial) -> Result:
    data = digits(trial.seed, train=1500, test=2000, scale=(2.3, 2.9))

    def features(run: Run) -> tuple[Tensor, Tensor]:
        """Embeddings of augmented views ``[VIEWS, N, D]``, and of the test digits, standardised."""
        views = modality("image").make_views("pair", run.spec, flip=0.0, crop_scale=CROP, count=VIEWS)
        source = run.open(data.x)
        with torch.inference_mode():
            made = views(source.batch(torch.arange(len(source))), Draws.seeded(trial.seed, 1))
            seen = torch.stack([torch.cat([run.encoder(x) for x in view["x"].split(500)]) for view in made])
        mean, spread = seen.mean((0, 1)), seen.std((0, 1)).clamp_min(1e-6)
        return (seen - mean) / spread, (torch.from_numpy(run.embed(data.test)) - mean) / spread

    seen, test = (part.clone() for part in trained(data.x, "simclr", features, **OPTIONS, seed=trial.seed))
    spaces = seen.mean(0), data.y, test, data.y_test
    near = Neighbours(K)
    propagated = Sum([Augmentation(), near, Walk(near, 2)])
    arms: dict[str, tuple[Supervisory, float]] = {
        "augmentation": (Augmentation(), 0.0),
        "propagation, debiased": (propagated, ALPHA),
    }
    if trial.seed == 0:
        arms |= {"augmentation, debiased": (Augmentation(), ALPHA), "propagation": (propagated, 0.0)}
    rows: dict[str, dict[str, float]] = {}
    for name, arm in arms.items():
        found = [clustered(seen, test, data.y_test, *arm, STARTS * trial.seed + start) for start in range(STARTS)]
        rows[name] = {key: float(np.mean([one[key] for one in found])) for key in found[0]}
    notes = {"arms": rows, "k": K, "knn_of_features": 100 * knn_accuracy(*spaces)}
    return Result(rows["augmentation"]["accuracy"], rows["propagation, debiased"]["accuracy"], notes)


def clustered(
    seen: Tensor, test: Tensor, truth: np.ndarray, supervisory: Supervisory, alpha: float, seed: int
) -> dict[str, float]:
    """Hungarian accuracy on the test digits, and the size of the smallest cluster there in percent."""
    relation = Relation(supervisory, Cluster(), alpha=alpha)
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    head = nn.Linear(seen.shape[2], CLUSTERS)
    optimiser = torch.optim.Adam(head.parameters(), 5e-3)
    for _ in range(STEPS):
        rows = torch.randperm(seen.shape[1], generator=generator)[: BATCH // 2]
        x = seen[torch.randperm(VIEWS, generator=generator)[:2]][:, rows]
        loss = relation(head(x[0]), head(x[1]), features=x.transpose(0, 1))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        found = head(test).argmax(1).numpy()
    table = np.zeros((CLUSTERS, CLUSTERS))
    np.add.at(table, (found, truth), 1)
    return {
        "accuracy": 100 * float(table[linear_sum_assignment(-table)].sum() / len(truth)),
        "smallest_cluster": 100 * float(table.sum(1).min() / len(truth)),
    }

"""I-Con (Alshammari et al. 2025): clustering frozen features, with debiasing and neighbours in the supervision."""

from __future__ import annotations

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from tacit.claims.harness import Result, Trial, experiment
from tacit.claims.small import digits, trained
from tacit.modalities import modality
from tacit.objectives.learned import Cluster
from tacit.objectives.relation import Relation
from tacit.objectives.supervisory import Augmentation, Neighbours, Sum, Supervisory, Walk
from tacit.parts.draws import Draws
from tacit.run import Run

OPTIONS = {"batch_size": 128, "epochs": 10, "lr": 2e-3, "temperature": 0.1, "views.flip": 0.0}
CLUSTERS, VIEWS, STEPS, BATCH, K, ALPHA = 10, 8, 600, 512, 5, 0.3


@experiment(
    name="i-con",
    statement="Debiasing and neighbours in the supervision make a clustering head on frozen features more accurate.",
    baseline="augmentation, no debiasing",
    method="augmentation + neighbours + walk, alpha=0.3",
    metric="Hungarian accuracy of 10 clusters, %",
    data="simclr's frozen features of 2,500 scattered digits at 20×20 without clutter, 1,000 of other writers to test",
)
def i_con(trial: Trial) -> Result:
    data = digits(trial.seed, train=2500, size=20)

    def features(run: Run) -> tuple[Tensor, Tensor]:
        """Embeddings of augmented views ``[VIEWS, N, D]``, and of the test digits, standardised."""
        views = modality("image").make_views("pair", run.spec, flip=0.0, count=VIEWS)
        source = run.open(data.x)
        with torch.inference_mode():
            made = views(source.batch(torch.arange(len(source))), Draws.seeded(trial.seed, 1))
            seen = torch.stack([torch.cat([run.encoder(x) for x in view["x"].split(500)]) for view in made])
        mean, spread = seen.mean((0, 1)), seen.std((0, 1)).clamp_min(1e-6)
        return (seen - mean) / spread, (torch.from_numpy(run.embed(data.test)) - mean) / spread

    seen, test = (part.clone() for part in trained(data.x, "simclr", features, **OPTIONS, seed=trial.seed))
    near = Neighbours(K)
    propagated = Sum([Augmentation(), near, Walk(near, 2)])
    arms: dict[str, tuple[Supervisory, float]] = {
        "augmentation": (Augmentation(), 0.0),
        "augmentation, debiased": (Augmentation(), ALPHA),
        "propagation": (propagated, 0.0),
        "propagation, debiased": (propagated, ALPHA),
    }
    rows = {name: clustered(seen, test, data.y_test, *arm, trial.seed) for name, arm in arms.items()}
    return Result(rows["augmentation"]["accuracy"], rows["propagation, debiased"]["accuracy"], {"arms": rows, "k": K})


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

"""T-JEPA (Thimonier et al. 2024): tokens of rows for a small classifier that has few labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from tacit.claims.harness import Result, Trial, experiment
from tacit.claims.small import trained
from tacit.evaluation.rankme import rankme
from tacit.modalities.table.synthetic import hidden_factors
from tacit.run import Run

COLUMNS: dict[str, Any] = {"numbers": 10, "categories": 3, "irrelevant": 4, "noise": 0.3}
OPTIONS: dict[str, Any] = {
    "epochs": 40, "batch_size": 256, "lr": 2e-3, "width": 32, "depth": 1, "heads": 2, "teacher_momentum": 0.99,
    "encoder.width": 32, "encoder.depth": 2, "encoder.heads": 4,
}  # fmt: skip
TRAIN, LABELLED, TEST = 2000, 200, 1500


@experiment(
    name="t-jepa",
    statement="A small network trained with few labels does better on T-JEPA's tokens of rows than on their columns.",
    baseline="MLP on standardised columns",
    method="the same MLP on T-JEPA's tokens",
    metric="accuracy with 200 labels, %",
    data="2,000 made-up rows of 20 columns, waves of three hidden factors and four that mean nothing; 1,500 to test",
)
def t_jepa(trial: Trial) -> Result:
    made, test = (hidden_factors(n, 2 * trial.seed + i, **COLUMNS) for i, n in enumerate((TRAIN, TEST)))
    y, y_test = made.labels[:LABELLED], test.labels
    scores: dict[str, dict[str, float]] = {}

    def spaces(run: Run, encode: Any) -> tuple[np.ndarray, np.ndarray]:
        view = run.evaluation_view()
        rows = []
        for data in (made.table, test.table):
            source = run.open(data)
            with torch.inference_mode():
                rows.append(torch.cat([encode(view(batch)[0]["x"]) for batch in source.batches(500)]))
        return rows[0].numpy(), rows[1].numpy()

    def all_arms(run: Run) -> dict[str, Any]:
        method: Any = run.method
        learned = spaces(run, method.row_tokens)
        if not scores:
            raw = spaces(run, lambda x: x)
            scores["raw"] = classified(*raw, y, y_test, trial.seed)
            scores["boosted_trees_raw"] = {"mlp": boosted(*raw, y, y_test)}
            random: Any = run.random_encoder()
            tokens = spaces(run, lambda x: random.encode_tokens(random.tokenize(x).x).flatten(1))
            scores["random_encoder"] = classified(*tokens, y, y_test, trial.seed)
        found = classified(*learned, y, y_test, trial.seed)
        return found | {"rankme": rankme(torch.from_numpy(learned[0]))}

    result = trained(made.table, "t-jepa", all_arms, seed=trial.seed, **OPTIONS)
    notes: dict[str, Any] = {**scores, "t_jepa": result}
    if trial.seed == 0:
        without = OPTIONS | {"encoder.registers": 0}
        notes["without_register"] = trained(made.table, "t-jepa", all_arms, seed=0, **without)
    return Result(scores["raw"]["mlp"], result["mlp"], notes)


def classified(train: np.ndarray, test: np.ndarray, y: np.ndarray, y_test: np.ndarray, seed: int) -> dict[str, float]:
    """Accuracy in percent of a network of one hidden layer and of logistic regression, on the first rows' labels."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    models = {
        "mlp": MLPClassifier((64,), alpha=1e-2, max_iter=300, random_state=seed),
        "linear": LogisticRegression(C=0.1, max_iter=500),
    }
    shown = train[: len(y)]
    found = {name: make_pipeline(StandardScaler(), model).fit(shown, y) for name, model in models.items()}
    return {name: 100 * float(model.score(test, y_test)) for name, model in found.items()}


def boosted(train: np.ndarray, test: np.ndarray, y: np.ndarray, y_test: np.ndarray) -> float:
    """Accuracy of boosted trees in percent, for reference."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    model = HistGradientBoostingClassifier(max_iter=60, random_state=0).fit(train[: len(y)], y)
    return 100 * float(model.score(test, y_test))

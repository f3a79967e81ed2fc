"""What the figures say: means with intervals over seeds, an order, and which arms can be told apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from scipy.stats import t

from tacit.comparison.measuring import Row
from tacit.evaluation.agreement import rank_correlation
from tacit.evaluation.bootstrap import paired_difference, paired_seeds

MEASURES = ("linear", "knn", "score", "rankme", "uniformity")
TITLES = {
    "linear": "linear probe accuracy",
    "knn": "k-NN accuracy",
    "score": "score of a linear probe",
    "rankme": "RankMe",
    "uniformity": "uniformity",
}
WITHOUT_LABELS = {"rankme": ("RankMe", 1), "uniformity": ("uniformity", -1), "loss": ("training loss", -1)}
"""What may foretell the order without labels: its title, and whether more or less of it is better."""
RANKME = (
    "RankMe, the effective rank of the embeddings, was made to rank runs of one method and encoder (other settings, "
    "other lengths). Between methods or encoders it is no score: one may spread noise over many directions, and "
    "another hold what matters in few."
)


def summary(values: Sequence[float], level: float = 0.95) -> dict[str, Any]:
    """Mean of some seeds' figures with Student's interval; ``low`` and ``high`` are None for a single one."""
    x = np.asarray(values, dtype=np.float64)
    low = high = None
    if len(x) > 1:
        half = float(t.ppf((1 + level) / 2, len(x) - 1) * x.std(ddof=1) / len(x) ** 0.5)
        low, high = float(x.mean()) - half, float(x.mean()) + half
    return {"mean": float(x.mean()), "low": low, "high": high, "values": [float(v) for v in x]}


def measured(rows: Mapping[int, Row]) -> dict[str, dict[str, Any]]:
    """Each measure that the seeds of an arm have, summarised."""
    names = [name for name in MEASURES if rows and all(name in row for row in rows.values())]
    found = {name: summary([row[name] for row in rows.values()]) for name in names}
    for name in ("linear", "knn"):
        if name in found and found[name]["low"] is not None:  # shares do not leave 0 to 1, as Student's interval may
            found[name] |= {"low": max(0.0, found[name]["low"]), "high": min(1.0, found[name]["high"])}
    return found


def difference(a: Mapping[int, Row], b: Mapping[int, Row], measure: str, level: float) -> dict[str, Any]:
    """How much better the first is than the second, over the seeds that both have.

    Returns:
        ``mean``; ``seeds``, ``[low, high]`` over seeds (None for fewer than two); ``samples``, ``[low, high]`` over the
        test samples, of accuracies averaged over the seeds (None for other measures); ``apart``, whether both exclude
        zero on the same side.
    """
    both = [seed for seed in a if seed in b]
    if not both:
        return {"mean": None, "seeds": None, "samples": None, "apart": False}
    first, second = ([rows[seed][measure] for seed in both] for rows in (a, b))
    mean = float(np.mean(first) - np.mean(second))
    seeds: list[float] | None = None
    samples: list[float] | None = None
    if len(both) > 1:
        seeds = list(paired_seeds(first, second, level)[1:])
    if all(measure in rows[seed].get("correct", {}) for rows in (a, b) for seed in both):
        hits = [np.mean([_bits(rows[seed]["correct"][measure]) for seed in both], axis=0) for rows in (a, b)]
        samples = list(paired_difference(hits[0], hits[1], level)[1:])
    apart = seeds is not None and all(i is None or min(i) > 0 or max(i) < 0 for i in (seeds, samples))
    return {"mean": mean, "seeds": seeds, "samples": samples, "apart": apart}


def judged(
    arms: Mapping[str, Mapping[int, Row]], untrained: Mapping[str, Mapping[int, Row]], leading: str, seeds: int
) -> dict[str, Any]:
    """Order, differences and sentences.

    All differences between arms hold together with 95% (Bonferroni), and so do those to untrained encoders.

    Args:
        arms: rows of each arm by seed.
        untrained: rows of the encoder before training, for the same arms and seeds.
        leading: the measure that ranks.
        seeds: how many were asked for.

    Returns:
        plain data: ``order`` (names, the best first; those without a row last), ``pairs`` (each with ``a`` before
        ``b`` in the order, and :func:`difference`), ``gains`` (by arm, over its untrained encoder), ``level`` and
        ``gain_level`` of the single intervals, ``sentences``.
    """
    means = {name: np.mean([r[leading] for r in rows.values()]) if rows else -np.inf for name, rows in arms.items()}
    order = sorted(arms, key=lambda name: -float(means[name]))
    pairs = list(combinations([name for name in order if arms[name]], 2))
    level = 1 - 0.05 / max(1, len(pairs))
    found = [{"a": a, "b": b, **difference(arms[a], arms[b], leading, level)} for a, b in pairs]
    gain_level = 1 - 0.05 / max(1, len(arms))
    gains = {name: difference(arms[name], untrained.get(name, {}), leading, gain_level) for name in order if arms[name]}
    result = {"order": order, "pairs": found, "gains": gains, "level": level, "gain_level": gain_level}
    return result | {"sentences": _sentences(arms, result, leading, seeds)}


def agreement(arms: Mapping[str, Mapping[int, Row]], leading: str, one_method: bool) -> dict[str, Any]:
    """Whether what is known without labels puts the arms in the same order as their probes do.

    Args:
        arms: rows of each arm by seed.
        leading: the measure that ranks.
        one_method: whether all arms have the same method, without which their losses are not of one kind.

    Returns:
        by measure (``rankme``, ``uniformity``, and ``loss`` of one method) ``value``, ``p`` and ``n`` of Spearman's
        correlation of the means over seeds (:func:`tacit.evaluation.agreement.rank_correlation`), positive where what
        is better by the one is better by the other; nothing without labels or for fewer than three arms.
    """
    rows = [list(found.values()) for found in arms.values() if found]
    if leading == "rankme":
        return {}
    found: dict[str, Any] = {}
    wanted = [np.mean([row[leading] for row in seeds]) for seeds in rows]
    for name, (_, sign) in WITHOUT_LABELS.items():
        if (name == "loss" and not one_method) or not all(row.get(name) is not None for seeds in rows for row in seeds):
            continue
        both = rank_correlation([sign * np.mean([row[name] for row in seeds]) for seeds in rows], wanted)
        if both.value is not None:
            found[name] = {"value": both.value, "p": both.p, "n": both.n}
    return found


def agreed(found: Mapping[str, Mapping[str, Any]], leading: str) -> list[str]:
    """:func:`agreement` in a sentence, if there is any."""
    if not found:
        return []
    parts = [f"{WITHOUT_LABELS[name][0]} {row['value']:.2f} (p {row['p']:.2f})" for name, row in found.items()]
    count = next(iter(found.values()))["n"]
    return [f"Rank correlation with the {TITLES[leading]} over these {count}: {_listed(parts)}."]


def _sentences(arms: Mapping[str, Mapping[int, Row]], result: dict[str, Any], leading: str, seeds: int) -> list[str]:
    left = [name for name in result["order"] if arms[name]]
    lost = [name for name in result["order"] if not arms[name]]
    said = [f"{_listed(lost)} did not finish a training and {_are(lost)} not ranked."] if lost else []
    if not left:
        return said
    if leading == "rankme":
        order = ", then ".join(f"{n} ({np.mean([r['rankme'] for r in arms[n].values()]):.1f})" for n in left)
        said.append(f"By RankMe the order is {order}.")
        said.append(
            "Without labels it cannot be told which of them is better. " + RANKME + " Labels of a few hundred samples "
            "(--labelled DATA) would tell."
        )
        return said
    best, title = left[0], TITLES[leading]
    figure = measured(arms[best])[leading]
    said.append(f"{best} comes first: {title} {shown(figure, leading)}.")
    if seeds < 2:
        said.append("One seed cannot tell a better method from a luckier one; give --seeds 3 or more.")
        return said
    of = [pair for pair in result["pairs"] if pair["a"] == best]
    behind, close = [p["b"] for p in of if p["apart"]], [p["b"] for p in of if not p["apart"]]
    if behind:
        said.append(f"It is better than {_listed(behind)}: that holds over seeds and over test samples.")
    if close:
        said.append(f"It cannot be told apart from {_listed(close)} with {seeds} seeds and this much test data.")
    other = [f"{p['a']} from {p['b']}" for p in result["pairs"] if p["a"] != best and p["apart"]]
    rest = [p for p in result["pairs"] if p["a"] != best]
    if rest:
        said.append(
            f"Of the others, {_listed(other)} can be told apart." if other else "The others cannot be told apart."
        )
    no_gain = [name for name, row in result["gains"].items() if not (row["apart"] and row["mean"] > 0)]
    if no_gain:
        said.append(f"{_listed(no_gain)} cannot be shown to be better than an untrained encoder.")
    else:
        said.append("All of them are better than an untrained encoder.")
    return said


def shown(figure: Mapping[str, Any], measure: str) -> str:
    """``91.2% (90.1 to 92.3)``, or a plain number for measures that are no shares."""
    scale, form, unit = (100, ".1f", "%") if measure in ("linear", "knn") else (1, ".3f", "")
    if measure == "rankme":
        form = ".1f"
    text = f"{scale * figure['mean']:{form}}{unit}"
    if figure["low"] is None:
        return text
    return f"{text} ({scale * figure['low']:{form}} to {scale * figure['high']:{form}})"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else "none"


def _are(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _bits(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("ascii"), dtype=np.uint8) - 48.0

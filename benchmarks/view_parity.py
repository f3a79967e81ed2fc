"""Do batched views teach as well as torchvision's per-sample ones? SimCLR at equal epochs, several seeds.

    python benchmarks/view_parity.py [--json FILE] [--seeds N] [--first-seed N] [--epochs N] [--train N] [--test N]

Both arms share encoder, head, objective, initial weights, order of samples and evaluation; only the recipe's maker
differs. The per-sample arm is ``torchvision.transforms`` on PIL images in DataLoader workers, as its documentation
has it. The data are CIFAR-10 in ``TACIT_DATA``, or scattered digits in random colours where there is none.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from common import arguments, cifar10, keep
from tacit.data import order
from tacit.evaluation.bootstrap import paired_seeds
from tacit.evaluation.knn import knn_accuracy
from tacit.modalities.image.encoders import make_encoder
from tacit.modalities.image.recipes import resolve
from tacit.modalities.image.spec import Spec
from tacit.modalities.image.synthetic import scattered_digits
from tacit.modalities.image.views import evaluation_view, make_views
from tacit.objectives.contrastive import NTXent
from tacit.parts.draws import Draws
from tacit.parts.heads import mlp

Pair = tuple[Tensor, Tensor]


class PerSample(Dataset[Pair]):
    """Two views of one image by torchvision's transforms with the values of our recipe ``pair``."""

    def __init__(self, images: np.ndarray, spec: Spec) -> None:
        recipe = resolve("pair", spec)[0]
        assert recipe.crop_scale is not None
        self.images = [Image.fromarray(image.transpose(1, 2, 0)) for image in images]
        self.transform = transforms.Compose(
            [
                transforms.RandomResizedCrop(spec.size, recipe.crop_scale, recipe.crop_ratio),
                transforms.RandomHorizontalFlip(recipe.flip),
                transforms.RandomApply([transforms.ColorJitter(*recipe.strengths)], recipe.jitter),
                transforms.RandomGrayscale(recipe.gray),
                transforms.ToTensor(),
                transforms.Normalize(spec.mean, spec.std),
            ]
        )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Pair:
        return self.transform(self.images[index]), self.transform(self.images[index])


def per_sample(images: np.ndarray, spec: Spec, args: Any, seed: int) -> Iterator[Pair]:
    data = PerSample(images, spec)
    whole = len(data) // args.batch_size * args.batch_size
    for epoch in range(args.epochs):
        rows = order(len(data), seed, epoch)[:whole].tolist()
        generator = torch.Generator().manual_seed(1000 * seed + epoch)
        yield from DataLoader(
            data, args.batch_size, sampler=rows, num_workers=args.workers, generator=generator, drop_last=True
        )


def batched(images: np.ndarray, spec: Spec, args: Any, seed: int) -> Iterator[Pair]:
    data, views = torch.from_numpy(images), make_views("pair", spec)
    whole = len(data) // args.batch_size * args.batch_size
    for epoch in range(args.epochs):
        for step, rows in enumerate(order(len(data), seed, epoch)[:whole].split(args.batch_size)):
            one, two = views({"x": data[rows]}, Draws.seeded(seed, epoch, step))
            yield one["x"], two["x"]


def embed(encoder: nn.Module, images: np.ndarray, spec: Spec) -> Tensor:
    view = evaluation_view(spec)
    encoder.eval()
    with torch.no_grad():
        parts = torch.from_numpy(images).split(500)
        return torch.cat([encoder(view({"x": part})[0]["x"]).float() for part in parts])


def train(make: Any, train_set: Any, test_set: Any, spec: Spec, args: Any, seed: int) -> dict[str, float]:
    """One run: k-NN accuracy in percent, mean loss of the last epoch, seconds of training."""
    torch.manual_seed(seed)
    encoder = make_encoder("convnet", spec).to(memory_format=torch.channels_last)
    projector, objective = mlp([encoder.dim, 256, 128]), NTXent(0.2)
    model = nn.Sequential(encoder, projector)
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=1e-4, fused=True)
    steps = args.epochs * (len(train_set[0]) // args.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=steps, pct_start=0.1)
    losses, began = [], time.perf_counter()
    for one, two in make(train_set[0], spec, args, seed):
        with torch.autocast("cpu", torch.bfloat16):
            joined = model(torch.cat([one, two]).to(memory_format=torch.channels_last))
        loss = objective(*joined.float().chunk(2))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
        losses.append(loss.item())
    seconds = time.perf_counter() - began
    bank, queries = embed(encoder, train_set[0], spec), embed(encoder, test_set[0], spec)
    knn = 100 * knn_accuracy(bank, train_set[1], queries, test_set[1], k=20)
    last = losses[-(steps // args.epochs) :]
    return {"knn": knn, "loss": sum(last) / len(last), "seconds": seconds}


def coloured_digits(part: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    x, y = scattered_digits(part, count=count)
    colours = np.random.default_rng(len(part)).uniform(0.2, 1, (len(x), 3, 1, 1))
    return (x * colours).astype(np.uint8), y


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--train", type=int, default=10_000)
    parser.add_argument("--test", type=int, default=2_000)
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    train_set, test_set = cifar10("train", args.train), cifar10("test", args.test)
    data = "CIFAR-10"
    if train_set is None or test_set is None:
        train_set, test_set = coloured_digits("train", args.train), coloured_digits("test", args.test)
        data = "scattered digits in random colours"
    pixels = train_set[0] / np.float32(255)
    mean, std = (tuple(map(float, f(pixels, axis=(0, 2, 3)))) for f in (np.mean, np.std))
    spec = Spec(3, train_set[0].shape[2:], mean, std)
    arms: dict[str, list[dict[str, float]]] = {"torchvision": [], "tacit": []}
    for seed in range(args.first_seed, args.first_seed + args.seeds):
        for name, make in (("torchvision", per_sample), ("tacit", batched)):
            arms[name].append(train(make, train_set, test_set, spec, args, seed))
            row = arms[name][-1]
            print(
                f"seed {seed}  {name:12} k-NN {row['knn']:.2f}%  loss {row['loss']:.3f}  {row['seconds']:.0f} s",
                flush=True,
            )
        keep(args.json, summary(arms, data, args))
    result = summary(arms, data, args)
    print(f"\n{data}: {len(train_set[0])} images, {args.epochs} epochs, batch {args.batch_size}")
    for name in arms:
        print(f"{name:12} k-NN {result[name]['mean']:.2f} ± {result[name]['std']:.2f} %")
    if "difference" in result:
        low, high = result["interval"]
        print(f"tacit - torchvision: {result['difference']:+.2f} points, 95% interval {low:+.2f} to {high:+.2f}")


def summary(arms: dict[str, list[dict[str, float]]], data: str, args: Any) -> dict[str, Any]:
    result: dict[str, Any] = {
        "data": data, "train": args.train, "test": args.test, "epochs": args.epochs,
        "batch_size": args.batch_size, "metric": "k-NN accuracy, %",
    }  # fmt: skip
    for name, rows in arms.items():
        values = np.array([row["knn"] for row in rows])
        spread = float(values.std(ddof=1)) if len(values) > 1 else 0.0
        result[name] = {"mean": float(values.mean()), "std": spread, "runs": rows}
    if len(arms["tacit"]) > 1:
        pairs = ([row["knn"] for row in arms[name]] for name in ("tacit", "torchvision"))
        result["difference"], *result["interval"] = paired_seeds(*pairs)
    return result


if __name__ == "__main__":
    main()

"""Views a second: the batched recipes beside torchvision's per-sample transforms, in one process on the same images.

    python benchmarks/views.py [--json FILE] [--batch32 N] [--batch224 N] [--seconds S]

Each maker is run again and again for some seconds, after a warm-up; the figure is the median over the runs. For the
per-sample transforms the time of one core is measured (they run one image at a time) and multiplied by the number of
threads, as if workers shared nothing and cost nothing.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from common import arguments, keep
from tacit.modalities.image.blur import kernel_size
from tacit.modalities.image.recipes import RECIPES, Recipe, resolve
from tacit.modalities.image.spec import Spec
from tacit.modalities.image.views import make_views
from tacit.parts.draws import Draws


def rate(work: Callable[[int], int], seconds: float) -> float:
    """Views a second: the median over runs of ``work``, which returns how many views it made."""
    for run in range(3):
        work(run)
    rates, until = [], time.perf_counter() + seconds
    while time.perf_counter() < until or len(rates) < 3:
        began = time.perf_counter()
        made = work(len(rates))
        rates.append(made / (time.perf_counter() - began))
    return statistics.median(rates)


def torchvision_view(recipe: Recipe, spec: Spec) -> v2.Compose:
    """The recipe as torchvision's transforms for one image, PIL or uint8 tensor."""
    assert recipe.crop_scale is not None
    blur = v2.GaussianBlur(kernel_size(min(spec.size)), recipe.sigma)
    steps: list[Any] = [
        v2.RandomResizedCrop(spec.size, recipe.crop_scale, recipe.crop_ratio, antialias=True),
        v2.RandomHorizontalFlip(recipe.flip),
        v2.RandomApply([v2.ColorJitter(*recipe.strengths)], recipe.jitter) if recipe.jitter else None,
        v2.RandomGrayscale(recipe.gray) if recipe.gray else None,
        v2.RandomApply([blur], recipe.blur) if recipe.blur else None,
        v2.RandomSolarize(128, recipe.solarize) if recipe.solarize else None,
        v2.ToImage(),
        v2.ToDtype(torch.float32, scale=True),
        v2.Normalize(spec.mean, spec.std),
    ]
    return v2.Compose([step for step in steps if step is not None])


def measure(x: Tensor, size: int, seconds: float, threads: int) -> list[dict[str, Any]]:
    spec = Spec(3, (size, size), (0.49, 0.48, 0.45), (0.25, 0.24, 0.26))
    pictures, rows = [functional.to_pil_image(image) for image in x[:32]], []
    for name in (name for name, recipes in RECIPES.items() if recipes):
        views, count = make_views(name, spec), len(RECIPES[name])

        def batched(run: int, views: Any = views, count: int = count) -> int:
            views({"x": x}, Draws.seeded(run))
            return len(x) * count

        row: dict[str, Any] = {"recipe": name, "size": size, "stored": x.shape[-1], "batch": len(x)}
        row["tacit"] = rate(batched, seconds)
        transforms = [torchvision_view(recipe, spec) for recipe in resolve(name, spec)]
        torch.set_num_threads(1)
        for kind, images in (("pil", pictures), ("tensor", list(x[:32]))):

            def single(run: int, images: Any = images, transforms: Any = transforms) -> int:
                for image in images:
                    for transform in transforms:
                        transform(image)
                return len(images) * len(transforms)

            row[f"torchvision_{kind}"] = threads * rate(single, seconds)
        torch.set_num_threads(threads)
        rows.append(row)
    return rows


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--batch32", type=int, default=256)
    parser.add_argument("--batch224", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=3.0, help="for each figure")
    args = parser.parse_args()
    threads, generator = torch.get_num_threads(), torch.Generator().manual_seed(0)
    rows = []
    for batch, stored, size in ((args.batch32, 32, 32), (args.batch224, 256, 224)):
        coarse = torch.rand(batch, 3, stored // 4, stored // 4, generator=generator)
        x = (torch.nn.functional.interpolate(coarse, (stored, stored), mode="bilinear") * 255).byte()
        rows += measure(x, size, args.seconds, threads)
    print(f"views a second, {threads} threads\n")
    print(f"{'recipe':16} {'from':>5} {'to':>4} {'tacit':>9} {'torchvision PIL':>16} {'torchvision tensor':>19}")
    for row in rows:
        print(
            f"{row['recipe']:16} {row['stored']:5d} {row['size']:4d} {row['tacit']:9,.0f}"
            f" {row['torchvision_pil']:16,.0f} {row['torchvision_tensor']:19,.0f}"
        )
    keep(args.json, {"threads": threads, "rows": rows})


if __name__ == "__main__":
    main()

"""ScatSimCLR (Kinakh et al. 2021): fixed wavelets under a small network, where there are few images."""

from __future__ import annotations

from typing import Any

from tacit.claims.harness import Result, Trial, experiment
from tacit.claims.small import GENTLE, digits, probed, trained, untrained
from tacit.run import Run

OPTIONS: dict[str, Any] = {"batch_size": 32, "epochs": 8, "lr": 2e-3, "out": 64, **GENTLE}
RESNET: dict[str, Any] = {"encoder": "resnet18", "encoder.stem": "standard"}
SCATTERING: dict[str, Any] = {"encoder.orientations": 4}


@experiment(
    name="scatsimclr",
    statement="With few images, wavelet scattering under a network of an eighth of the parameters and a task "
    "on turned images do as well as a residual network.",
    baseline="simclr, resnet18",
    method="scatsimclr, 8 blocks, rotation",
    metric="linear probe accuracy, %",
    data="500 scattered digits of 15 to 20 pixels at 20×20 without clutter, 1,000 of other writers to test",
    margin=-2.0,
)
def scatsimclr(trial: Trial) -> Result:
    data = digits(trial.seed, train=500, size=20, scale=(1.9, 2.5))

    def measure(run: Run) -> dict[str, float]:
        return {"linear": probed(data)(run), "parameters": sum(p.numel() for p in run.encoder.parameters())}

    shared = OPTIONS | {"seed": trial.seed}
    notes: dict[str, Any] = {
        "simclr_resnet18": trained(data.x, "simclr", measure, **shared, **RESNET),
        "scatsimclr_rotation": trained(data.x, "scatsimclr", measure, **shared, **SCATTERING),
    }
    if trial.seed == 0:
        for name, encoder in (("resnet18", RESNET), ("scattering", SCATTERING | {"encoder": "scattering"})):
            blank = trained(data.x, "simclr", untrained(data), **(shared | {"epochs": 1}), **encoder)
            notes[f"untrained_{name}"] = blank
    return Result(notes["simclr_resnet18"]["linear"], notes["scatsimclr_rotation"]["linear"], notes)

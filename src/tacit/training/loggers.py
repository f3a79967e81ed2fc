"""Where metrics go besides the run folder's own tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tacit.errors import MissingExtra


def made(name: str, folder: Path) -> list[Any]:
    """Fabric's loggers for one of the names that :class:`~tacit.training.settings.Settings` has.

    W&B writes into the run folder and to the project ``tacit``; MLflow to the tracking server that is set up, or to the
    database ``mlflow.db`` in the current folder.

    Raises:
        MissingExtra: if what the logger needs is not installed.
    """
    if name == "csv":
        return []
    try:
        if name == "tensorboard":
            from lightning_fabric.loggers import TensorBoardLogger

            return [TensorBoardLogger(folder, name="tensorboard", version="")]
        from lightning.pytorch import loggers

        if name == "wandb":
            return [loggers.WandbLogger(name=folder.name, save_dir=folder, project="tacit")]
        import mlflow

        # Lightning's own default is a folder of files, which mlflow no longer writes
        return [loggers.MLFlowLogger("tacit", run_name=folder.name, tracking_uri=mlflow.get_tracking_uri())]
    except ImportError:
        raise MissingExtra(name, name, f"logger={name}") from None

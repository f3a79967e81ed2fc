"""From what a user asked for to a complete configuration, and from that to the objects of a run."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from tacit import __version__, registry
from tacit.data import Source, is_classes, unreadable
from tacit.errors import DataError, OptionError, unknown
from tacit.methods.base import Method
from tacit.modalities import alone, modality, open_source
from tacit.options import parameters, settle
from tacit.training.precision import choose_precision
from tacit.training.settings import NAMES, Settings, settings
from tacit.views.base import Views
from tacit.views.files import is_file, read_views

GROUPS = ("training", "method", "views", "encoder", "schedule", "data")
DEFAULTS = {"method": "simclr", "adaptation": "sla"}
"""What is trained where nothing is asked for, by kind."""


@dataclass
class Plan:
    """Everything that a run is made of, before it starts.

    Attributes:
        config: what goes into ``config.json``: plain data that repeats the run.
        method: the class of the method.
        encoder: the user's own module, when they gave one; it is not trained itself, but a copy of it.
        source: the opened data.
        spec: what views and encoder must know of it.
        settings: how to train.
    """

    config: dict[str, Any]
    method: type[Method]
    encoder: nn.Module | None
    source: Source
    spec: Any
    settings: Settings

    @property
    def kind(self) -> ModuleType:
        return modality(self.config["modality"])

    def build(self) -> tuple[Method, Views]:
        """The method around its encoder, freshly initialised from the seed, and the training views."""
        torch.manual_seed(self.config["seed"])
        encoder = copy.deepcopy(self.encoder)
        if encoder is None:
            row = self.config["encoder"]
            encoder = self.kind.make_encoder(row["name"], self.spec, **row["options"])
        views = self.config["views"]
        try:
            method = self.method(encoder, **self.config["method"]["options"])
            if "classes" in self.config["method"]:
                method.labelled(self.config["method"]["classes"])
            method.sized(len(self.source))
            return method, self.kind.make_views(views["recipe"], self.spec, **views["options"])
        except ValueError as error:
            raise OptionError(str(error)) from error


def plan(
    data: Any,
    method: str | type[Method] | None,
    encoder: str | nn.Module | None,
    views: str | None,
    kind: str | None,
    seed: int,
    given: Mapping[str, Any],
    progress: bool = False,
    role: str = "method",
) -> Plan:
    """Open the data and fill in every automatic value.

    Args:
        role: the kind of registered thing that ``method`` is: ``method``, or ``adaptation``, which trains with labels.
        given: options by name: training settings and the method's hyper-parameters (with ``training.`` and ``method.``
            before them where both have one of that name), and ``views.*``, ``encoder.*``, ``schedule.*``, ``data.*``.

    Raises:
        OptionError, DataError: at the first thing that is wrong, naming it.
    """
    method_class = _method(method, role)
    name = _name_of(method_class)
    groups = _sort(given, method_class)
    reading = {name: value for name, value in groups["data"].items() if value is not None}
    source = open_source(data, kind, progress=progress, **reading)
    package = modality(source.modality)
    about: dict[str, Any] = {"name": name, "options": settle(groups["method"], method_class, f"method {name}", skip=1)}
    if method_class.uses_labels and not (method_class.labels_optional and source.labels is None):
        about["classes"] = count_classes(source, getattr(method_class, "partly", False))
    if len(source) < 2:
        raise OptionError(_too_few(source, "window" not in reading))
    training = settings(groups["training"], len(source))
    spec = package.spec_of(source, **{name: reading[name] for name in package.ALONE if name in reading})

    fast = not torch.cuda.is_available()
    own: nn.Module | None = None
    if isinstance(encoder, nn.Module):
        if groups["encoder"]:
            raise OptionError(f"encoder.{next(iter(groups['encoder']))} is of no use with an encoder of your own")
        own, encoder_name = package.wrap_encoder(encoder, spec), "custom"
    else:
        wanted = method_class.preferred if method_class.preferred in package.encoder_names() else None
        encoder_name = encoder or wanted or package.default_encoder(spec, tokens=method_class.tokens, fast=fast)
    recipe = views or method_class.recipe
    if is_file(recipe):
        recipe, stored = read_views(Path(recipe))
        groups["views"] = stored | groups["views"]
    if recipe not in package.RECIPES:
        raise unknown("views", recipe, package.RECIPES)

    config = {
        "tacit": __version__,
        "seed": seed,
        "modality": source.modality,
        "data": source.describe(),
        "reading": reading,
        "spec": spec.as_dict(),
        "method": about,
        "encoder": {"name": encoder_name, "options": groups["encoder"]},
        "views": {"recipe": recipe, "options": groups["views"]},
        "schedule": groups["schedule"],
        "training": {},
    }
    if training.precision == "auto":
        training = replace(training, precision=choose_precision(device_of(training)))
    config["training"] = training.as_dict()
    return Plan(config, method_class, own, source, spec, training)


def _too_few(source: Source, whole: bool) -> str:
    """Why there is nothing to train on, and what may help; ``whole``: samples were not cut into windows."""
    said = [f"training needs at least 2 samples, and there is {len(source)}", *unreadable(source)]
    if whole and "window" in parameters(modality(source.modality).open_source, skip=1):
        said.append("--set data.window=N cuts a long one into several")
    return "; ".join(said)


def device_of(training: Settings) -> torch.device:
    """The kind of device that a run with these settings uses."""
    if training.accelerator != "auto":
        return torch.device(training.accelerator)
    return torch.device("cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu")


def count_classes(source: Source, partly: bool = False) -> int:
    """How many classes the labels of a data set tell apart; where only some samples have one (``partly``), the others
    have -1.

    Raises:
        DataError: if there are no labels, or negative ones.
    """
    if source.labels is None or not len(source.labels):
        raise DataError(
            "this method learns from labels, and the data has none; give a folder with a folder for each class, an "
            ".npz with y, or samples and labels as a tuple"
        )
    if not is_classes(source.labels):
        raise DataError("this method learns from classes, one a sample, and the labels are numbers or several at once")
    low, high = int(source.labels.min()), int(source.labels.max())
    if low < (-1 if partly else 0) or high < 0:
        raise DataError(f"labels must count from 0, and the smallest is {low}")
    return max(high + 1, len(source.classes or ()))


def _method(method: str | type[Method] | None, role: str) -> type[Method]:
    if inspect.isclass(method) and issubclass(method, Method):
        return method
    name = str(method or DEFAULTS[role])
    for other, verb in (("method", "pretrain"), ("adaptation", "adapt")):
        if other != role and name in {e.name for e in registry.catalogue(other)}:
            raise OptionError(f"'{name}' is run by another verb: tacit {verb} DATA --method {name}")
    return registry.find(name, role)


def _name_of(method: type[Method]) -> str:
    target = f"{method.__module__}:{method.__qualname__}"
    return next((e.name for e in registry.catalogue() if e.target == target), method.__name__)


def _sort(given: Mapping[str, Any], method: type[Method]) -> dict[str, dict[str, Any]]:
    """The options by what they belong to, a later one in place of an earlier one.

    Raises:
        OptionError: for an unknown name, with the nearest known one, or for one that means two things.
    """
    groups: dict[str, dict[str, Any]] = {group: {} for group in GROUPS}
    hyper = parameters(method, skip=1)
    for key, value in given.items():
        group, dot, rest = key.partition(".")
        if dot and group in GROUPS:
            if group == "training" and rest not in NAMES:
                raise unknown("training setting", rest, NAMES)
            groups[group][rest] = value
        elif key in NAMES and key in hyper:
            raise OptionError(
                f"both training and the method have an option '{key}'; say training.{key} or method.{key}"
            )
        elif key in NAMES:
            groups["training"][key] = value
        elif key in hyper:
            groups["method"][key] = value
        elif key in alone():
            groups["data"][key] = value
        else:
            raise unknown("option", key, [*NAMES, *alone(), *hyper, *(f"{g}." for g in GROUPS)])
    return groups

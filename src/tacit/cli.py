"""The command: a thin skin over the functions of :mod:`tacit.api`.

Nothing heavy is imported until a verb needs it, so that ``--help`` and ``methods`` answer at once.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any, NoReturn

from tacit import __version__
from tacit.command import listing, measuring, training, writing
from tacit.errors import TacitError

DESCRIPTION = (
    "Self-supervised learning on any data: unlabelled data in, a trained encoder, its quality and a report out."
)

EXAMPLES = """\
examples:
  tacit demo                                        see it work on handwritten digits, in about two minutes
  tacit pretrain photos/ --time 10m --out run       train on a folder of images
  tacit evaluate run labelled/                      k-NN and linear probe, beside raw input and a random encoder
  tacit pretrain log.csv --modality series          train on time series from a table
  tacit benchmark run flowers/ birds/               several tasks, with all and with few labels
  tacit embed run photos/ -o photos.parquet         one row a sample: path, embedding
  tacit report run                                  one HTML file to look at
  tacit atlas run photos/                           a map of all embeddings, in one HTML file
  tacit export run --format onnx -o encoder.onnx    the encoder for other programs
  tacit adapt labelled/ --test test/                train a classifier on data with labels
  tacit compare photos/ --methods simclr,vicreg     which method is better here, and can that be told at all
  tacit curate photos/ --method sas --keep 20% -o chosen.csv    the samples that are worth training on
  tacit methods --modality series                   what there is
  tacit claim mixed-barlow-twins                    the small experiment behind a paper's claim
"""


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line and exit code 2."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def build_parser() -> Parser:
    """The whole command line."""
    style: dict[str, Any] = {"formatter_class": argparse.RawDescriptionHelpFormatter}
    parser = Parser("tacit", description=DESCRIPTION, epilog=EXAMPLES, **style)
    parser.add_argument("--version", action="version", version=f"tacit {__version__}")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", title="verbs")

    def verb(name: str, summary: str, examples: str) -> argparse.ArgumentParser:
        added = verbs.add_parser(
            name,
            help=summary,
            description=summary[0].upper() + summary[1:] + ".",
            epilog="examples:\n" + examples,
            **style,
        )
        added.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
        return added

    for add in (
        training.add_pretrain,
        training.add_adapt,
        writing.add_embed,
        measuring.add_evaluate,
        training.add_compare,
        measuring.add_benchmark,
        writing.add_curate,
        measuring.add_report,
        measuring.add_atlas,
        writing.add_export,
        training.add_tune_views,
        listing.add_methods,
        listing.add_claim,
        listing.add_demo,
    ):
        add(verb)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; 0 is success, 2 an error that its one line explains, 130 an interrupt."""
    parser = build_parser()
    args = parser.parse_args(argv)
    if args.verb is None:
        parser.print_help()
        return 0
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _warn
            warnings.simplefilter("ignore", FutureWarning)  # what libraries tell those who program with them
            return int(args.do(args) or 0)
    except KeyboardInterrupt:
        print("tacit: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (TacitError, OSError, MemoryError) as error:
        if args.debug:
            raise
        print(f"tacit: {_line(error)}", file=sys.stderr)
        return 2


def _warn(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, file: Any = None, line: Any = None
) -> None:
    """A warning as one line for a person, without the place in the code that gave it."""
    print(f"tacit: {_clean(str(message))}", file=sys.stderr)


def _line(error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return "out of memory; use a smaller --batch-size"
    if isinstance(error, OSError) and not isinstance(error, TacitError):
        return f"{error.filename}: {error.strerror}" if error.filename else str(error)
    return _clean(str(error))


def _clean(text: str) -> str:
    """One line that any terminal can show, of text that may quote the bytes of a damaged file."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in " ".join(text.split()))

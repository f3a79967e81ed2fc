"""Verbs that measure or show a run: evaluate, benchmark, report, atlas."""

from __future__ import annotations

from argparse import Namespace

from tacit.command import arguments as take
from tacit.command.arguments import Verb, given, print_json


def add_evaluate(verb: Verb) -> None:
    p = verb(
        "evaluate",
        "measure an encoder beside raw input and a random encoder",
        "  tacit evaluate run labelled/\n  tacit evaluate run train/ --test test/ --json\n",
    )
    take.add_run(p)
    take.add_data(p, take.LABELLED)
    p.add_argument("--test", metavar="DATA", help="data to test on (default: a quarter of DATA)")
    take.add_number(p, "-k", 20, "neighbours that vote", "K")
    p.add_argument(
        "--metrics",
        default="knn,linear",
        metavar="NAME,...",
        help="what to measure, by name (the guide on evaluation lists all; default: knn,linear)",
    )
    take.add_seed(p, "of the split and the bootstrap")
    take.add_json(p)
    take.add_reading(p)
    p.set_defaults(do=evaluate)


def evaluate(args: Namespace) -> None:
    from tacit import api
    from tacit.command.show import show_evaluation

    asked = {"metrics": args.metrics.split(","), "reading": take.reading(args)}
    result = api.evaluate(args.run, args.data, args.test, **asked, **given(args, "k", "seed"))
    print_json(result) if args.json else show_evaluation(result)


def add_benchmark(verb: Verb) -> None:
    p = verb(
        "benchmark",
        "measure an encoder by several tasks with all and with few labels",
        "  tacit benchmark run flowers/ birds/\n"
        "  tacit benchmark run flowers/ birds/ --test flowers-test/ --test birds-test/ --shots 1,4,16 --json\n",
    )
    take.add_run(p)
    take.add_data(p, "data sets with labels, a task each", nargs="+")
    p.add_argument(
        "--test",
        metavar="DATA",
        action="append",
        help="data to test on, once for each DATA in order (default: a quarter of each)",
    )
    p.add_argument(
        "--taps", metavar="A,B", help="layers by name, and embedding (default: where the resolution changes)"
    )
    take.add_number(p, "--limit", 9000, "most numbers of a layer")
    p.add_argument(
        "--probe", default="svm", metavar="NAME", help="svm, or sgd: batch norm and a linear layer (default: svm)"
    )
    take.add_number(p, "--crops", 0, "random views of each sample that sgd learns from")
    p.add_argument("--shots", metavar="K,...", help="labels a class of small samples (default: 1,2,4,...,96)")
    take.add_number(p, "--samples", 5, "small samples of each size")
    take.add_seed(p, "of splits, folds and samples")
    take.add_json(p)
    take.add_reading(p)
    p.set_defaults(do=benchmark)


def benchmark(args: Namespace) -> None:
    from tacit.assessment.benchmark import benchmark as measured
    from tacit.command.show import show_benchmark

    asked = given(args, "limit", "probe", "crops", "samples", "seed") | {"reading": take.reading(args)}
    taps, shots = take.names(args.taps), take.numbers(args.shots, "--shots")
    result = measured(args.run, args.data, args.test, taps=taps, shots=shots, quiet=args.json, **asked)
    print_json(result) if args.json else show_benchmark(result)


def add_report(verb: Verb) -> None:
    p = verb(
        "report",
        "write one self-contained HTML file about a run",
        "  tacit report run\n  tacit report run -o summary.html\n",
    )
    take.add_run(p)
    p.add_argument("-o", "--out", metavar="FILE", help="default: RUN/report.html")
    p.set_defaults(do=report)


def report(args: Namespace) -> None:
    from tacit import api

    print(api.report(args.run, args.out))


def add_atlas(verb: Verb) -> None:
    p = verb(
        "atlas",
        "write one page with a map of the embeddings to look at, search and select from",
        "  tacit atlas run photos/\n"
        "  tacit atlas run photos/ --columns facts.csv -o atlas.html\n"
        "  tacit atlas run photos/ --layout umap --duplicates 0.95 --pictures 10000\n",
    )
    take.add_run(p)
    take.add_data(p)
    p.add_argument("-o", "--out", metavar="FILE", help="default: RUN/atlas.html")
    p.add_argument("--columns", metavar="FILE", help="more to colour by: a .csv or .parquet file, by path or index")
    p.add_argument("--layout", default="tsne", metavar="NAME", help="tsne, umap or pca (default: tsne)")
    take.add_number(p, "--neighbours", 8, "of each sample, in the page", "K")
    take.add_number(p, "--duplicates", 0.98, "their cosine, at least", "C")
    p.add_argument("--clusters", type=int, metavar="N", help="k-means groups (default: at most 12)")
    take.add_number(p, "--pictures", 4000, "samples with a picture")
    take.add_number(p, "--limit", 200_000, "samples on the map")
    take.add_seed(p, "of draws, clusters and layout")
    take.add_quiet(p)
    take.add_reading(p)
    p.set_defaults(do=atlas)


def atlas(args: Namespace) -> None:
    from tacit import maps

    names = ("columns", "layout", "neighbours", "duplicates", "clusters", "pictures", "limit", "seed", "quiet")
    print(maps.atlas(args.run, args.data, args.out, **given(args, *names), reading=take.reading(args)))

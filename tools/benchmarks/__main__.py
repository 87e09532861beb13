"""Run the benchmarks: `python -m tools.benchmarks --help`.

They start their own durable PostgreSQL and listen on 127.0.0.1 only.
"""

import argparse

from tools.benchmarks import compare, footprint, load, scale

SECONDS, ROUNDS = 4, 6


def main() -> None:
    options = _options()
    if options.check:
        compare.check()
    elif options.profile is not None:
        # Imports the whole application into this process.
        from tools.benchmarks import profiling

        profiling.profile(options.profile or None)
    elif options.scale:
        scale.scale(options.scale)
    elif options.footprint:
        footprint.measure()
    else:
        load.generator()
        compare.measure(options.rounds, options.seconds)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tools.benchmarks",
        description="Compare the service with a bare WSGI application and write tools/benchmarks/RESULTS.md.",
    )
    parser.add_argument("--seconds", type=int, default=SECONDS, help="seconds per measurement (%(default)s)")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="measurements per operation (%(default)s)")
    parser.add_argument(
        "--check", action="store_true", help="only check that both applications return the same responses"
    )
    parser.add_argument(
        "--profile",
        nargs="?",
        const="",
        metavar="OPERATION",
        help="profile one operation (assessment, candidates, ingest, cohort or keys) or all of them",
    )
    parser.add_argument(
        "--scale",
        nargs="?",
        const="4,5,6",
        type=lambda text: [int(exponent) for exponent in text.split(",")],
        metavar="EXPONENTS",
        help="measure response times with 10^N keys and ten times as many events, and write SCALE.md; the default "
        "4,5,6 needs 12 GB of disk",
    )
    parser.add_argument("--footprint", action="store_true", help="measure start time and memory")
    return parser.parse_args()


if __name__ == "__main__":
    main()

"""Run the benchmarks: `python -m tools.benchmarks --help`.

Each run starts its own durable PostgreSQL on 127.0.0.1.
"""

import argparse

from tools.benchmarks import compare, footprint, load, recording, scale

SECONDS, ROUNDS = 4, 6


def main() -> None:
    options = _options()
    if options.check:
        compare.check()
    elif options.profile is not None:
        # Imports the whole application.
        from tools.benchmarks import profiling

        profiling.profile(options.profile or None)
    elif options.scale:
        scale.scale(options.scale)
    elif options.recording:
        recording.measure()
    elif options.console:
        # Needs playwright.
        from tools.benchmarks import console

        console.measure()
    elif options.footprint:
        footprint.measure()
    else:
        load.generator()
        compare.measure(options.rounds, options.seconds)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tools.benchmarks", description="Compare with the bare application, or:"
    )
    parser.add_argument("--seconds", type=int, default=SECONDS, help="seconds per run (%(default)s)")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="runs of each operation (%(default)s)")
    parser.add_argument("--check", action="store_true", help="only check that both respond the same")
    parser.add_argument(
        "--profile",
        nargs="?",
        const="",
        metavar="OPERATION",
        help="profile assessment, candidates, ingest, cohort, keys or (by default) all of them",
    )
    parser.add_argument(
        "--scale",
        nargs="?",
        const="4,5,6",
        type=lambda text: [int(exponent) for exponent in text.split(",")],
        metavar="EXPONENTS",
        help="measure response times by database size; 4,5,6 are 10,000 to 1,000,000 keys and ten times as many "
        "events, which need 12 GB of disk space",
    )
    parser.add_argument("--footprint", action="store_true", help="measure startup time and memory")
    parser.add_argument(
        "--recording", action="store_true", help="measure what recording adds to a model call"
    )
    parser.add_argument("--console", action="store_true", help="measure the console's pages in Chromium")
    return parser.parse_args()


if __name__ == "__main__":
    main()

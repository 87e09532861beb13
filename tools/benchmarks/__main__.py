"""Run the benchmarks: `python -m tools.benchmarks --help`.

Each run starts its own durable PostgreSQL on 127.0.0.1.
"""

import argparse

from tools.benchmarks.operations import OPERATIONS

SECONDS, ROUNDS = 4, 6


def main() -> None:
    options = _options()
    # Each imports what only it needs: the whole application, playwright, a provider.
    if options.profile:
        from tools.benchmarks import profiling

        profiling.profile(options.profile)
    elif options.recording:
        from tools.benchmarks import recording

        recording.measure()
    elif options.console:
        from tools.benchmarks import console

        console.measure()
    else:
        from tools.benchmarks import compare

        compare.check() if options.check else compare.measure(options.rounds, options.seconds)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tools.benchmarks", description="Compare with the bare application, or:"
    )
    parser.add_argument("--seconds", type=int, default=SECONDS, help="seconds per run (%(default)s)")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="runs of each operation (%(default)s)")
    parser.add_argument("--check", action="store_true", help="only check that both respond the same")
    parser.add_argument("--profile", choices=list(OPERATIONS), help="show where an operation spends its time")
    parser.add_argument(
        "--recording", action="store_true", help="measure what recording adds to a model call"
    )
    parser.add_argument("--console", action="store_true", help="measure the console's pages in Chromium")
    return parser.parse_args()


if __name__ == "__main__":
    main()

"""Run the benchmarks: `python -m tools.benchmarks --help`."""

import argparse

from tools.benchmarks import compare, console, recording


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tools.benchmarks",
        description="Compare the service with a bare application, or run another benchmark.",
    )
    parser.add_argument("--seconds", type=int, default=4, help="seconds per run (%(default)s)")
    parser.add_argument("--rounds", type=int, default=6, help="runs of each operation (%(default)s)")
    parser.add_argument(
        "--check", action="store_true", help="only check that both applications return the same responses"
    )
    parser.add_argument("--recording", action="store_true", help="measure the recording of a model call")
    parser.add_argument("--console", action="store_true", help="measure the console's pages in Chromium")
    options = parser.parse_args()
    if options.recording:
        recording.measure()
    elif options.console:
        console.measure()
    elif options.check:
        compare.check()
    else:
        compare.measure(options.rounds, options.seconds)


if __name__ == "__main__":
    main()

"""What Proofstone costs and how it grows: `python -m benchmarks --help`.

Everything runs on a durable PostgreSQL of its own, on 127.0.0.1 alone.
"""

import argparse

from tools.benchmarks import compare, footprint, load, scale

SECONDS, ROUNDS = 4, 6


def main() -> None:
    options = _options()
    if options.check:
        compare.check()
    elif options.profile is not None:
        # It brings the whole application into this process.
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
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure beside the limit, or:")
    parser.add_argument("--seconds", type=int, default=SECONDS, help="of one turn (%(default)s)")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="turns of each (%(default)s)")
    parser.add_argument(
        "--check", action="store_true", help="only see that product and limit answer the same"
    )
    parser.add_argument(
        "--profile",
        nargs="?",
        const="",
        metavar="OPERATION",
        help="show where the time goes: assessment, candidates, ingest, cohort, keys or all of them",
    )
    parser.add_argument(
        "--scale",
        nargs="?",
        const="4,5,6",
        type=lambda text: [int(exponent) for exponent in text.split(",")],
        metavar="EXPONENTS",
        help="show how answers grow with the data; 4,5,6 are 10,000 to 1,000,000 keys and ten times as many events, "
        "for which the disk needs 12 GB",
    )
    parser.add_argument("--footprint", action="store_true", help="show time to start, and memory")
    return parser.parse_args()


if __name__ == "__main__":
    main()

"""What Proofstone costs and how it grows: `python -m benchmarks [compare|profile|scale|footprint]`, see --help.

Everything runs on a durable PostgreSQL of its own, on 127.0.0.1 alone.
"""

import argparse

from benchmarks import compare, load

SECONDS, ROUNDS = 3, 5


def main() -> None:
    options = _options()
    if options.check:
        compare.check()
    else:
        load.generator()
        compare.measure(options.rounds, options.seconds)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--seconds", type=int, default=SECONDS, help="of one turn (%(default)s)")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="turns of each (%(default)s)")
    parser.add_argument(
        "--check", action="store_true", help="only see that product and limit answer the same"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()

"""Writes the demo's raw clips and the pictures that say who its subject is:

python -m tests.generator OUT_DIR [--seed N] [--truth PATH] [--pictures DIR]
"""

from __future__ import annotations

import argparse
from pathlib import Path

from tests.generator.cast import write_pictures
from tests.generator.demo import write_demo, write_truth


def main() -> None:
    """Command line; the truth goes to `--truth` and the pictures below `--pictures`, else nowhere
    (OUT_DIR holds raw clips alone).
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out_dir", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--truth", type=Path, help="where to write truth.json")
    parser.add_argument("--pictures", type=Path, help="where references/ and not_subject/ go")
    args = parser.parse_args()
    truths = write_demo(args.out_dir, args.seed)
    if args.truth:
        write_truth(truths, args.truth, args.seed)
    if args.pictures:
        write_pictures(args.pictures, args.seed)
    print(f"{len(truths)} files in {args.out_dir}")


if __name__ == "__main__":
    main()

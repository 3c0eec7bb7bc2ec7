"""Propose a mask for a crop by another segmenter: a picture for `make decide MASK= FILE=`.

    python scripts/tools/propose_mask.py CROP --segmenter NAME --out PNG [--work DIR]
                                         [--config FILE ...]

Writes a grey PNG of the crop's size. Nothing is decided by it. Without --segmenter it lists those
whose weights are on this machine. Exit status: 0 done, 1 nothing to propose, 2 the settings or the
dataset cannot be read.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # where `ferrari` lies

from ferrari.common import command_line

if __name__ == "__main__":
    command_line.begin()

import argparse
import contextlib
from collections.abc import Sequence

from ferrari.common import settings
from ferrari.common.atomic_files import write_bytes
from ferrari.images import image_files
from ferrari.ledger.tables import LedgerError
from ferrari.matting import mask_proposals
from ferrari.matting.mask_proposals import ProposalError
from ferrari.networks.weight_files import ModelError
from ferrari.processes.devices import DeviceError
from ferrari.provenance import last_run
from ferrari.review.mended import MendedMaskError


def propose(given: argparse.Namespace) -> str:
    """Carry out a command line; what there is to say about it."""
    config, _, _ = last_run.settings_for(given.work, given.config)
    with contextlib.chdir(given.work):  # where its runs run, and look for weights
        if not given.segmenter:
            return "\n".join(mask_proposals.segmenters_at_hand(config)) + "\n"
        alpha_u8 = mask_proposals.segmented_anew(
            config, config["dataset"], given.crop, given.segmenter
        )
    write_bytes(given.out, image_files.encode_png(alpha_u8))
    return f"{given.out}: {given.crop} by {given.segmenter}\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; prints what was done and returns the exit status."""
    parser = argparse.ArgumentParser(prog="propose_mask", description=__doc__.partition("\n")[0])
    parser.add_argument("crop", help="the id of a crop that was kept")
    parser.add_argument("--segmenter", default="", help="a name of config/models.yaml")
    parser.add_argument("--out", default="mask.png", help="the picture to write")
    parser.add_argument("--work", default=".", help="folder that the pipeline was started in")
    parser.add_argument(
        "--config", nargs="*", default=[], help="settings files on top of the defaults"
    )
    try:
        sys.stdout.write(propose(parser.parse_args(arguments)))
    except (ProposalError, MendedMaskError, ModelError, DeviceError) as error:
        print(error, file=sys.stderr)
        return 1
    except settings.SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    except (LedgerError, image_files.ImageReadError, OSError) as error:
        print(f"the dataset cannot be read: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    command_line.run(main)

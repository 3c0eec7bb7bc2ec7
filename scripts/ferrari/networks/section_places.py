"""Where the network of a section of the settings runs, as what is installed here can."""

from __future__ import annotations

from collections.abc import Mapping

from ferrari.networks import detectors, faces, placement, segmenters, weight_files
from ferrari.networks.placement import Place


def place_of(config: Mapping, section: str) -> Place:
    """Where the network of `detect`, `subject` (faces), `mask` or `caption` runs, or `matting`,
    which refines alphas.

    Raises DeviceError for a device that was named and cannot be had, ModelError for weights that
    the settings name wrongly. Loads no network, but may try a runtime in a child process.
    """
    if section == "matting":  # on the card only beside the segmenter
        segmenter = place_of(config, "mask").device
        return placement.of_matting(segmenter, config["mask"]["device"])
    settings = config[section]
    if section == "caption":
        return placement.of_torch(settings["device"])
    if section == "mask":  # the person gate's network goes where it can
        own = weight_files.for_segmenter(settings, config["cache"])
        return segmenters.place_of(settings["segmenter"], _paths(own), settings["device"])
    paths = _paths(weight_files.wanted(config, section))
    if section == "subject":
        return faces.places_of(paths, config["detect"]["device"])[0]
    return detectors.place_of(settings, paths, config["mask"])


def _paths(weights: list[weight_files.Weights]) -> list[str]:
    return [str(each.path) for each in weights]

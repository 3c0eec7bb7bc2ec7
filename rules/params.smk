# What the rules' params are made of: sections of the settings, and the networks' weights.
# Contract: a param holds everything that decides a job's result, and nothing else. No rule here.

import functools

from ferrari.common import section_params
from ferrari.common.section_params import settled
from ferrari.networks import weight_files, weight_kinds

#: How captions and packages name the subject. They do not depend on who it is.
SUBJECT_WORDS = settled({key: config["subject"][key] for key in ("token", "class")})
#: Keys of `detect` for choosing and cropping detections: changing one does not rerun the detector.
CHOICE = ("policy", "pad", "min_side", "duplicate_delta", "duplicate_block")


def what_matters(section, but=()):
    """A section of the config without its limits and the keys that only affect speed."""
    return section_params.what_matters(config[section], but)


def limits(section):
    """The limits of a section. When one is raised, jobs find the rows to try again themselves."""
    return section_params.limits(config[section])


@functools.cache
def weights_of(section):
    """The weights that `detect`, `mask` or `subject` (faces) loads, as weight_files.Weights."""
    # Snakemake considers a missing input unchanged if the output exists, so it is looked at here.
    with ending_the_run():
        return weight_kinds.fit(config, section)


#: Keys of an entry of models.yaml that do not affect the network's output.
REMARKS = {"licence", "sources", "above", "below"}


def weights_entries(section):
    """The param for the weights of a section: digests, and how pictures are prepared."""
    return [
        {key: value for key, value in weights.entry.items() if key not in REMARKS}
        for weights in weights_of(section)
    ]


def weights_files(section):
    """The weights of a section as input files, without those in the repository, which are pinned."""
    return [str(w.path) for w in weights_of(section) if not weight_files.is_ours(w)]

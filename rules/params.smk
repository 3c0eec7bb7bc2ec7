# What a rule's params are made of: sections of the settings, and the networks' weights.
# Contract: a param holds all that decides what comes out of a job, and nothing else; no rule here.

from ferrari.common import section_params
from ferrari.common.section_params import settled
from ferrari.networks import weight_files

#: What captions and packages call the subject; who it is, is no matter of theirs.
SUBJECT_WORDS = settled({key: config["subject"][key] for key in ("token", "class")})
#: Keys of `detect` that choose among what was found, and cut: no frame is searched again for them.
CHOICE = ("policy", "pad", "min_side", "duplicate_delta", "duplicate_block")


def what_matters(section, but=()):
    """A section of the config without its limits and what changes only how fast it goes."""
    return section_params.what_matters(config[section], but)


def limits(section):
    """The limits of a section: jobs look for themselves which rows a raised one opens again."""
    return section_params.limits(config[section])


def weights_of(section):
    """The weights that `detect`, `mask` or `subject` (faces) loads, as weight_files.Weights."""
    with ending_the_run():
        found = weight_files.wanted(config, section)
        # Snakemake takes a missing input for unchanged where the output is there.
        for weights in found:
            weight_files.require_place(weights, section)
            weight_files.require_terms(
                weights, config["models"]["accept_noncommercial"]
            )
        return found


#: What an entry of models.yaml says of a set of weights without changing what comes out of it.
REMARKS = {"licence", "sources", "above", "below"}


def weights_entries(section):
    """The param that stands for the weights of a section: digests, and how pictures are prepared."""
    return [
        {key: value for key, value in weights.entry.items() if key not in REMARKS}
        for weights in weights_of(section)
    ]


def weights_files(section):
    """Those of them that have to be there first; the repository's own are pinned by their entry."""
    return [str(w.path) for w in weights_of(section) if not weight_files.is_ours(w)]

"""What jobs use has been imported before they are forked: each fork would import it again."""

import subprocess
import sys

import pytest

from tests.settings import ENVIRONMENT

NEW = """
import sys
import numpy as np
from ferrari.jobs import loaded_before_forks
loaded_before_forks.load()
from ferrari.curation import embeddings
cutout = np.random.default_rng(0).integers(0, 256, (60, 40, 4), np.uint8)
before = set(sys.modules)
{work}
print(sorted(set(sys.modules) - before))
"""


@pytest.mark.parametrize(
    "work",
    ["embeddings.described(cutout, (0, 0, 40, 60))", "np.quantile(cutout, 0.66)"],
    ids=["a cut-out's embedding", "a quantile, as in backgrounds"],
)
def test_a_fork_imports_nothing_for(work):
    command = [sys.executable, "-c", NEW.format(work=work)]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


PAGES = """
import resource
import numpy as np
from ferrari.jobs import loaded_before_forks
loaded_before_forks.load()

def pages():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    pictures = [np.ones((720, 1280, 3), np.uint8) for _ in range(8)]
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

pages()
print(pages())
"""


def test_pictures_take_the_memory_of_those_before():
    """The kernel had it back after each batch, and gave it out anew: 5,400 pages of these eight."""
    done = subprocess.check_output([sys.executable, "-c", PAGES], env=ENVIRONMENT, text=True)
    assert int(done.splitlines()[-1]) < 500

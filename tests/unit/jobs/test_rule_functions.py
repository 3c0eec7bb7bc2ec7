"""What rules give Snakemake to ask."""

import inspect
from types import SimpleNamespace

from snakemake.common import get_function_params, get_input_function_aux_params

from ferrari.jobs.rule_functions import of_clip


def test_a_function_of_a_clip_is_asked_with_its_id():
    assert of_clip(str.upper)(SimpleNamespace(video="clip-1")) == "CLIP-1"


def test_its_signature_lies_beside_it_and_says_what_the_function_takes():
    asked = of_clip({}.get)
    assert inspect.signature(asked) is inspect.signature(of_clip(str.upper))
    assert list(get_function_params(asked)) == ["wildcards"]
    assert get_input_function_aux_params(asked, {"input": [], "wildcards": None}) == {
        "wildcards": None
    }

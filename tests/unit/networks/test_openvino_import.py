"""OpenVINO is imported without what nothing here uses."""

import subprocess
import sys

from tests.settings import ENVIRONMENT, ROOT

DEMO = ROOT / "models/demo/person-seg_openvino_model"

READ = """
import importlib, sys
from ferrari.networks.backends.openvino_runtime import read_graph
read_graph({weights!r})
print(sorted({{"openvino", "openvino.tools.ovc", "openvino_telemetry"}} & set(sys.modules)))
print(importlib.import_module("openvino.tools.ovc").__name__)
"""


def test_neither_converter_nor_telemetry_is_loaded_and_the_converter_can_be():
    command = [sys.executable, "-c", READ.format(weights=str(DEMO))]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["['openvino']", "openvino.tools.ovc"]

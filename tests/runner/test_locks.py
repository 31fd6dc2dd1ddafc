import subprocess
import sys
from pathlib import Path

import pytest

from perfsvc.errors import RunnerError
from perfsvc.model import Device
from perfsvc.runner.locks import device_lock

HOLD = """
import sys
from pathlib import Path
from perfsvc.model import Device
from perfsvc.runner.locks import device_lock
with device_lock(Path(sys.argv[1]), Device.CPU):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_device_is_held_by_one_process_and_freed_when_it_dies(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with (
        pytest.raises(RunnerError, match=rf"device cpu .* measured on already by process {holder.pid} since 20"),
        device_lock(tmp_path, Device.CPU),
    ):
        pass
    with device_lock(tmp_path, Device.CUDA):
        pass  # another device is another lock
    holder.kill()
    holder.communicate()
    with device_lock(tmp_path, Device.CPU):
        pass

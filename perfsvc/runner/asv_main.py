"""asv's command line with three of its surroundings changed. A script of the runner's environment, not a module.

    python asv_main.py MACHINE_FILE STDERR_FILE run --config ...

The machine file is ours, not the user's ~/.asv-machine.json. What failed benchmarks printed, which asv shows and
forgets, is kept in STDERR_FILE. And when the runner that started us is gone, so are we.
"""

import json
import os
import signal
import sys
import threading
import time
from typing import Any

from asv import main, results
from asv.machine import MachineCollection


def keep_stderr(path: str) -> None:
    save = results.Results.save

    def save_and_tell(self: Any, result_dir: str) -> None:
        save(self, result_dir)
        told = {
            name: {"exit_code": self.errcode.get(name), "printed": printed}
            for name, printed in self.stderr.items()
            if printed or self.errcode.get(name)
        }
        with open(path, "w", encoding="utf-8") as file:  # noqa: PTH123
            json.dump(told, file)

    results.Results.save = save_and_tell


def end_with_parent(every: float = 1.0) -> None:
    """An interrupt lets asv close its fork server. macOS has no signal for a parent's death, so we look."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(every)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5 * every)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    machine_file, stderr_file = sys.argv[1:3]
    MachineCollection.get_machine_file_path = staticmethod(lambda: machine_file)
    keep_stderr(stderr_file)
    end_with_parent()
    sys.argv = ["asv", *sys.argv[3:]]
    main.main()

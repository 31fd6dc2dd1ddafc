"""asv's command line with some of its surroundings changed. A script of the runner's environment, not a module.

    python asv_main.py SURROUNDINGS.json run --config ...

The machine file is ours, not the user's ~/.asv-machine.json. The environment is called after what is installed in it,
not after the folder it lies in. What failed benchmarks printed, which asv shows and forgets, is kept. And when the
runner that started us is gone, so are we.
"""

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from asv import main, results
from asv.environment import ExistingEnvironment
from asv.machine import MachineCollection


def name_environment(name: str, python: str) -> None:
    ExistingEnvironment.name = property(lambda _: name)
    ExistingEnvironment.python = property(lambda _: python)


def keep_stderr(path: Path) -> None:
    save = results.Results.save

    def save_and_tell(self: Any, result_dir: str) -> None:
        save(self, result_dir)
        told = {
            name: {"exit_code": self.errcode.get(name), "printed": printed}
            for name, printed in self.stderr.items()
            if printed or self.errcode.get(name)
        }
        path.write_text(json.dumps(told), encoding="utf-8")

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
    told = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    MachineCollection.get_machine_file_path = staticmethod(lambda: told["machine_file"])
    name_environment(told["environment"], told["python"])
    keep_stderr(Path(told["stderr_file"]))
    end_with_parent()
    sys.argv = ["asv", *sys.argv[2:]]
    main.main()

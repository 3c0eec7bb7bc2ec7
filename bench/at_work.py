"""Threads that compute: what they get of the cores, to try slow ones on.

python -I -S at_work.py THREADS SECONDS     prints how many cores they got, CPU time over wall time
"""

import hashlib
import sys
import threading
import time

_BLOCK = bytes(1 << 18)  # large enough for Python's lock to be free while it is hashed


def cores(threads: int, seconds: float) -> float:
    """How many cores so many threads get that compute for so many seconds."""
    until = time.monotonic() + seconds

    def work() -> None:
        while time.monotonic() < until:
            hashlib.sha256(_BLOCK).digest()

    others = [threading.Thread(target=work) for _ in range(threads - 1)]
    for thread in others:
        thread.start()
    used, began = time.process_time(), time.monotonic()
    work()
    return (time.process_time() - used) / (time.monotonic() - began)


if __name__ == "__main__":
    print(cores(int(sys.argv[1]), float(sys.argv[2])))

"""Prints the first of N ports in a row that nobody listens on now."""

import random
import socket
import sys


def free(port):
    with socket.socket() as probe:
        # As servers do, so that connections that were closed a moment ago are no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


count = int(sys.argv[1])
for _ in range(1000):
    base = random.randrange(10_000, 30_000)
    if all(free(port) for port in range(base, base + count)):
        print(base)
        break
else:
    sys.exit(f"no {count} free ports in a row were found")

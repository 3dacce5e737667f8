"""What runs in huey's environment, in the folder of its database; knows nothing of the rest.

`huey_tasks.py URL work IN_FLIGHT`, `huey_tasks.py URL enqueue COUNT IN_FLIGHT DUE STEP` (prints
the seconds that it took).
"""

import http.client
import sys
import threading
from datetime import UTC, datetime
from time import perf_counter
from urllib.parse import urlsplit

from huey import SqliteHuey  # type: ignore[import-not-found]  # of another environment

URL = urlsplit(sys.argv[1])

huey = SqliteHuey("benchmark", filename="huey.db", fsync=True, utc=True, results=False)
local = threading.local()


@huey.task()  # type: ignore[untyped-decorator]  # of another environment
def post(body: str) -> None:
    """Post a body to the target, over the thread's connection."""
    if not hasattr(local, "connection"):
        local.connection = http.client.HTTPConnection(URL.hostname or "", URL.port)
    local.connection.request("POST", URL.path, body)
    response = local.connection.getresponse()
    response.read()
    assert response.status == 200


def work(in_flight: int) -> None:
    """Consume until told to stop."""
    consumer = huey.create_consumer(workers=in_flight, worker_type="thread")
    print("ready", flush=True)
    consumer.run()


def enqueue(count: int, in_flight: int, due: int, step: int) -> None:
    """Enqueue with a thread for each in flight."""

    def run(first: int) -> None:
        for number in range(first, count, in_flight):
            at = due + number * step
            body = f'{{"number": {number}, "due": {at}, "content": "Hello, your reminder."}}'
            post.schedule((body,), eta=datetime.fromtimestamp(at / 1e6, UTC))

    threads = [threading.Thread(target=run, args=(first,)) for first in range(in_flight)]
    began = perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(perf_counter() - began)


if __name__ == "__main__":
    role, *numbers = sys.argv[2:]
    if role == "work":
        work(int(numbers[0]))
    else:
        enqueue(*(int(number) for number in numbers))

"""Keys rotate while a load of good tokens runs against two workers: not one good token is refused."""

from __future__ import annotations

import itertools
import re
import threading

import people
from gateway import COHERE, plugin
from test_workers import expect_keys_on_both
from wire import Http1, answer_json

CLIENTS, ROTATIONS = 4, 3
# The workers' modules, and the main thread's, which only tries the configuration out.
MODULES = 3


class Clients:
    """Clients that call without a pause, every other time with a token that was never seen before."""

    def __init__(self, gateway, key):
        self.gateway, self.key = gateway, key
        self.served, self.refused = [0] * CLIENTS, []
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(number,), daemon=True) for number in range(CLIENTS)]

    def _run(self, number):
        key = token = None
        for call in itertools.count():
            if self._over.is_set():
                return
            if key is not self.key or call % 2:
                key, token = self.key, people.token(f"user-{number}", key=self.key)
            with Http1(self.gateway.port) as connection:
                connection.send(self.gateway.request(COHERE, token=token))
                response = connection.response()
            if response.status == 200:
                self.served[number] += 1
            else:
                self.refused.append((key.kid, response.status, response.body))

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        for thread in self._threads:
            thread.join()

    def until_each_is_served_again(self):
        before = list(self.served)
        self.gateway.envoy.wait(
            lambda: self.refused or all(now > old + 3 for now, old in zip(self.served, before)), "calls of every client")


def test_keys_rotate_under_load_and_no_good_token_is_refused(services, start):
    configuration = plugin()
    configuration["callers"]["issuers"][0]["keys"]["jwks"]["refresh"] = "1s"
    gateway = start(configuration, concurrency=2)
    expect_keys_on_both(gateway)

    def publish(*keys):
        """Waits until every module has taken up the keys. A provider gives its users longer than that."""
        said = len(gateway.envoy.output)
        services.idp.always(lambda _: answer_json(people.jwks(*keys)))
        line = re.compile(rf"^\[[^]]*\]\[(\d+)\].*: {len(keys)} usable, 0 left out", re.MULTILINE)
        gateway.envoy.wait(lambda: len(set(line.findall(gateway.envoy.output[said:]))) == MODULES, "modules with the new keys")

    with Clients(gateway, people.RSA) as clients:
        clients.until_each_is_served_again()
        old = people.RSA
        for number in range(ROTATIONS):
            new = people.Key(f"rotated-{number}", "ES256" if number % 2 else "RS256")
            publish(old, new)
            clients.until_each_is_served_again()
            clients.key = new
            clients.until_each_is_served_again()
            # The last token by the old key may still be under way.
            clients.until_each_is_served_again()
            retired = people.token(key=old)
            publish(new)
            clients.until_each_is_served_again()
            for _ in range(4):
                reply = gateway.call(token=retired, logged=False)
                assert reply.status == 401, "a key that was taken back is believed"
            old = new
    assert clients.refused == []
    assert min(clients.served) > 10 * ROTATIONS
    while gateway.lines_nobody_took():
        gateway.next_line()

"""A bound on how long the Hub may make us wait: huggingface_hub obeys any Retry-After without a word."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from portvec._hub.ids import HubId
from portvec.errors import HubError

LONGEST = 60  # seconds


@contextmanager
def bounded_waits(hub_id: HubId) -> Iterator[None]:
    """Raise a HubError where the Hub asks to wait for more than LONGEST; log each wait that is obeyed.

    Versions of huggingface_hub before 1.0 do not obey such requests, and have no client to watch.
    """
    import huggingface_hub

    client: Any = huggingface_hub.get_session() if hasattr(huggingface_hub, "get_session") else None
    if not hasattr(client, "event_hooks"):
        yield
        return

    def watch(response: Any) -> None:
        seconds = _seconds(response)
        if seconds is None:
            return
        asks = f"{hub_id.repo_id}: the Hub asks to wait {seconds:,} seconds (HTTP {response.status_code})"
        if seconds > LONGEST:
            raise HubError(f"{asks}, and portvec waits at most {LONGEST}; try again later")
        logging.getLogger("portvec").warning("%s", asks)

    # All threads share the client, and each adds and removes its own hook only.
    client.event_hooks = {**client.event_hooks, "response": [*client.event_hooks["response"], watch]}
    try:
        yield
    finally:
        others = [hook for hook in client.event_hooks["response"] if hook is not watch]
        client.event_hooks = {**client.event_hooks, "response": others}


def _seconds(response: Any) -> int | None:
    """Return how long a response asks to wait, or None."""
    if response.status_code < 400:
        return None
    after = response.headers.get("retry-after", "").strip()
    limit = re.search(r";\s*t\s*=\s*(\d+)", response.headers.get("ratelimit", ""))
    digits = limit[1] if response.status_code == 429 and limit else after
    return int(digits[:20]) if digits.isascii() and digits.isdigit() else None

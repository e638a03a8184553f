"""How often each key may ask: a token bucket per key, in the memory of one process.

Pure but for its buckets: the clock is given. Several processes each allow the rate, so a service of n processes allows
n times as much.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

MOST_BUCKETS = 10_000
# Who waits exactly as long as it was told is let in, whatever is lost by rounding.
_ROUNDING = 1e-6


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_at: float


class RateLimit:
    """Buckets of `burst` requests, each filled by `per_second`; safe for several threads."""

    def __init__(
        self, per_second: float, burst: float, clock: Callable[[], float], *, most_buckets: int = MOST_BUCKETS
    ) -> None:
        """Begin with full buckets.

        Args:
            per_second: How many requests each key may send a second, in the long run; above 0.
            burst: How many it may send at once; at least 1.
            clock: Seconds that never go back, such as `time.monotonic`.
            most_buckets: Of how many keys buckets are kept. Beyond that the one that was used longest ago is dropped,
                which is full if its key has been quiet for `burst / per_second` seconds.
        """
        if not (per_second > 0 and burst >= 1 and most_buckets >= 1):
            raise ValueError("A rate above 0, a burst of at least 1 and at least one bucket are needed.")
        self._per_second, self._burst, self._clock, self._most = per_second, burst, clock, most_buckets
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._lock = Lock()

    def take(self, key: str) -> float:
        """Let a request of this key in, and return 0; or return after how many seconds it is to try again."""
        with self._lock:
            now = self._clock()
            bucket = self._buckets.setdefault(key, _Bucket(self._burst, now))
            self._buckets.move_to_end(key)
            if len(self._buckets) > self._most:
                self._buckets.popitem(last=False)
            passed = max(0.0, now - bucket.filled_at)
            bucket.tokens = min(self._burst, bucket.tokens + passed * self._per_second)
            bucket.filled_at = now
            if bucket.tokens >= 1 - _ROUNDING:
                bucket.tokens -= 1
                return 0.0
            return (1 - bucket.tokens) / self._per_second

    def __len__(self) -> int:
        return len(self._buckets)

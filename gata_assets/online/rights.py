"""The commands that users of Redis need, for ACL SETUSER: those that readers and publishers send, and no others."""

from __future__ import annotations

READER_COMMANDS = ("GET", "MGET", "EXISTS", "HGETALL", "ZCARD", "ZREVRANGE", "MULTI", "EXEC", "JSON.MGET")
PUBLISHER_COMMANDS = (
    "TIME",
    "GET",
    "SET",
    "EXISTS",
    "EXPIREAT",
    "UNLINK",
    "HGETALL",
    "HSET",
    "SADD",
    "SMEMBERS",
    "SREM",
    "ZADD",
    "ZCARD",
    "ZRANGE",
    "ZREM",
    "ZSCORE",
    "EVAL",
    "MULTI",
    "EXEC",
    "JSON.SET",
)
# Beside both, for who erases, exports and searches for people.
ERASER_COMMANDS = ("SCAN", "TYPE", "HSCAN", "SSCAN", "ZSCAN")

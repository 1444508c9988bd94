"""Where shards are worked on: each engine calls named functions on JSON jobs."""

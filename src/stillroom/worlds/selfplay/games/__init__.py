"""The rules of each game, one file a game, compiled by Numba on uint64 rows."""

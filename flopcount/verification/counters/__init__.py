"""The rules of named counters, a file per tool: what it adds to our MACs, with the place in its code.

Each offers COUNTERS, one for every version or way of use that counts differently. A tool that no source in
facts/counters.csv names (thop, ptflops, calflops) has no file: its readings would only add accidents.
"""

__all__: list[str] = []

"""The arithmetic of the features, each written once for batch, append and live; a module a family.

An indicator is a kernel, and a line below it in `INDICATORS`.

Every kernel is `kernel(x, lo, hi, state, out, p)`: it reads the rows of `x` (see `series`) at and before
columns `lo:hi`, carries sums and averages of earlier bars in `state`, writes `out[0:hi-lo]` and takes its
parameters from `p`. One bar at a time or all at once, the operations and their order are the same, so the
results are equal bit for bit. A state starts as zeros. What a kernel writes before its feature's warm-up
has no meaning.

Before the first bar the price stood at its close, and nothing happened.
"""

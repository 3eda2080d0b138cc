"""std::mt19937 with a 32-bit seed, and the doubles that libstdc++ makes of two of its words: how llama.cpp draws.

numpy's legacy seeding is init_genrand as in C++; the words are the same. C++ promises the 10,000th word of seed 5489: 4123659995.
"""

import numpy as np
import numpy.typing as npt

from sdtrace.schema.arrays import Floats


def words(seed: int, count: int) -> npt.NDArray[np.uint32]:
    """The first words of std::mt19937(seed)."""
    drawn = np.random.RandomState(seed & 0xFFFFFFFF).bytes(4 * count)
    return np.frombuffer(drawn, dtype="<u4").astype(np.uint32)


def doubles(seed: int, count: int) -> Floats:
    """std::generate_canonical<double, 53>: low word first, (a + b 2^32) 2^-64, below 1."""
    drawn = words(seed, 2 * count).astype(np.float64)
    found: Floats = np.minimum((drawn[0::2] + drawn[1::2] * 2.0**32) * 2.0**-64, np.nextafter(1.0, 0.0))
    return found

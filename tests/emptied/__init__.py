"""No module of sdtrace is without a test that fails once it is emptied: every function in it raises, and tests are run until one fails.

    python -m tests.emptied                        # every module
    python -m tests.emptied sdtrace/stats --each 60
    python -m tests.emptied --sample 40 --seed 1

The tests of the default suite are collected once and each module is emptied in a process of its own. Tests of its name and the golden
reports come first, then those that import it, then those of its room.
"""

"""The record is tried before the engine: what can these lines prove, and what do they leave open?

A ruling amends the run that it concerns; the pass is repeated under the rulings, and what rests on something unknown is
then not judged. Nothing here costs anything on a record that leaves nothing open.
"""

from sdtrace.diagnosis.trial.trial import tried

__all__ = ["tried"]

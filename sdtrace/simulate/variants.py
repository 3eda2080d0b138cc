"""Every lawful strangeness by name: `sdtrace simulate healthy OUT --variant NAME`."""

from sdtrace.simulate.lawful_ends import LAWFUL_ENDS
from sdtrace.simulate.lawful_laws import LAWFUL_LAWS
from sdtrace.simulate.lawful_losses import LAWFUL_LOSSES
from sdtrace.simulate.lawful_noise import LAWFUL_NOISE
from sdtrace.simulate.lawful_records import LAWFUL_RECORDS
from sdtrace.simulate.lawful_repeats import LAWFUL_REPEATS
from sdtrace.simulate.lawful_rules import LAWFUL_RULES
from sdtrace.simulate.variant import Variant

#: No engine among these may be accused, whatever is logged of it.
VARIANTS: dict[str, Variant] = {
    **LAWFUL_LAWS,
    **LAWFUL_RULES,
    **LAWFUL_RECORDS,
    **LAWFUL_NOISE,
    **LAWFUL_LOSSES,
    **LAWFUL_ENDS,
    **LAWFUL_REPEATS,
}

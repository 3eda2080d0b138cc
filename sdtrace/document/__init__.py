"""The report's document, laid out from what was decided: sections, viewer, counters."""

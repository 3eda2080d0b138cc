"""Acceptance judged from counts, in all and by series: near zero, dead behind a position, too little to pay, unlike its siblings."""

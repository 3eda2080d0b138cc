"""How well the battery sees: power of every planted fault, and alarms on healthy traces. SYNTHETIC."""

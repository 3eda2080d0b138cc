"""Tables with types, units and meaning: steps, requests and runs; windows; inputs; request keys. Each once."""

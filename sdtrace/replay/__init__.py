"""The real target model over a recorded trace: is the recorded p the model's, and if not, how did it go wrong?

The modules that import torch load it on first use: `passes`, `model`, `parameters`. The others are arithmetic on tables.
"""

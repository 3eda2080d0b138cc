"""Windows of counts, as logs and metrics have them: sources side by side, definitions, figures, timeline."""

"""What sdtrace writes back: converted traces, bundles, pseudonyms."""

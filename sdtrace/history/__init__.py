"""What many nights say: the state folder, one record a night, and what is read from the records together."""

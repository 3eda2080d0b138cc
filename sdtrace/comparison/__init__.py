"""What changed between two traces: by how much, where, and which term of the speed it is."""

"""What changed between two traces: by how much, where, and which term of the speed it is."""

#: The relative change of speed that nobody minds, where no other is given. It stands here because a report needs nothing else of this room.
MARGIN = 0.03

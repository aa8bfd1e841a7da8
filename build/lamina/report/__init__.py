"""What people read: outcomes of commands as text; values in, lines out."""

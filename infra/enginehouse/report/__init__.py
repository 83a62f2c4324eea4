"""Pure renderers: values in, lines out. Only `terminal` touches a stream, and only it knows rich."""

"""What `play` is made of: the window, and what happens in it. It needs pygame."""

"""What `sweep` is made of: the space to search, the training of candidates, and the search itself."""

"""What `update` is made of: the template and its versions, the merge, and the swap."""

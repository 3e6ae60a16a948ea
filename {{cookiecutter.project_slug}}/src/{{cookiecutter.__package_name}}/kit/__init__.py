"""The machinery of a project: the same files in every one, replaced as a whole by an update. Its README is the map."""

"""The files of recordings: archives, trees, manifests, and the directories that hold them. Knows no database and no server."""

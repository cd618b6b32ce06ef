"""The artifact folder: its file names, manifest, recorded vectors, and how it is opened and written."""

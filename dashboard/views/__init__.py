"""The pages, one file each; each has `show()`."""

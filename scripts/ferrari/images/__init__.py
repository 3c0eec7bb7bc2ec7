"""Image files, PNG, boxes, and whether an image and its mask belong together."""

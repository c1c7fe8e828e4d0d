"""Self-supervised methods and the views of images that they compare."""

"""What runs inside an image; it needs nothing but the standard library of the image's own Python."""

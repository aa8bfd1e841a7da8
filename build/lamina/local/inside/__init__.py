"""What runs inside a base image to build wheels; standard library only, any CPython of a target."""

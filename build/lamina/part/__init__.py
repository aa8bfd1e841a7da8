"""Wheels made ready for composing, and the facts that checks need."""

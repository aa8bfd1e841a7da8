"""Bytes of a document → its text."""

from __future__ import annotations

import io
import shutil

import fitz
import pytesseract
from PIL import Image

MOST_PAGES = 50
LARGEST_IMAGE = 50_000_000  # pixels


class UnreadableError(Exception):
    """A document without text that this function can read."""


def read_text(name: str, data: bytes) -> str:
    """The text of a PDF by its text layer, of an image by tesseract; told apart by their first bytes."""
    text = read_pdf(data) if data[:1024].lstrip().startswith(b"%PDF-") else read_image(name, data)
    if not text.strip():
        raise UnreadableError(f"{name}: no text in it")
    return text


def read_pdf(data: bytes) -> str:
    """The text of the first pages of a PDF."""
    with fitz.open(stream=data, filetype="pdf") as document:
        count = min(document.page_count, MOST_PAGES)
        return "\n".join(document[number].get_text() for number in range(count))


def read_image(name: str, data: bytes) -> str:
    """The text that tesseract sees in an image, where the program is there."""
    if shutil.which("tesseract") is None:
        raise UnreadableError(f"{name}: an image, and this function has no tesseract; add it as a layer or read PDFs")
    with Image.open(io.BytesIO(data)) as image:
        if image.width * image.height > LARGEST_IMAGE:
            raise UnreadableError(f"{name}: {image.width} x {image.height} pixels, more than {LARGEST_IMAGE}")
        return str(pytesseract.image_to_string(image.convert("L"), timeout=30))

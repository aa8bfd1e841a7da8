"""Bytes of a document → its text."""

from __future__ import annotations

import io
import shutil

import fitz
import pytesseract
from PIL import Image, ImageSequence

MOST_PAGES = 50
LARGEST_IMAGE = 50_000_000  # pixels
READING = 30  # seconds for one page


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
    """The text that tesseract sees in the first pages of an image, where the program is there.

    A TIFF of a scanner has a picture for each page; other images have one.
    """
    if shutil.which("tesseract") is None:
        where = "build this function as an image with tesseract, or read PDFs"
        raise UnreadableError(f"{name}: an image, and this function has no tesseract; {where}")
    with Image.open(io.BytesIO(data)) as image:
        pages = []
        for page in ImageSequence.Iterator(image):
            if page.width * page.height > LARGEST_IMAGE:
                raise UnreadableError(f"{name}: {page.width} x {page.height} pixels, more than {LARGEST_IMAGE}")
            pages.append(str(pytesseract.image_to_string(page.convert("L"), timeout=READING)))
            if len(pages) == MOST_PAGES:
                break
        return "\n".join(pages)

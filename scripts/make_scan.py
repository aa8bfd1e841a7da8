"""Make layers/docworker/events/scan.tif, the scanned page that docworker's image is proven with.

A page as an office scanner sends it: black and white at 200 dots an inch, laid on the glass a little askew, with specks
of dust; compressed as fax machines do it. Run it with the Pillow that the recipe has:

    uv run --no-project --with Pillow==10.2.0 python scripts/make_scan.py

The same run gives the same bytes.
"""

from __future__ import annotations

import random
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

TARGET = Path(__file__).parents[1] / "layers" / "docworker" / "events" / "scan.tif"
SIZE = (1654, 2339)  # A4
TEXT = """\
Invoice 2024-118

Northwind Consulting
14 Harbour Street

Workshop on forecasting, two days
Travel and lodging

Total amount due: 1,480.00 EUR
Please pay within thirty days.
"""
ASKEW = 0.8  # degrees
SPECKS = 600


def main() -> None:
    """Draw the text, turn the page, throw the dust, write the picture."""
    page = Image.new("L", SIZE, 255)
    ImageDraw.Draw(page).multiline_text((180, 220), TEXT, fill=20, font=ImageFont.load_default(40), spacing=22)
    page = page.rotate(ASKEW, resample=Image.Resampling.BICUBIC, fillcolor=255)
    dust = random.Random(1)  # noqa: S311 - no secret
    for _ in range(SPECKS):
        page.putpixel((dust.randrange(SIZE[0]), dust.randrange(SIZE[1])), 0)
    ink = page.point(lambda grey: 255 if grey > 140 else 0)  # noqa: PLR2004 - the scanner's threshold
    ink.convert("1").save(TARGET, compression="group4", dpi=(200, 200))
    print(f"{TARGET}: {TARGET.stat().st_size} bytes")


if __name__ == "__main__":
    main()

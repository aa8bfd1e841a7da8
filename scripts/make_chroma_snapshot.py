"""Make layers/chroma/events/snapshot.zip, the snapshot that the chroma function is proven with.

Run it with the layer's own chromadb (recipes/locks/chroma-*.txt) on the layer's Python:

    uv run --no-project --python 3.12 --with chromadb==1.5.9 python scripts/make_chroma_snapshot.py

chromadb names its collections by chance and writes the time down, so that each run gives other bytes.
"""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path

import chromadb
from chromadb.config import Settings

TARGET = Path(__file__).parents[1] / "layers" / "chroma" / "events" / "snapshot.zip"
ITEMS = {
    "return-policy": ([0.9, 0.1, 0.0, 0.1], "Goods can be returned within 30 days."),
    "shipping": ([0.1, 0.9, 0.1, 0.0], "Parcels leave the store within two working days."),
    "warranty": ([0.7, 0.0, 0.6, 0.1], "Repairs are free for two years."),
    "opening-hours": ([0.0, 0.2, 0.1, 0.9], "The store is open from nine to six."),
}


def main() -> None:
    """Fill a collection and pack the folder it is kept in."""
    with tempfile.TemporaryDirectory() as folder:
        client = chromadb.PersistentClient(path=folder, settings=Settings(anonymized_telemetry=False))
        collection = client.create_collection("handbook", embedding_function=None)
        collection.add(
            ids=list(ITEMS),
            embeddings=[vector for vector, _ in ITEMS.values()],
            documents=[text for _, text in ITEMS.values()],
            metadatas=[{"page": page} for page in range(1, len(ITEMS) + 1)],
        )
        TARGET.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(TARGET, "w", zipfile.ZIP_DEFLATED) as packed:
            for path in sorted(Path(folder).rglob("*")):
                if path.is_file():
                    packed.write(path, path.relative_to(folder))
    print(f"{TARGET}: {TARGET.stat().st_size} bytes")


if __name__ == "__main__":
    main()

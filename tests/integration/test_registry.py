"""lamina against a real registry, with skopeo as the judge of what it pushed."""


def test_x(registry: str) -> None:
    import urllib.request

    assert urllib.request.urlopen(f"http://{registry}/v2/").status == 200

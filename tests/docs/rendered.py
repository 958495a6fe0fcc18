"""Looks over the book that `make docs` has built: every link and every anchor in it leads somewhere. Needs Python alone."""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """The anchors and links of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.ids, self.links = set(), []
        self.feed(path.read_text())

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name == "id":
                self.ids.add(value)
            elif name in ("href", "src") and value and tag != "base":
                self.links.append(value)


def main(site: Path) -> int:
    pages = {path: Page(path) for path in sorted(site.rglob("*.html"))}
    lost = []
    for path, page in pages.items():
        # This one is served under any address.
        if path.name == "404.html":
            continue
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            to = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            to = to / "index.html" if to.is_dir() else to
            if not to.is_file() or (parts.fragment and to in pages and unquote(parts.fragment) not in pages[to].ids):
                lost.append(f"{path.relative_to(site)}: {link} leads nowhere")
    print("\n".join(lost) or f"{len(pages)} pages, every link leads somewhere")
    return 1 if lost or not pages else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))

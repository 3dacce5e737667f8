"""The dashboard in a real Chromium: what a person sees of it and does with it.

To add a page, add it to the table in `pages.py`; every check that visits each page then visits it.

`chromium.py` is the browser, one per process. `site.py` serves a booper on a virtual clock.
`visitor.py` is somebody who looks at it: at a width, in a colour scheme, with or without scripts.
"""

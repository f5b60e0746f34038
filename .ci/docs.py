"""Write the API pages of the modules named to site/.

Names that a package loads on first use are loaded beforehand: pdoc shows what it finds in place.
"""

import sys
from importlib import import_module
from pathlib import Path

import pdoc

if __name__ == "__main__":
    for name in sys.argv[1:]:
        module = import_module(name)
        for public in module.__all__:
            setattr(module, public, getattr(module, public))
    pdoc.render.configure(docformat="numpy", math=True)
    pdoc.pdoc(*sys.argv[1:], output_directory=Path("site"))

"""How the documentation site is built: python -m sphinx -W --keep-going -b html docs results/docs."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "extensions"))
sys.path.insert(0, str(Path(__file__).parents[1]))

import simulator

project = "Capitation risk simulator"
author = "The capitation risk simulator maintainers"
copyright = f"{author}, MIT licence"
version = release = simulator.__version__
language = "en-GB"

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "mathml", "executed", "notebooks", "written"]
exclude_patterns = ["extensions"]
nitpicky = True
# names in docstrings that are not the package's own are text
nitpick_ignore_regex = [("py:.*", r"(?!simulator\.).*")]
default_role = "py:obj"
suppress_warnings = ["config.cache"]

# formulae are MathML, which a browser draws by itself: no script is fetched
html_math_renderer = "mathml"

myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist", "dollarmath", "fieldlist"]
myst_heading_anchors = 3
myst_dmath_double_inline = True
nb_execution_mode = "off"  # the extension "notebooks" runs them
nb_ipywidgets_js = {}

autodoc_typehints = "none"
autodoc_member_order = "bysource"
napoleon_google_docstring = False
napoleon_use_param = True
napoleon_use_rtype = False

html_theme = "pydata_sphinx_theme"
html_title = "Capitation risk simulator"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_context = {"default_mode": "auto"}
html_sidebars = {
    name: []
    for name in ("index", "readers", "validation", "tutorial", "limits", "glossary", "contributing", "changelog")
}
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "navbar_end": ["theme-switcher"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
    "show_nav_level": 2,
    "header_links_before_dropdown": 8,
}

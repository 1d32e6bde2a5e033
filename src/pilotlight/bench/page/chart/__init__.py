"""Charts as inline SVG: colours come from the page's style, words beside every mark."""

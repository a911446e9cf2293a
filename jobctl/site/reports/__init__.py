"""Reports: periods, their figures, and the page that shows them."""

"""Parts for other packages, each used only where that package is installed."""

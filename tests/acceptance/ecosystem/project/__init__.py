"""The project that the parts are tested in: a shop, with the packages that many Django sites have."""

"""Side-by-side measurements, run by hand: ``make bench``. Nothing here is a test, and no test is timed."""

"""What the pages of the admin are made of: figures, charts, jobs and their wording. The views are in ``admin.py``."""

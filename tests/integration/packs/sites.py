"""Sites in an S3 bucket."""

from __future__ import annotations

from typing import Any

from tests.integration.commands.site import ALIAS, Site


class S3Site(Site):
    """Its objects are in the bucket whose name is its folder's."""

    endpoint = ""

    def settings(self) -> dict[str, Any]:
        """The settings that are not of DATABASES."""
        settings = super().settings()
        settings["STORAGES"][ALIAS] = {
            "BACKEND": "storages.backends.s3.S3Storage",
            "OPTIONS": {
                "bucket_name": self.folder.name,
                "endpoint_url": self.endpoint,
                "access_key": "tests",
                "secret_key": "tests",
                "region_name": "us-east-1",
            },
        }
        return settings

    def options(self, **changes: Any) -> dict[str, Any]:
        """The options of the database. The server may take its time: nothing here waits for a deadline."""
        return super().options(**{"write_deadline": 120.0, **changes})

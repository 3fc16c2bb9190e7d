"""Makes the tables."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Creates the models."""

    initial = True
    operations = [
        migrations.CreateModel(
            "Fresh",
            [
                ("id", models.BigAutoField(primary_key=True)),
                ("code", models.CharField(max_length=10, unique=True)),
                ("n", models.IntegerField(db_index=True)),
            ],
        ),
        migrations.CreateModel(
            "Renamed",
            [
                ("id", models.BigAutoField(primary_key=True)),
                ("name", models.CharField(max_length=10, db_index=True)),
            ],
        ),
    ]

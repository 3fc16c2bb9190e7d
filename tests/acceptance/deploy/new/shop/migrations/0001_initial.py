"""The first version."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Makes the table."""

    initial = True
    operations = [
        migrations.CreateModel(
            "Item",
            [
                ("id", models.BigAutoField(primary_key=True)),
                ("name", models.CharField(max_length=40)),
                ("size", models.IntegerField(default=1)),
                ("color", models.CharField(max_length=20, default="red")),
                ("code", models.CharField(max_length=20, unique=True)),
                ("shelf", models.CharField(max_length=20, db_index=True)),
                ("stock", models.IntegerField(default=0)),
            ],
        )
    ]

"""Makes the table."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Creates the model."""

    initial = True
    operations = [
        migrations.CreateModel(
            "Book", [("id", models.BigAutoField(primary_key=True)), ("number", models.IntegerField())]
        )
    ]

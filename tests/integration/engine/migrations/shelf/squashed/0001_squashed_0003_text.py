"""All of them in one."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Creates the model as it is since."""

    initial = True
    replaces = [("shelf", "0001_initial"), ("shelf", "0002_unique"), ("shelf", "0003_text")]
    operations = [
        migrations.CreateModel(
            "Book",
            [
                ("id", models.BigAutoField(primary_key=True)),
                ("code", models.CharField(max_length=10, unique=True)),
                ("pages", models.IntegerField(default=100)),
            ],
        )
    ]

"""The third version: schema, data, claims and the objects of a whole table in one migration."""

from django.db import migrations, models
from django.db.models import F


def give_numbers(apps, editor):
    """Number the products."""
    apps.get_model("shop", "Product").objects.update(number=F("id") * 10)


class Migration(migrations.Migration):
    """Moves the table, fills a field and makes it unique."""

    dependencies = [("shop", "0002_deploy")]
    operations = [
        migrations.RenameModel("Item", "Product"),
        migrations.AddField("Product", "number", models.IntegerField(null=True)),
        migrations.RunPython(give_numbers),
        migrations.AlterField("Product", "number", models.IntegerField(unique=True)),
    ]

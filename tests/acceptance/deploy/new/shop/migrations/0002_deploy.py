"""The second version."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Changes the table in all four ways."""

    dependencies = [("shop", "0001_initial")]
    operations = [
        migrations.RenameField("Item", "name", "title"),
        migrations.AlterField("Item", "size", models.CharField(max_length=20, default="1")),
        migrations.RemoveField("Item", "color"),
        migrations.AddField("Item", "rating", models.IntegerField(default=3, db_index=True)),
    ]
